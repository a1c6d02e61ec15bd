//! From a program that sees a whole recording to one that takes it frame by frame.
//!
//! [`Program::streamed`] rewrites a program whose input has a time axis into one whose call takes a few
//! frames more of an endless recording. What windows need of earlier frames, the program keeps in
//! [states](crate::program::State): each call computes the new rows of every activation and no others. Outputs
//! are those of the offline program, byte for byte:
//!
//! - An output with a time axis gets as many new rows a call as there are new frames for, [`delay`](StreamedOutput::delay)
//!   rows behind, because windows look ahead.
//! - An output without one is what the offline program gives for the last frames, as many as it takes.
//!
//! What cannot be computed row by row (means over all time, flattened time, attention) is kept for as many
//! rows as the offline program has and computed as a whole in every call, with all that reads it.
//!
//! Where the offline program pads time, the stream has real rows before and behind, and only before its
//! first frame the padding. An output that depends on padding in the middle of the recording can therefore
//! differ: [`Streamed::padded`] names the nodes, and [`Streamed::differs`] says whether it does for windows of
//! frames.
//!
//! Rows, rates and delays: for every `rate` frames an activation has a row; row `j` of the recording is the one that
//! the offline program would have there if its recording began with the stream's first frame. After call
//! `k`, rows up to `(k + 1) * rows - 1 - delay` are known. A window of `extent` rows, `stride` apart and `pad`
//! rows early, on rows with a delay, gives rows with the delay
//! `ceil((extent + delay - pad) / stride) - 1`, and needs `stride * own delay + pad - delay` rows of earlier calls.

mod axis;
mod build;
mod check;
mod ends;
mod layout;
mod movement;
mod operations;
mod rows;

use thiserror::Error;

use crate::file::{FileError, to_bytes};
use crate::place::Memory;
use crate::printable::name;
use crate::program::Program;
use crate::target::Kernels;
use crate::verify::VerifyError;

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
    layouts: Vec<[usize; 2]>,
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

/// Why a program cannot be streamed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StreamingError {
    /// The program is invalid.
    #[error(transparent)]
    Invalid(#[from] VerifyError),
    /// The program keeps something from call to call already.
    #[error(
        "the program keeps states from one call to the next (`{}`): expected one that takes a whole recording; \
         a program can be streamed once",
        name(state)
    )]
    Stateful {
        /// A state.
        state: String,
    },
    /// The program runs nodes once for each step of a sequence.
    #[error(
        "node `{}` runs once for each step of a sequence of {steps}, which a stream does not end: export the \
         network of a single step, and keep with --state what it leaves for the next one",
        name(node)
    )]
    Loops {
        /// The first node of the first loop.
        node: String,
        /// The loop's steps.
        steps: usize,
    },
    /// No axis of the inputs can be time.
    #[error(
        "no operation slides along an axis of the inputs ({inputs}): expected convolutions or pools over time; \
         a network that sees its whole input at once needs a state of its own to run on a stream"
    )]
    NoTime {
        /// The inputs with their shapes.
        inputs: String,
    },
    /// Several axes can be time.
    #[error(
        "time can be axis {} of an input ({inputs}): expected one of them to be named; give --time-axis, \
         counting from 0 without the batch axis",
        list(axes)
    )]
    Ambiguous {
        /// The axes.
        axes: Vec<usize>,
        /// The inputs with their shapes.
        inputs: String,
    },
    /// The inputs do not have that axis.
    #[error(
        "axis {axis} cannot be the time of the inputs ({inputs}): expected an axis of more than one frame, as \
         many in all of them"
    )]
    Axis {
        /// The axis.
        axis: usize,
        /// The inputs with their shapes.
        inputs: String,
    },
    /// Strides do not divide the frames of a call.
    #[error(
        "{chunk} frames a call: expected a multiple of {multiple}, by which strides divide the frames of the \
         network"
    )]
    Chunk {
        /// The frames.
        chunk: usize,
        /// What they must be a multiple of.
        multiple: usize,
    },
    /// An output's sample has no place for fewer rows.
    #[error(
        "output `{}` of shape {shape:?} mixes its {rows} rows of time with other axes: expected an axis of its \
         own for them; end the network before it flattens or reshapes time",
        name(output)
    )]
    Shape {
        /// The output.
        output: String,
        /// Its sample's shape in the source model.
        shape: Vec<usize>,
        /// Its rows.
        rows: usize,
    },
}

impl Program {
    /// The program that takes a recording frame by frame.
    ///
    /// # Errors
    /// If the program is invalid, has states or loops, or has no axis that can be time; if the frames of a call are
    /// no multiple of its strides; if an output hides its time axis.
    pub fn streamed(&self, streaming: &Streaming) -> Result<Streamed, StreamingError> {
        crate::verify::verify(self)?;
        if let Some(state) = self.states.first() {
            return Err(StreamingError::Stateful { state: state.name.clone() });
        }
        if let Some(own) = self.loops.first() {
            let node = self.nodes[own.first].name.clone();
            return Err(StreamingError::Loops { node, steps: own.steps });
        }
        let axis = match streaming.axis {
            Some(axis) => axis,
            None => axis::found(self)?,
        };
        let mut streamed = build::streamed(self, axis, streaming.chunk)?;
        crate::verify::verify(&streamed.program)?;
        let rows = streamed.outputs.iter().any(|output| output.rows.is_some());
        let windows = streamed.outputs.iter().any(|output| output.rows.is_none());
        streamed.differs = windows && check::differs(&streamed, self)?;
        if !streamed.differs && !rows {
            streamed.padded.clear();
        } else if !streamed.differs {
            // What rows before the recording hold, they hold in both.
            streamed.padded.retain(|name| !build::only_pads(self, name));
        }
        Ok(streamed)
    }
}

/// `0 or 2`.
fn list(axes: &[usize]) -> String {
    let axes: Vec<String> = axes.iter().map(usize::to_string).collect();
    match axes.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}
