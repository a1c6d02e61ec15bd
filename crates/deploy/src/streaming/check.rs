//! Whether the windows of a stream are those of the offline program.

use super::streamed::Streamed;
use crate::place::Memory;
use crate::program::Program;
use crate::run::{Path, run_batch, run_sequence};
use crate::target::Kernels;
use crate::verify::VerifyError;

/// Calls that are compared, behind the first ones.
const CALLS: usize = 3;

/// Whether outputs without time axis are other bytes than those of `offline` for the same frames, in some calls on
/// a random recording: what the offline program pads, the stream has real frames for.
///
/// # Errors
/// If an arena is too large.
pub(super) fn differs(streamed: &Streamed, offline: &Program) -> Result<bool, VerifyError> {
    let place = |program: &Program| program.clone().place(Kernels::Portable, Memory::Whole);
    let (placed, offline) = (place(&streamed.program)?, place(offline)?);
    let warm_up = streamed.outputs.iter().map(|output| output.warm_up).max().unwrap_or(0);
    // At first, the stream pads too.
    let calls = warm_up + streamed.frames.div_ceil(streamed.chunk) + CALLS;
    let recording = Recording { layouts: &streamed.layouts, frames: (calls + 1) * streamed.chunk };
    let bytes: Vec<u8> =
        (0..calls).flat_map(|call| recording.part(call * streamed.chunk, streamed.chunk)).collect();
    let found = run(run_sequence(&placed, Path::Fast, &bytes));
    for call in calls - CALLS..calls {
        let mut places = [call * placed.output_bytes(), 0];
        let newest = (call + 1) * streamed.chunk;
        let ends = offline.output_tensors().zip(placed.output_tensors()).zip(&streamed.outputs);
        for ((whole, own), output) in ends {
            let [at, from] = places;
            places = [at + own.bytes(), from + whole.bytes()];
            let start = newest as isize - output.delay - streamed.frames as isize;
            let (None, Ok(start)) = (output.rows, usize::try_from(start)) else { continue };
            let window = recording.part(start, streamed.frames);
            let expected = run(run_batch(&offline, Path::Fast, &window));
            if found.get(at..at + own.bytes()) != expected.get(from..from + whole.bytes()) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The outputs; none cannot happen, since recordings have whole samples.
fn run<E>(outputs: Result<Vec<u8>, E>) -> Vec<u8> {
    outputs.unwrap_or_default()
}

/// A recording of bytes that look random.
struct Recording<'a> {
    /// Of each input, blocks and bytes of a frame in each of them.
    layouts: &'a [[usize; 2]],
    frames: usize,
}

impl Recording<'_> {
    /// Some frames, as a program that takes so many has them.
    fn part(&self, first: usize, count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (input, &[blocks, frame]) in self.layouts.iter().enumerate() {
            for block in 0..blocks {
                let start = (block * self.frames + first) * frame;
                bytes.extend((start..start + count * frame).map(|place| byte(input, place)));
            }
        }
        bytes
    }
}

fn byte(input: usize, place: usize) -> u8 {
    let mixed = (place as u64 ^ ((input as u64) << 40)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 56) as u8
}
