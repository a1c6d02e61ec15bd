//! Invariants of movements.

use burn_ptq_kernels::reference::MAX_AXES;

use super::checks::verify_length;
use super::violation::{Violation, ensure};
use crate::movement::MoveAxis;
use crate::program::{IntNode, IntTensor};

/// Checks that the axes give the output's elements, and that every place lies in the input: the least
/// and the largest of them do.
pub(super) fn verify_rearrange(
    node: &IntNode,
    first: usize,
    axes: &[MoveAxis],
    input: &IntTensor,
    output: &IntTensor,
) -> Result<(), Violation> {
    ensure(
        (1..=MAX_AXES).contains(&axes.len()),
        node,
        format_args!("1 to {MAX_AXES} axes"),
        format_args!("{}", axes.len()),
    )?;
    let counts: Vec<usize> = axes.iter().map(MoveAxis::count).collect();
    verify_length(node, "output", output, &counts)?;
    let (mut least, mut largest) = (first as i128, first as i128);
    for axis in axes {
        let (low, high) = reach(axis);
        (least, largest) = (least + low, largest + high);
    }
    ensure(
        0 <= least && largest < input.len() as i128,
        node,
        format_args!("places in an input of {} elements", input.len()),
        format_args!("places from {least} to {largest}"),
    )
}

/// The least and the largest distance that an axis leads to.
fn reach(axis: &MoveAxis) -> (i128, i128) {
    match axis {
        MoveAxis::Even { count, step } => {
            let end = count.saturating_sub(1) as i128 * *step as i128;
            (end.min(0), end.max(0))
        }
        MoveAxis::Listed(places) => {
            let bound = |place: Option<&u32>| place.map_or(0, |&place| i128::from(place));
            (bound(places.iter().min()), bound(places.iter().max()))
        }
    }
}
