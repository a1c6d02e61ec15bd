//! `cargo xtask mcu streams`: networks frame by frame, beside the same networks on whole recordings.

use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use burn_ptq_deploy::output::write_atomically;
use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::program::Program;
use burn_ptq_deploy::run::{Path, run_batch, run_sequence};
use burn_ptq_deploy::streaming::{Streamed, Streaming};
use burn_ptq_deploy::target::{Kernels, TARGETS, Target};
use burn_ptq_mcu::Toolchain;
use burn_ptq_mcu::sequences::{SEQUENCES, Sequence};

use super::{Request, document};

/// Frames of a recording.
const FRAMES: usize = 10_000;

/// Frames of a recording on microcontrollers where only instructions are counted.
const COUNTED: usize = 480;

/// Frames of a call.
const CHUNKS: [usize; 5] = [1, 2, 4, 8, 16];

/// Bits of weights.
const BITS: [u8; 2] = [8, 4];

/// The target on which whole recordings run.
const PROVEN: &str = "cortex-m4";

/// What a network takes.
struct Measured {
    sequence: Sequence,
    bits: u8,
    target: &'static Target,
    /// Instructions for a frame of a whole recording, and bytes of the arena for it.
    offline: (f64, usize),
    /// The same of each chunk that strides allow.
    chunks: Vec<(usize, f64, usize)>,
}

/// Returns whether every byte was the offline network's.
pub(super) fn run(request: &Request) -> Result<bool> {
    let mut measured = Vec::new();
    let mut bytes = [0, 0];
    for sequence in SEQUENCES {
        for bits in BITS {
            for target in &request.targets {
                eprintln!("{}, {bits} bits, on {} ...", sequence.name(), target.name);
                measured.push(measure(sequence, bits, target, &mut bytes)?);
            }
        }
    }
    let [compared, differing] = bytes;
    let text = document(request, &measured, compared, differing)?;
    print!("{text}");
    let path = match &request.out {
        Some(path) => path.clone(),
        None if request.targets.len() < TARGETS.len() - 1 => return Ok(differing == 0),
        None => crate::root().join("docs/results/streams.md"),
    };
    write_atomically(&path, text.as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))?;
    println!("written to {}", path.display());
    Ok(differing == 0)
}

fn measure(
    sequence: Sequence,
    bits: u8,
    target: &'static Target,
    bytes: &mut [usize; 2],
) -> Result<Measured> {
    let proven = target.name == PROVEN;
    let frames = if proven { FRAMES } else { COUNTED };
    let recording = sequence.recording(frames);
    let mut toolchain = Toolchain::new(target, "-O2")?;
    let window = offline_frames(sequence);
    let offline = sequence.program(bits, window);
    let placed = offline.clone().place(target.kernels, Memory::Reduced)?;
    let own = &recording[..placed.input_bytes()];
    let run = toolchain.build(&[&placed])?.run(&[own])?.remove(0);
    let whole = (run.instructions() as f64 / frames_of(&offline) as f64, placed.arena_bytes());
    let mut chunks = Vec::new();
    for chunk in CHUNKS {
        let streaming = Streaming { axis: Some(0), chunk: Some(chunk) };
        let Ok(streamed) = offline.streamed(&streaming) else { continue };
        let placed = streamed.program.clone().place(target.kernels, Memory::Reduced)?;
        let calls = &recording[..recording.len() / placed.input_bytes() * placed.input_bytes()];
        let run = toolchain.build(&[&placed])?.run(&[calls])?.remove(0);
        let on_host = run_sequence(&placed, Path::Fast, calls)?;
        ensure!(run.outputs.len() == on_host.len(), "a call gives less than it should");
        bytes[0] += on_host.len();
        bytes[1] += differing(&run.outputs, &on_host);
        if proven {
            let expected = expected(sequence, bits, &recording, &streamed)?;
            bytes[0] += expected.iter().map(|(_, row)| row.len()).sum::<usize>();
            bytes[1] += expected
                .iter()
                .map(|(at, row)| differing(row, &on_host[*at..*at + row.len()]))
                .sum::<usize>();
        }
        chunks.push((chunk, run.instructions() as f64 / chunk as f64, placed.arena_bytes()));
    }
    Ok(Measured { sequence, bits, target, offline: whole, chunks })
}

/// Frames of the recordings that a network takes as a whole.
fn offline_frames(sequence: Sequence) -> usize {
    match sequence {
        // As many rows of outputs as 128 frames give, behind the first complete one.
        Sequence::Tcn => 128,
        Sequence::WakeWord => 29 + 128,
        Sequence::DsCnn => 49,
    }
}

