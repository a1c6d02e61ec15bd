//! What windows read: which taps lie within the input.

use std::ops::Range;

use burn_ptq_kernels::geometry::Window;

/// The taps of every output along one axis.
pub(super) struct Axis {
    /// Taps of the kernel.
    pub kernel: usize,
    /// Those within the input, of each output.
    pub taps: Vec<Range<usize>>,
}

impl Axis {
    /// Taps within the input, of all outputs.
    pub(super) fn sum(&self) -> usize {
        self.taps.iter().map(Range::len).sum()
    }

    /// Taps beyond its ends, which kernels find one by one.
    pub(super) fn clipped(&self) -> usize {
        self.taps.len() * self.kernel - self.sum()
    }

    /// Outputs of which `holds` is true.
    pub(super) fn count(&self, holds: impl Fn(&Range<usize>) -> bool) -> usize {
        self.taps.iter().filter(|taps| holds(taps)).count()
    }

    /// The sum of `each` over the outputs.
    pub(super) fn total(&self, each: impl Fn(&Range<usize>) -> usize) -> usize {
        self.taps.iter().map(each).sum()
    }
}

/// What the windows over a plane read.
pub(super) struct Reach {
    /// The axes by themselves.
    pub axes: [Axis; 2],
    /// Pixels of the input, of all windows.
    pub pixels: usize,
    /// Rows of kernels with one or more of them.
    pub rows: usize,
    /// Taps beyond the ends of their axis, of all windows.
    pub clipped: usize,
    /// Windows that reach into the padding.
    pub edges: usize,
    /// Groups of four windows that follow each other in a row and lie within the input; kernels take their
    /// elements together.
    pub groups: usize,
    /// Other windows within the input.
    pub lone: usize,
}

impl Reach {
    pub(super) fn new(window: &Window, input: [usize; 2], output: [usize; 2]) -> Self {
        let axes = [0, 1].map(|axis| Axis {
            kernel: window.kernel[axis],
            taps: (0..output[axis]).map(|out| window.taps(axis, out, input[axis])).collect(),
        });
        let whole = |axis: usize, at: usize| {
            axes[axis].taps.get(at).is_some_and(|taps| taps.len() == window.kernel[axis])
        };
        let is_whole = |pixel: usize| whole(0, pixel / output[1]) && whole(1, pixel % output[1]);
        let pixels = output[0] * output[1];
        let inside = (0..pixels).filter(|&pixel| is_whole(pixel)).count();
        let groups = (0..pixels / 4)
            .map(|group| 4 * group)
            .filter(|&first| first % output[1] + 3 < output[1] && (first..first + 4).all(is_whole));
        let groups = groups.count();
        let [rows, columns] = &axes;
        Self {
            pixels: rows.sum() * columns.sum(),
            rows: rows.sum() * output[1],
            clipped: rows.clipped() * output[1] + columns.clipped() * output[0],
            edges: pixels - inside,
            groups,
            lone: inside - 4 * groups,
            axes,
        }
    }
}
