//! Checks that several kinds of operations share: lengths, grids, bounds, multipliers and what they make of values.

use burn_ptq_kernels::multiplier::{MAX_EXPONENT, Multiplier};
use burn_ptq_kernels::params::Clamp;

use super::limits::element_count;
use super::violation::{Subject, Violation, ensure};
use crate::op::DType;
use crate::printable::name;
use crate::program::{IntNode, IntTensor, Program, TensorId};

/// Checks that a tensor exists.
pub(super) fn verify_id(
    program: &Program,
    subject: Subject,
    role: &str,
    id: TensorId,
) -> Result<(), Violation> {
    let count = program.tensors.len();
    ensure(
        id.0 < count,
        subject,
        format_args!("the {role}'s tensor id below {count}"),
        format_args!("id {}", id.0),
    )
}

/// Checks that a tensor has as many elements as `extents` say.
pub(super) fn verify_length(
    node: &IntNode,
    role: &str,
    tensor: &IntTensor,
    extents: &[usize],
) -> Result<(), Violation> {
    ensure(
        element_count(extents) == Some(tensor.len()),
        node,
        format_args!("an {role} of {extents:?} elements"),
        format_args!("`{}` of shape {:?}", name(&tensor.name), tensor.shape),
    )
}

/// Checks that an operation leaves the grid as it is.
pub(super) fn verify_same_grid(
    node: &IntNode,
    input: &IntTensor,
    output: &IntTensor,
) -> Result<(), Violation> {
    ensure(
        input.grid == output.grid,
        node,
        format_args!("the output's grid {:?} at the input", output.grid),
        format_args!("`{}` with {:?}", name(&input.name), input.grid),
    )
}

/// Checks the bounds of an output.
pub(super) fn verify_clamp(
    node: &IntNode,
    clamp: Clamp,
    output: &IntTensor,
) -> Result<(), Violation> {
    let grid = output.grid;
    ensure(
        grid.min <= clamp.min && clamp.min <= clamp.max && clamp.max <= grid.max,
        node,
        format_args!("output bounds within the grid's {} to {}", grid.min, grid.max),
        format_args!("{} to {}", clamp.min, clamp.max),
    )
}

/// The largest magnitude of an element minus its zero point, whatever bytes the tensor holds.
pub(super) fn magnitude(tensor: &IntTensor) -> i64 {
    match tensor.dtype {
        DType::I8 | DType::I4 => 128 + i64::from(tensor.grid.zero_point.abs()),
        DType::I16 => 1 << 15,
    }
}

/// Checks that a multiplier is one that [`Multiplier::from_real`] and
/// [`Multiplier::rounding_once`] can return.
pub(super) fn verify_multiplier(node: &IntNode, multiplier: Multiplier) -> Result<(), Violation> {
    let Multiplier { quantized, exponent } = multiplier;
    let normalised = quantized >= 1 << 30 && (-31..=MAX_EXPONENT).contains(&exponent);
    ensure(
        normalised || (quantized >= 0 && exponent == 0),
        node,
        format_args!(
            "multipliers of 2^30 to 2^31 - 1 with exponents of -31 to {MAX_EXPONENT}, or smaller \
             ones with exponent 0"
        ),
        format_args!("{quantized} with exponent {exponent}"),
    )
}

/// The largest magnitude of [`Multiplier::apply`] to values of at most `bound`, or `None` if the
/// left shift leaves 32 bits.
pub(super) fn scaled_bound(multiplier: Multiplier, bound: i64) -> Option<i64> {
    let shifted = bound.checked_mul(1 << multiplier.exponent.max(0))?;
    if shifted > i64::from(i32::MAX) {
        return None;
    }
    // Monotone, and symmetric except for the first rounding.
    Some(i64::from(multiplier.apply(bound as i32)) + 1)
}

/// Checks a multiplier that is applied to values of at most `bound` and whose results get the
/// output's zero point.
pub(super) fn verify_rescaling(
    node: &IntNode,
    multiplier: Multiplier,
    bound: i64,
    output: &IntTensor,
) -> Result<(), Violation> {
    verify_multiplier(node, multiplier)?;
    verify_scaled(node, multiplier, bound, output)
}

/// The same of a multiplier that has been checked.
pub(super) fn verify_scaled(
    node: &IntNode,
    multiplier: Multiplier,
    bound: i64,
    output: &IntTensor,
) -> Result<(), Violation> {
    let zero_point = i64::from(output.grid.zero_point.abs());
    ensure(
        scaled_bound(multiplier, bound).is_some_and(|y| y + zero_point <= i64::from(i32::MAX)),
        node,
        "values whose rescaling fits 32 bits",
        format_args!("values of up to {bound} and exponent {}", multiplier.exponent),
    )
}
