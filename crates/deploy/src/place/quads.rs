//! Which layers run four channels at a time on the vector extension, with how much scratch, and what
//! their channels need there.
//!
//! `bptq_quad.h` of the C runtime says how sums of several channels share a register, and how it makes
//! outputs of them.

use burn_ptq_kernels::geometry::ConvGeometry;

use super::layer::{is_depthwise, is_narrow, packed_bits};
use super::spans::{FULL, Span, spans};
use crate::op::{IntOp, Weighted, weightless};
use crate::program::{IntNode, Program};
use crate::target::Kernels;

/// What makes the outputs of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// The bias less the zero point of the input times the sum of the weights.
    pub bias: i32,
    /// The multiplier's significand.
    pub quantized: i32,
    /// The multiplier's exponent, which is not positive.
    pub exponent: i32,
    /// Whether the output is the same for every input: the bias makes it, the weights are zero.
    pub constant: bool,
}

/// Channels whose outputs are made together.
const CHANNELS: usize = 4;

/// Weights that a filter is padded to a multiple of; `BPTQ_QUAD_UNIT` of the C runtime.
const UNIT: usize = 16;

/// Whether `node` meets all conditions of its kernel.
pub fn fits(program: &Program, node: &IntNode) -> bool {
    let Some(weighted) = node.op.weighted() else { return false };
    is_narrow(program, node)
        && weighted.clamp == FULL
        && shape_fits(&node.op, weighted)
        && channels(program, node).is_some()
}

/// Bytes of scratch of an operation that runs four channels at a time.
pub fn scratch_bytes(op: &IntOp) -> usize {
    match op {
        IntOp::Conv2d { geometry, .. } if reads_in_place(geometry) => 0,
        IntOp::Conv2d { geometry, .. } => 2 * filter_len(geometry.weights_per_channel()),
        IntOp::FullyConnected { in_features, .. } if in_features.is_multiple_of(UNIT) => 0,
        IntOp::FullyConnected { rows, in_features, .. } => {
            (*rows).min(2) * filter_len(*in_features)
        }
        IntOp::DepthwiseConv2d { geometry, .. } => geometry.channels,
        IntOp::TransposeConv2d { .. } | weightless!() => 0,
    }
}

/// The channels of `node`; `None` if one of them breaks a condition.
///
/// A channel that has the same output for every input gets it by its bias alone: such channels carry biases
/// and shifts that would exclude the whole layer.
pub fn channels(program: &Program, node: &IntNode) -> Option<Vec<Channel>> {
    let weighted = node.op.weighted()?;
    let output = program.tensors[node.output.0].grid.zero_point;
    // Products are moved down before they are shifted, unless they are all bounded by the zero point.
    let shifts = i32::from(output != FULL.min)..=31;
    let channel = |(index, span): (usize, Span)| {
        let Span { bias, low, high, factor, constant } = span;
        if let Some(y) = constant {
            // Half of the bias, then half of that, both exact.
            let bias = 4 * (y - output);
            return Some(Channel { bias, quantized: 1 << 30, exponent: -1, constant: true });
        }
        let (limit, excess) = limits(&node.op, weighted, index);
        let within = -limit <= low - excess && high + excess < limit;
        (within && shifts.contains(&-factor.exponent)).then_some(Channel {
            bias: bias as i32,
            quantized: factor.quantized,
            exponent: factor.exponent,
            constant: false,
        })
    };
    spans(program, node, weighted)?.into_iter().enumerate().map(channel).collect()
}

/// What the magnitude of a channel's sum must stay below, and by how much the weights' offset may move it
/// there: sums of channels whose weights share a byte share a register.
fn limits(op: &IntOp, weighted: &Weighted, channel: usize) -> (i64, i64) {
    if is_depthwise(op) {
        return (1 << 31, 0);
    }
    let bits = usize::from(packed_bits(op, weighted, Kernels::Quads));
    let (place, last) = (channel % (8 / bits), 8 / bits - 1);
    let taps = filter_len(weighted.weights.len() / weighted.bias.len());
    // The lowest weights have no bits below them, the highest ones are signed.
    let moved = if place == 0 || place == last { 0 } else { taps << (bits - 1) };
    (1 << (31 - bits * place), 128 * moved as i64)
}

/// Weights that a filter of `taps` weights is padded to.
pub fn filter_len(taps: usize) -> usize {
    taps.next_multiple_of(UNIT)
}

fn shape_fits(op: &IntOp, weighted: &Weighted) -> bool {
    match op {
        IntOp::Conv2d { geometry: g, .. } => {
            g.groups == 1 && g.window.dilation == [1; 2] && g.out_channels.is_multiple_of(CHANNELS)
        }
        IntOp::FullyConnected { out_features, .. } => out_features.is_multiple_of(CHANNELS),
        IntOp::DepthwiseConv2d { geometry: g, .. } => {
            g.multiplier == 1
                && g.channels.is_multiple_of(CHANNELS)
                && g.window.kernel == [3; 2]
                && g.window.dilation == [1; 2]
                && (weighted.weights.storage < 8 || products_fit(weighted))
        }
        IntOp::TransposeConv2d { .. } | weightless!() => false,
    }
}

/// Whether the products of every two taps that are added in 16 bits fit them: they do unless both weights
/// are -128.
fn products_fit(weighted: &Weighted) -> bool {
    let (values, channels) = (weighted.weights.unpack(), weighted.bias.len());
    let taps: Vec<&[i8]> = values.chunks(channels).collect();
    taps.chunks_exact(2)
        .all(|pair| pair[0].iter().zip(pair[1]).all(|(&a, &b)| (a, b) != (i8::MIN, i8::MIN)))
}

/// Whether a window is a pixel that the kernel reads where it stands.
fn reads_in_place(geometry: &ConvGeometry) -> bool {
    let window = geometry.window;
    window.kernel == [1; 2]
        && window.stride == [1; 2]
        && window.pad == [0; 2]
        && geometry.input == geometry.output
        && geometry.in_channels.is_multiple_of(UNIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_padded_like_those_of_the_c_runtime() {
        let header = include_str!("../../c/quad/bptq_quad_math.h");
        assert!(header.contains(&format!("#define BPTQ_QUAD_UNIT {UNIT}\n")));
    }
}
