//! What the sums of each channel can be, for kernels that make outputs of them in a form of their own.

use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::Clamp;

use super::layer::is_depthwise;
use crate::op::{IntOp, Weighted};
use crate::program::{IntNode, Program};

/// The clamp of outputs that 8 bits alone bound.
pub(super) const FULL: Clamp = Clamp { min: -128, max: 127 };

/// The clamp of outputs that 16 bits alone bound.
pub(super) const FULL_WIDE: Clamp = Clamp { min: -32768, max: 32767 };

/// The sums of a channel, for all inputs of 8 bits.
pub(super) struct Span {
    /// The bias less the zero point of the input times the sum of the weights.
    pub bias: i64,
    /// The least sum.
    pub low: i64,
    /// The largest sum.
    pub high: i64,
    pub factor: Multiplier,
    /// The output, if it is the same for every input.
    pub constant: Option<i32>,
}

/// The sums of each channel of a layer whose outputs their type alone bounds; `None` if one of them leaves 32
/// bits, also after the multiplier's left shift.
pub(super) fn spans(program: &Program, node: &IntNode, weighted: &Weighted) -> Option<Vec<Span>> {
    let input = program.tensors[node.inputs[0].0].grid.zero_point;
    let output = program.tensors[node.output.0].grid.zero_point;
    let bounds = weighted.clamp;
    let span = |(index, (bias, low, high)): (usize, (i64, i64, i64))| {
        let factor = weighted.multipliers[if weighted.multipliers.len() == 1 { 0 } else { index }];
        let rescaled = |sum: i64| {
            let sum = i32::try_from(sum).ok()?;
            // Nothing is lost by the multiplier's left shift.
            sum.checked_mul(1 << factor.exponent.max(0))?;
            Some(bounds.apply(factor.apply(sum).saturating_add(output)))
        };
        let [least, most] = [rescaled(low)?, rescaled(high)?];
        Some(Span { bias, low, high, factor, constant: (least == most).then_some(least) })
    };
    sums(&node.op, weighted, input).into_iter().enumerate().map(span).collect()
}

/// For each channel, its bias for inputs as they are, and the least and the largest sum with any input.
fn sums(op: &IntOp, weighted: &Weighted, zero_point: i32) -> Vec<(i64, i64, i64)> {
    let channels = weighted.bias.len();
    let values = weighted.weights.unpack();
    let taps = values.len() / channels;
    let mut biases: Vec<i64> = weighted.bias.iter().map(|&bias| i64::from(bias)).collect();
    let mut spans = vec![(0_i64, 0_i64); channels];
    let last = is_depthwise(op);
    for (i, &value) in values.iter().enumerate() {
        let (channel, value) = (if last { i % channels } else { i / taps }, i64::from(value));
        biases[channel] -= value * i64::from(zero_point);
        let ends = [-128 * value, 127 * value];
        spans[channel].0 += ends[0].min(ends[1]);
        spans[channel].1 += ends[0].max(ends[1]);
    }
    biases
        .into_iter()
        .zip(spans)
        .map(|(bias, (low, high))| (bias, bias + low, bias + high))
        .collect()
}
