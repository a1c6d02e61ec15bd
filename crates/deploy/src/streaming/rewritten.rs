//! What becomes of an operation that computes new rows from new rows.

use burn_ptq_kernels::geometry::Window;

use super::layout::Layout;
use crate::op::IntOp;

/// An input of an operation, as far as it matters for its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operand {
    /// It has rows of time, as many as the offline program.
    Rows(Layout),
    /// It is the same for all time.
    Fixed,
}

/// An operation that computes rows of its output from rows of its inputs.
///
/// Row `j` of the output follows from the rows `j * stride - pad` and the next ones, `extent` in all, of every
/// input that has rows.
pub(super) struct ByRows {
    pub extent: usize,
    pub stride: usize,
    pub pad: isize,
    /// What rows before the recording hold, if not the zero point.
    pub padding: Option<i32>,
    /// Whether it only moves rows: what it writes of padding is padding.
    pub moves: bool,
    /// Whether it may read more rows than it needs, from the first one on.
    pub reads_more: bool,
    /// The output's layout offline.
    pub output: Layout,
    /// What becomes of the operation; `None` for what writes what it reads.
    pub op: Rewritten,
}

/// The operation for `[rows of the inputs, rows of the output]`.
pub(super) enum Rewritten {
    /// Nothing is left of it.
    Gone,
    /// Its extents do not depend on the rows.
    Same,
    /// It is made of the rows.
    Made(Box<dyn Fn(usize, usize) -> IntOp>),
}

impl ByRows {
    /// Row `j` of the output follows from row `j` of the inputs.
    pub(super) fn pointwise(output: Layout, op: Rewritten) -> Self {
        Self {
            extent: 1,
            stride: 1,
            pad: 0,
            padding: None,
            moves: false,
            reads_more: false,
            output,
            op,
        }
    }

    /// A window over the rows.
    pub(super) fn windowed(window: Window, axis: usize, output: Layout, op: Rewritten) -> Self {
        Self {
            extent: (window.kernel[axis] - 1) * window.dilation[axis] + 1,
            stride: window.stride[axis],
            pad: window.pad[axis] as isize,
            reads_more: true,
            ..Self::pointwise(output, op)
        }
    }

    /// Whether windows reach beyond the offline program's rows, of which the input has `rows`.
    pub(super) fn is_padded(&self, rows: usize) -> bool {
        let last = (self.output.rows as isize - 1) * self.stride as isize - self.pad;
        self.pad > 0 || last + self.extent as isize > rows as isize
    }
}
