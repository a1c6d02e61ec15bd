//! A compiled image and its runs on QEMU.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use burn_ptq_deploy::board::Board;
use burn_ptq_deploy::program::Program;
use tempfile::TempDir;

use crate::error::{McuError, failed};
use crate::map::{Piece, RuntimeFunction, RustSizes, Sizes, pieces, runtime_functions, text_bytes};

/// A firmware that runs for longer hangs.
const LIMIT: Duration = Duration::from_secs(1800);

/// Programs in one bare-metal image.
#[derive(Debug)]
pub struct Firmware {
    folder: TempDir,
    board: &'static Board,
    shapes: Vec<Shape>,
}

/// What a run must know of a program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    input_bytes: usize,
    output_bytes: usize,
    nodes: usize,
}

impl Shape {
    pub(crate) fn of(program: &Program) -> Self {
        Self {
            input_bytes: program.input_bytes(),
            output_bytes: program.output_bytes(),
            nodes: program.nodes.len(),
        }
    }
}

/// What one program did with its samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The outputs of all samples, back to back.
    pub outputs: Vec<u8>,
    /// Executed instructions of each node, over all samples.
    pub node_instructions: Vec<u64>,
    /// The samples.
    pub samples: usize,
    /// Bytes of stack that the network needed, an upper bound within some 100 bytes.
    pub stack_bytes: u64,
}

impl Run {
    /// Executed instructions of one inference, on average.
    pub fn instructions(&self) -> u64 {
        self.node_instructions.iter().sum::<u64>() / self.samples.max(1) as u64
    }
}

impl Firmware {
    pub(crate) fn new(folder: TempDir, board: &'static Board, shapes: Vec<Shape>) -> Self {
        Self { folder, board, shapes }
    }

    /// Runs every program on its samples, which are stored back to back, one slice per program. Those of a
    /// program are one sequence, after a reset.
    pub fn run(&self, inputs: &[&[u8]]) -> Result<Vec<Run>, McuError> {
        self.run_recordings(inputs, &vec![1; inputs.len()])
    }

    /// As [`run`](Self::run), with a reset at the beginning of each of so many recordings of equal lengths that the
    /// samples of a program are.
    ///
    /// # Errors
    /// If the samples are not as many as that, or the emulator fails.
    pub fn run_recordings(
        &self,
        inputs: &[&[u8]],
        recordings: &[usize],
    ) -> Result<Vec<Run>, McuError> {
        let samples = self.feed(inputs, recordings)?;
        self.emulate(&[])?;
        let read = |name: &str| {
            let path = self.folder.path().join(name);
            fs::read(&path).map_err(failed("read", &path))
        };
        self.runs(&samples, &read("outputs")?, &read("counts")?)
    }

    /// Writes what the driver reads; returns the number of samples of each program.
    pub(crate) fn feed(
        &self,
        inputs: &[&[u8]],
        recordings: &[usize],
    ) -> Result<Vec<usize>, McuError> {
        let samples = self.samples(inputs)?;
        let (expected, found) = (inputs.len(), recordings.len());
        if expected != found {
            return Err(McuError::Mismatch { what: "programs with recordings", expected, found });
        }
        let mut stream = Vec::new();
        for ((bytes, &samples), &recordings) in inputs.iter().zip(&samples).zip(recordings) {
            let each = samples / recordings.max(1);
            let (expected, found) = (each * recordings, samples);
            if expected != found {
                return Err(McuError::Mismatch { what: "samples of recordings", expected, found });
            }
            stream.extend_from_slice(&(samples as u32).to_le_bytes());
            stream.extend_from_slice(&(each as u32).to_le_bytes());
            stream.extend_from_slice(bytes);
        }
        let path = self.folder.path().join("inputs");
        fs::write(&path, stream).map_err(failed("write", &path))?;
        Ok(samples)
    }

    /// What it takes in flash and RAM.
    pub fn sizes(&self) -> Result<Sizes, McuError> {
        Ok(Sizes::of_map(&self.map()?))
    }

    /// What an image in Rust takes in flash and RAM.
    pub fn rust_sizes(&self) -> Result<RustSizes, McuError> {
        Ok(RustSizes::of_map(&self.map()?))
    }

