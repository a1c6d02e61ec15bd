//! Invariants of sliding windows.

use burn_ptq_kernels::geometry::Window;

use super::limits::MAX_WINDOW;
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
    verify_steps(node, window)?;
    let Window { kernel, stride, dilation, pad } = *window;
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

/// Checks the window of a transposed convolution, which walks over the output plane, against its
/// extents, which are at least 1.
pub(super) fn verify_transposed_window(
    node: &IntNode,
    window: &Window,
    output: [usize; 2],
) -> Result<(), Violation> {
    verify_steps(node, window)?;
    let Window { kernel, dilation, pad, .. } = *window;
    for axis in 0..2 {
        // Below 2^32 each, as extents are below 2^30 and the rest is below 2^16.
        let reach = (kernel[axis] as u64 - 1) * dilation[axis] as u64 + 1;
        let end = output[axis] as u64 + pad[axis] as u64;
        ensure(
            reach.max(end) <= i32::MAX as u64,
            node,
            format_args!("a kernel and a padded output along axis {axis} of 31 bits"),
            format_args!("a kernel that reaches over {reach}, and {end} elements"),
        )?;
    }
    Ok(())
}

/// Checks the window's steps by themselves.
fn verify_steps(node: &IntNode, window: &Window) -> Result<(), Violation> {
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
