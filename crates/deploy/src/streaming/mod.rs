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
mod error;
mod layout;
mod movement;
mod operations;
mod rewritten;
mod rows;
mod streamed;
mod values;

use crate::program::Program;

pub use error::StreamingError;
pub use streamed::{Streamed, StreamedOutput, Streaming};

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