    /// The functions of the runtime that it holds, in the order of addresses.
    pub fn runtime_functions(&self) -> Result<Vec<RuntimeFunction>, McuError> {
        Ok(runtime_functions(&self.map()?))
    }

    /// What calls of the runtime brought into the image.
    pub fn pieces(&self) -> Result<Vec<Piece>, McuError> {
        Ok(pieces(&self.map()?))
    }

    /// Bytes of code and constants of the whole image, driver and start-up code included.
    ///
    /// # Errors
    /// If the linker's map cannot be read, or has no `.text`.
    pub fn text_bytes(&self) -> Result<usize, McuError> {
        let found = text_bytes(&self.map()?);
        found.ok_or(McuError::Mismatch { what: "sections .text", expected: 1, found: 0 })
    }

    pub(crate) fn map(&self) -> Result<String, McuError> {
        let path = self.folder.path().join("firmware.map");
        fs::read_to_string(&path).map_err(failed("read", &path))
    }

    /// The folder with its sources, `firmware.elf` and `firmware.map`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The number of samples of each program.
    fn samples(&self, inputs: &[&[u8]]) -> Result<Vec<usize>, McuError> {
        let (expected, found) = (self.shapes.len(), inputs.len());
        if expected != found {
            return Err(McuError::Mismatch { what: "programs with inputs", expected, found });
        }
        let count = |(shape, bytes): (&Shape, &&[u8])| {
            let samples = bytes.len() / shape.input_bytes;
            let (expected, found) = (samples * shape.input_bytes, bytes.len());
            if expected != found {
                return Err(McuError::Mismatch { what: "bytes of samples", expected, found });
            }
            Ok(samples)
        };
        self.shapes.iter().zip(inputs).map(count).collect()
    }

    /// Runs it, with further arguments of QEMU.
    pub(crate) fn emulate(&self, arguments: &[&str]) -> Result<(), McuError> {
        let program = self.board.emulator.to_owned();
        let start = |source| McuError::Start { program: program.clone(), source };
        let mut child = Command::new(&program)
            .args(self.board.qemu_arguments())
            .args(["-kernel", "firmware.elf"])
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(start)?;
        let begun = Instant::now();
        // The driver prints a line at most, which fits the pipe.
        let status = loop {
            match child.try_wait().map_err(start)? {
                Some(status) => break status,
                None if begun.elapsed() > LIMIT => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(McuError::TooLong { program, seconds: LIMIT.as_secs() });
                }
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        if status.success() {
            return Ok(());
        }
        let mut output = String::new();
        if let Some(mut stdout) = child.stdout.take() {
            let _ = stdout.read_to_string(&mut output);
        }
        Err(McuError::Failed { program, status: status.to_string(), output })
    }

    /// Splits what the driver wrote.
    fn runs(&self, samples: &[usize], outputs: &[u8], counts: &[u8]) -> Result<Vec<Run>, McuError> {
        let words: Vec<u64> = counts
            .chunks_exact(8)
            .map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes")))
            .collect();
        let all = self.shapes.iter().zip(samples);
        let expected: usize = all.clone().map(|(shape, n)| shape.output_bytes * n).sum();
        if outputs.len() != expected {
            return Err(McuError::Mismatch {
                what: "output bytes",
                expected,
                found: outputs.len(),
            });
        }
        let expected: usize = self.shapes.iter().map(|shape| shape.nodes + 1).sum();
        if words.len() != expected {
            return Err(McuError::Mismatch { what: "counts", expected, found: words.len() });
        }
        let (mut outputs, mut words) = (outputs, words.as_slice());
        let mut split = |(shape, &samples): (&Shape, &usize)| {
            let (output, rest) = outputs.split_at(shape.output_bytes * samples);
            outputs = rest;
            let (counts, rest) = words.split_at(shape.nodes + 1);
            words = rest;
            let (ticks, stack) = counts.split_at(shape.nodes);
            Run {
                outputs: output.to_vec(),
                node_instructions: ticks.iter().map(|&t| self.board.instructions(t)).collect(),
                samples,
                stack_bytes: stack[0],
            }
        };
        Ok(all.map(&mut split).collect())
    }
}
