//! Where time lies in an activation.

use crate::program::Border;

/// An activation's memory as an array of `[outer, rows, inner]` elements: time goes along the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub outer: usize,
    pub rows: usize,
    pub inner: usize,
}

impl Layout {
    /// The layout of an array of `extents` with time along `axis`.
    pub(super) fn along(extents: &[usize], axis: usize) -> Self {
        Self {
            outer: extents[..axis].iter().product(),
            rows: extents[axis],
            inner: extents[axis + 1..].iter().product(),
        }
    }

    /// The layout of a program's input, by its border; `axis` is one of the source model's sample. `None` if
    /// the border does not keep that axis.
    pub(super) fn of_border(border: &Border, axis: usize) -> Option<Self> {
        let Border { source_shape, extents, axes } = border;
        let kept = extents.len() >= source_shape.len()
            && extents[..source_shape.len()] == source_shape[..]
            && axis < source_shape.len();
        let place = axes.iter().position(|&own| own == axis).filter(|_| kept)?;
        let memory: Vec<usize> = axes.iter().map(|&axis| extents[axis]).collect();
        Some(Self::along(&memory, place))
    }

    /// The axis of an array of `extents` along which time goes.
    pub(super) fn axis(self, extents: &[usize]) -> Option<usize> {
        (0..extents.len()).find(|&axis| Self::along(extents, axis) == self)
    }

    /// The same with other rows.
    pub(super) fn with_rows(self, rows: usize) -> Self {
        Self { rows, ..self }
    }

    /// The shape of a tensor like one of `shape`, which holds `time` rows, but with the rows of this
    /// layout.
    pub(super) fn shape(self, shape: [usize; 3], time: usize) -> [usize; 3] {
        let whole = self.with_rows(time);
        match whole.axis(&shape) {
            Some(axis) => {
                let mut shape = shape;
                shape[axis] = self.rows;
                shape
            }
            None => [self.outer, self.rows, self.inner],
        }
    }
}
