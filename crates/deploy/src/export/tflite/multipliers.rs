//! The multipliers that the interpreters derive from scales.

use burn_ptq_kernels::multiplier::Multiplier;

use crate::export::shared::refusal::{NOT_DERIVED, Refusal};
use crate::program::IntTensor;

/// The multiplier from one grid to another.
pub(super) fn ratio(input: &IntTensor, output: &IntTensor) -> Option<Multiplier> {
    Multiplier::from_real(f64::from(input.grid.scale) / f64::from(output.grid.scale))
}

/// Checks that the interpreters derive the multiplier.
pub(super) fn derived(
    derived: Option<Multiplier>,
    multiplier: Multiplier,
    output: &IntTensor,
) -> Result<(), Refusal> {
    match derived == Some(multiplier) {
        true => Ok(()),
        false if output.bits < 8 => Err(Refusal::few_bits()),
        false => Err(NOT_DERIVED),
    }
}
