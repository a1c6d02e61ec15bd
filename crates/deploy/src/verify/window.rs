//! Invariants of sliding windows.

use burn_ptq_kernels::geometry::Window;

use super::MAX_WINDOW;
use super::violation::{Violation, ensure};
use crate::program::IntNode;

/// Checks the window against the extents of the input and output planes, which are at least 1.
///
/// `needs_element`: every window must hold an element that is not padding.
pub(super) fn verify_window(
    node: &IntNode,
    window: &Window,
    input: [usize; 2],
    output: [usize; 2],
    needs_element: bool,
) -> Result<(), Violation> {
    let Window { kernel, stride, dilation, pad } = *window;
    for (what, values, least) in
        [("kernel", kernel, 1), ("stride", stride, 1), ("dilation", dilation, 1), ("pad", pad, 0)]
    {
        ensure(
            values.iter().all(|value| (least..=MAX_WINDOW).contains(value)),
            node,
            format_args!("{what} of {least} to {MAX_WINDOW}"),
            format_args!("{values:?}"),
        )?;
    }
    for axis in 0..2 {
        // Below 2^32 each, as extents are below 2^30 and the rest is below 2^16.
        let reach = ((kernel[axis] - 1) * dilation[axis] + 1) as u64;
        let start = (output[axis] as u64 - 1).saturating_mul(stride[axis] as u64);
        let padded = (input[axis] + 2 * pad[axis]) as u64;
        ensure(
            start < padded && start + reach <= i32::MAX as u64,
            node,
            format_args!(
                "windows along axis {axis} that start within extent {} padded by {} on both sides",
                input[axis], pad[axis]
            ),
            format_args!("the last of {} starts at {start}", output[axis]),
        )?;
        ensure(
            !needs_element || every_window_holds_an_element(window, axis, input, output),
            node,
            format_args!("an element that is not padding in every window along axis {axis}"),
            format_args!(
                "kernel {}, stride {}, dilation {}, pad {} from extent {} to {}",
                kernel[axis], stride[axis], dilation[axis], pad[axis], input[axis], output[axis]
            ),
        )?;
    }
    Ok(())
}

fn every_window_holds_an_element(
    window: &Window,
    axis: usize,
    input: [usize; 2],
    output: [usize; 2],
) -> bool {
    let holds = |out: usize| {
        let start = out * window.stride[axis];
        let skipped = window.pad[axis].saturating_sub(start).div_ceil(window.dilation[axis]);
        skipped < window.kernel[axis] && window.input(axis, out, skipped, input[axis]).is_some()
    };
    // Windows that start at a real element or after it hold the first only if the last one does.
    let started_in_padding = window.pad[axis].div_ceil(window.stride[axis]).min(output[axis]);
    (0..started_in_padding).all(holds) && holds(output[axis] - 1)
}
