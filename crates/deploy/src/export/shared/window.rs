//! Where windows begin and end.

use burn_ptq_kernels::geometry::Window;

/// Elements that a window spans along an axis.
pub(crate) fn reach(window: &Window, axis: usize) -> usize {
    (window.kernel[axis] - 1) * window.dilation[axis] + 1
}

/// Where the last window of `output` ends, along both axes, from the beginning of the padding.
pub(crate) fn end(window: &Window, output: [usize; 2]) -> [usize; 2] {
    [0, 1].map(|axis| (output[axis] - 1) * window.stride[axis] + reach(window, axis))
}
