//! What streaming takes and gives.

use crate::file::{FileError, to_bytes};
use crate::place::Memory;
use crate::program::Program;
use crate::target::Kernels;

/// How a program is to be streamed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Streaming {
    /// Frames that a call takes; `None` for the fewest that every stride divides.
    pub chunk: Option<usize>,
    /// The time axis of the inputs in a sample of the source model, without the batch axis; `None` if the
    /// program leaves no doubt.
    pub axis: Option<usize>,
}

/// A program that takes a recording frame by frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Streamed {
    /// The program, with states.
    pub program: Program,
    /// The time axis of its inputs in a sample of the source model.
    pub axis: usize,
    /// Frames that a call takes.
    pub chunk: usize,
    /// Frames that the offline program takes.
    pub frames: usize,
    /// How each of its inputs lies in memory, along time: blocks, and bytes of a frame in each of them.
    pub(super) layouts: Vec<[usize; 2]>,
    /// What is to be known of each output.
    pub outputs: Vec<StreamedOutput>,
    /// Nodes that pad time, which the stream does before its first frame alone.
    pub padded: Vec<String>,
    /// Whether outputs without time axis differ for that from those of the offline program, which pads each
    /// window of frames.
    pub differs: bool,
    /// Nodes that each call computes for all rows that the offline program has.
    pub whole: Vec<String>,
}

impl Streamed {
    /// What the program was made by.
    pub fn streaming(&self) -> Streaming {
        Streaming { chunk: Some(self.chunk), axis: Some(self.axis) }
    }

    /// The inputs of the calls that a recording takes, from that of the offline program: the bytes of all its
    /// inputs, one after the other. Frames that fill no call are left out.
    pub fn calls(&self, recording: &[u8]) -> Vec<Vec<u8>> {
        let call = |first: usize| {
            let (mut call, mut rest) = (Vec::new(), recording);
            for &[blocks, frame] in &self.layouts {
                let (own, others) = rest.split_at(blocks * self.frames * frame);
                for block in own.chunks(self.frames * frame) {
                    call.extend_from_slice(&block[first * frame..(first + self.chunk) * frame]);
                }
                rest = others;
            }
            call
        };
        (0..self.frames / self.chunk).map(|index| call(index * self.chunk)).collect()
    }

    /// The bytes of a `.bptq` file of the program.
    ///
    /// # Errors
    /// If its arena is too large.
    pub fn to_bytes(&self) -> Result<Vec<u8>, FileError> {
        let placed = self.program.clone().place(Kernels::Portable, Memory::Whole)?;
        to_bytes(&placed)
    }

    /// Calls after which every output is complete, and a few more.
    pub fn calls_of_self_test(&self) -> usize {
        self.outputs.iter().map(|output| output.warm_up).max().unwrap_or(0) + MORE_CALLS
    }
}

/// Calls of a self-test with complete outputs.
const MORE_CALLS: usize = 4;

/// An output of a streamed program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamedOutput {
    /// Its name.
    pub name: String,
    /// New rows of each call; `None` for an output without time axis.
    pub rows: Option<usize>,
    /// Frames from one row to the next; 1 without time axis.
    pub rate: usize,
    /// Rows by which it lags behind the newest frame; without time axis, frames from the end of what it is
    /// computed of to the newest, negative if the offline program does not read its last frames.
    pub delay: isize,
    /// Calls after a reset whose outputs do not have all their frames yet.
    pub warm_up: usize,
}

impl StreamedOutput {
    /// Frames from the end of what it says to the newest.
    pub fn delay_frames(&self) -> usize {
        usize::try_from(self.delay).unwrap_or(0) * self.rate
    }
}