/// Frames that the instructions of a whole recording are for: those that give rows.
fn frames_of(offline: &Program) -> usize {
    let rows = offline.output_tensors().next().map_or(1, |tensor| tensor.shape[0]);
    let frames = offline.input_tensors().next().map_or(1, |tensor| tensor.shape[0]);
    if rows > 1 { rows } else { frames }
}

/// What the offline network gives for the whole recording, as places in the outputs of all calls and
/// their bytes.
fn expected(
    sequence: Sequence,
    bits: u8,
    recording: &[u8],
    streamed: &Streamed,
) -> Result<Vec<(usize, Vec<u8>)>> {
    let frames = recording.len() / sequence.features();
    let output = &streamed.outputs[0];
    let place = |program: Program| -> Result<Placed> {
        Ok(program.place(Kernels::Portable, Memory::Whole)?)
    };
    let calls = frames / streamed.chunk;
    let bytes = streamed.program.output_bytes();
    let Some(rows) = output.rows else {
        let window = offline_frames(sequence);
        let offline = place(sequence.program(bits, window))?;
        let newest = |call: usize| (call + 1) * streamed.chunk;
        let start = |call: usize| newest(call) as isize - output.delay - window as isize;
        let known = (output.warm_up..calls)
            .filter(|&call| start(call) >= 0 && start(call) as usize + window <= frames);
        let known: Vec<usize> = known.collect();
        let part = |&call: &usize| {
            let first = start(call) as usize * sequence.features();
            &recording[first..first + window * sequence.features()]
        };
        let windows: Vec<u8> = known.iter().flat_map(part).copied().collect();
        let outputs = run_batch(&offline, Path::Fast, &windows)?;
        let rows = outputs.chunks(bytes).map(<[u8]>::to_vec);
        return Ok(known.iter().map(|call| call * bytes).zip(rows).collect());
    };
    // Of one recording as long as the stream.
    let offline = place(sequence.program(bits, frames))?;
    let outputs = run_batch(&offline, Path::Fast, recording)?;
    let row = bytes / rows;
    let late = usize::try_from(output.delay).unwrap_or(0);
    let compared = (output.warm_up * rows..calls * rows).filter(|&place| place >= late);
    let compared = compared.filter(|&place| (place - late + 1) * row <= outputs.len());
    Ok(compared
        .map(|place| (place * row, outputs[(place - late) * row..][..row].to_vec()))
        .collect())
}

fn differing(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).filter(|(a, b)| a != b).count()
}

fn document(
    request: &Request,
    all: &[Measured],
    compared: usize,
    differing: usize,
) -> Result<String> {
    let mut text = format!("{HEAD}\n{}\n", document::tools(&request.targets));
    writeln!(
        text,
        "{differing} of {compared} bytes differ: of every call from the interpreter's, and on {PROVEN} of \
         recordings of {FRAMES} frames from those of the offline network.\n"
    )?;
    for target in &request.targets {
        writeln!(text, "## {}\n", target.name)?;
        let heads: String = CHUNKS.iter().map(|chunk| format!(" {chunk} a call |")).collect();
        writeln!(text, "| network | offline |{heads}")?;
        writeln!(text, "|---|---|{}", "---|".repeat(CHUNKS.len()))?;
        for own in all.iter().filter(|own| own.target == *target) {
            let (offline, arena) = own.offline;
            write!(text, "| {} W{}A8 | {offline:.0}; {arena} B |", own.sequence.name(), own.bits)?;
            for chunk in CHUNKS {
                match own.chunks.iter().find(|(other, ..)| *other == chunk) {
                    Some((_, frame, bytes)) => {
                        write!(text, " {frame:.0} ({:.2}); {bytes} B |", frame / offline)?;
                    }
                    None => write!(text, " |")?,
                }
            }
            text.push('\n');
        }
        text.push('\n');
    }
    Ok(text)
}

const HEAD: &str = "\
# Streams

Written by `cargo xtask mcu streams`. Networks of random weights, exported to C with `export --stream` and on
whole recordings: instructions for a frame, in brackets per instruction of the offline network for a frame,
and bytes of the arena. `n a call` takes n frames a call; strides of the DS-CNN need two. The wake word and the
TCN give a row for each frame. The DS-CNN gives one mean over the last 49 frames in each call, offline one for
all 49 frames: its mean is computed again in every call.
";
