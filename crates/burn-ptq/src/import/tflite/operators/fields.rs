//! The fields of an operator's options, and what they say.

use burn_ptq_deploy::tflite::bytes::{Damage, Table};
use burn_ptq_deploy::tflite::file::Operator;

use crate::import::tflite::translator::Refusal;

/// A field of an operator's options; what is not there is 0.
pub(super) fn option<T: Default>(
    operator: &Operator,
    read: impl FnOnce(Table) -> Result<T, Damage>,
) -> Result<T, Refusal> {
    let read = operator.options.map(read).transpose();
    read.map(Option::unwrap_or_default).map_err(|damage| Refusal::invalid(damage.to_string()))
}

/// The number at `place` in an operator's options.
pub(super) fn int(operator: &Operator, place: usize) -> Result<i32, Refusal> {
    option(operator, |options| options.int(place))
}

/// The byte at `place` in an operator's options.
pub(super) fn byte(operator: &Operator, place: usize) -> Result<u8, Refusal> {
    option(operator, |options| options.byte(place))
}

/// The axis that a number means among `axes`, counted from behind if it is negative.
pub(super) fn axis(number: i64, axes: usize) -> Result<usize, Refusal> {
    let from_front = if number < 0 { number.saturating_add(axes as i64) } else { number };
    let axis = usize::try_from(from_front).ok().filter(|&axis| axis < axes);
    axis.ok_or_else(|| Refusal::invalid(format!("axis {number} of a tensor with {axes} axes")))
}
