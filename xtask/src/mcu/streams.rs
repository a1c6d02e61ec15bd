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

/// Frames that the offline networks take.
const WINDOW: usize = 49;

/// Frames of two recordings, from which a further frame's instructions follow.
const LONG: [usize; 2] = [145, 337];

/// Frames of a call.
const CHUNKS: [usize; 6] = [1, 2, 4, 8, 16, 32];

/// Bits of weights.
const BITS: [u8; 2] = [8, 4];

/// The target on which whole recordings run.
const PROVEN: &str = "cortex-m4";

/// What a network takes.
struct Measured {
    sequence: Sequence,
    bits: u8,
    target: &'static Target,
    /// Instructions for a frame more of a whole recording, and bytes of the arena for one of [`WINDOW`]
    /// frames.
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
    let offline = sequence.program(bits, WINDOW);
    // A frame more of a long recording: windows that do not pad time give fewer rows than there are frames.
    let mut counts = [0.0; 2];
    for (count, frames) in counts.iter_mut().zip(LONG) {
        let placed = sequence.program(bits, frames).place(target.kernels, Memory::Whole)?;
        let own = sequence.recording(frames);
        let run = toolchain.build(&[&placed])?.run(&[&own])?.remove(0);
        *count = run.instructions() as f64;
    }
    let further = (counts[1] - counts[0]) / (LONG[1] - LONG[0]) as f64;
    let whole = offline.clone().place(target.kernels, Memory::Whole)?;
    let whole = (further, whole.arena_bytes());
    let mut chunks = Vec::new();
    for chunk in CHUNKS {
        let streaming = Streaming { axis: Some(0), chunk: Some(chunk) };
        let Ok(streamed) = offline.streamed(&streaming) else { continue };
        let placed = streamed.program.clone().place(target.kernels, Memory::Whole)?;
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
        let window = WINDOW;
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

Written by `cargo xtask mcu streams`. Networks with random weights that take `n` frames a call, beside the same
networks on whole recordings, one layer after the other: instructions for a frame in exported C at -O2, in
brackets per instruction that a frame more of a long recording takes offline, and bytes of the arena, offline
for 49 frames. Strides of the DS-CNN need two frames a call. The TCN and the wake word give a row for each
frame; the DS-CNN gives the classes of the last 49 frames in every call, for which it takes their mean anew.
";
