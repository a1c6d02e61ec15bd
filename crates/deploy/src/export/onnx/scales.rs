//! Real factors: the scales with which operators on floats compute what the program's multipliers do.

use std::ops::RangeInclusive;

use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::AddParams;

use super::graph::Graph;
use crate::export::shared::refusal::Refusal;
use crate::op::{DType, Weighted};
use crate::program::IntTensor;

/// Scales of grids whose products floats of 32 bits hold, and sums of many of them.
pub(super) const SCALES: RangeInclusive<f32> = 1e-12..=1e12;

/// The refusal of other scales.
pub(super) const OUT_OF_RANGE: Refusal = Refusal::new(
    "scales of its grids are not between 1e-12 and 1e12, so that products leave 32-bit floats",
);

/// The part of a step by which a missing correction may move an output.
const NEGLIGIBLE: f64 = 0.25;

/// The factor as [`Multiplier::apply`] has it.
pub(super) fn real(multiplier: Multiplier) -> f64 {
    f64::from(multiplier.quantized) * 2_f64.powi(multiplier.exponent - 31)
}

/// The factor with which sums of elements of a type are rescaled: [`Multiplier::apply_wide`] has 15 bits.
pub(super) fn of_sums(multiplier: Multiplier, dtype: DType) -> f64 {
    match dtype {
        DType::I8 | DType::I4 => real(multiplier),
        DType::I16 => {
            let reduced = ((i64::from(multiplier.quantized) + (1 << 15)) >> 16).min(0x7FFF);
            reduced as f64 * 2_f64.powi(multiplier.exponent - 15)
        }
    }
}

/// The factors of both inputs of a sum.
pub(super) fn of_add(params: &AddParams) -> [f64; 2] {
    let shifted = real(params.output) * f64::from(1_u32 << params.left_shift.min(31));
    [params.a, params.b].map(|own| real(own) * shifted)
}

/// The scale of an activation.
pub(super) fn scale(tensor: &IntTensor) -> f64 {
    f64::from(tensor.grid.scale)
}

/// `value` times `factor / expected`, where the difference matters on the grid of `output`: the program has
/// `factor`, and floats on the grids of the file have `expected`.
pub(super) fn corrected(
    graph: &mut Graph,
    value: String,
    [factor, expected]: [f64; 2],
    output: &IntTensor,
) -> String {
    let ratio = factor / expected;
    let steps = f64::from(output.grid.max) - f64::from(output.grid.min);
    if (ratio - 1.0).abs() * steps <= NEGLIGIBLE {
        return value;
    }
    let factor = graph.real("factor", ratio as f32);
    graph.operator("Mul", &[&value, &factor], Vec::new())
}

/// The scales of weights, one for each channel or one for all: their own where the multipliers follow from
/// them, else those that the multipliers follow from.
pub(super) fn of_weights(weighted: &Weighted, input: &IntTensor, output: &IntTensor) -> Vec<f32> {
    let Weighted { weights, multipliers, .. } = weighted;
    let count = weights.scales.len().max(multipliers.len());
    let of = |channel: usize| {
        let own = weights.scales.get(channel).or(weights.scales.first()).copied().unwrap_or(1.0);
        let multiplier = multipliers.get(channel).or(multipliers.first()).copied();
        let real = multiplier.map_or(0.0, |own| of_sums(own, input.dtype));
        let derived = real * scale(output) / scale(input);
        let close = (derived / f64::from(own) - 1.0).abs() < f64::from(f32::EPSILON);
        if close { own } else { derived as f32 }
    };
    (0..count).map(of).collect()
}
