//! What activations of the offline program become.

use super::layout::Layout;
use crate::program::TensorId;

/// An activation of the offline program in the streamed one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    /// It does not depend on time.
    Fixed(TensorId),
    /// New rows of it.
    Rows(Rows),
    /// All that the offline program has of it, and how many frames back it reaches.
    Whole(TensorId, usize),
}

/// New rows of an activation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows {
    pub id: TensorId,
    /// The layout of the new rows.
    pub layout: Layout,
    /// Rows of the offline program.
    pub time: usize,
    /// Frames from one row to the next.
    pub rate: usize,
    /// Rows by which it lags behind.
    pub delay: isize,
    /// What rows before the recording hold.
    pub padding: i32,
    /// Frames that the first of the new rows reaches back.
    pub reach: usize,
}

impl Rows {
    pub(super) fn offline(&self) -> Layout {
        self.layout.with_rows(self.time)
    }
}
