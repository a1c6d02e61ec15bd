//! Which kernels an operation runs on, and what they need.
//!
//! Every target has the portable kernels; those of an instruction set take the operations that they
//! are written for, where their arithmetic stays exact.

pub use burn_ptq_kernels::dsp::filter_len as dsp_filter_len;

pub use super::layer::packed_bits;

use super::layer::{is_depthwise, is_narrow, widens};
use super::{quads, scalar, scratch, tiles};
use crate::op::{Broadcast, DType, IntOp, Weighted, weightless};
use crate::program::{IntNode, IntTensor, Program, TensorId};
use crate::target::Kernels;

/// Taps of the largest depthwise kernel that the DSP and vector kernels take; `BPTQ_DSP_TAPS` of the
/// C runtime.
pub const MAX_TAPS: usize = 64;

/// Elements of the largest window whose mean the vector kernels take; `BPTQ_MVE_POOL_TAPS` of the C
/// runtime.
pub const MVE_POOL_TAPS: usize = 4096;

/// Channels that follow the last one in the biases and multipliers of the vector kernels.
pub const MVE_PADDING: usize = 3;

/// The kernels that `node` runs on where `available` exist.
pub fn chosen(program: &Program, node: &IntNode, available: Kernels) -> Kernels {
    let fits = match available {
        Kernels::Portable => false,
        Kernels::Scalar => scalar::fits(program, node),
        Kernels::Dsp => runs_on_dsp(program, node),
        Kernels::Tiles if tiles::fits(program, node) => true,
        Kernels::Tiles => return chosen(program, node, Kernels::Dsp),
        Kernels::Mve => runs_on_mve(program, node),
        Kernels::Quads if quads::fits(program, node) => true,
        Kernels::Quads => return chosen(program, node, Kernels::Mve),
    };
    if fits { available } else { Kernels::Portable }
}

/// What a node asks of memory on the kernels that it runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Bytes of scratch.
    pub scratch: usize,
    /// Whether the output of a whole call may lie where the first input lies, element on element.
    pub in_place: bool,
}

/// What `node` needs on the kernels that it runs on.
pub fn needs(program: &Program, node: &IntNode, available: Kernels) -> Needs {
    let in_place = node.op.is_elementwise();
    match chosen(program, node, available) {
        Kernels::Portable => {
            let wide = |input: &TensorId| program.tensors[input.0].dtype == DType::I16;
            let wide = node.inputs.first().is_some_and(wide);
            Needs { scratch: scratch::scratch_bytes(&node.op, wide), in_place }
        }
        Kernels::Scalar => Needs {
            scratch: scalar::scratch_bytes(&node.op),
            in_place: in_place || scalar::works_in_place(&node.op),
        },
        Kernels::Dsp => Needs { scratch: dsp_scratch_bytes(&node.op), in_place },
        Kernels::Tiles => Needs {
            scratch: tiles::scratch_bytes(&node.op),
            in_place: in_place || tiles::works_in_place(&node.op),
        },
        Kernels::Mve => Needs { scratch: mve_scratch_bytes(&node.op), in_place },
        Kernels::Quads => Needs { scratch: quads::scratch_bytes(&node.op), in_place },
    }
}

/// The biases of `node` in the form of `kernels`: where inputs are multiplied as they are, less the
/// zero point of the input times the sum of each channel's weights.
pub fn biases(node: &IntNode, weighted: &Weighted, kernels: Kernels, zero_point: i32) -> Vec<i32> {
    let depthwise = is_depthwise(&node.op);
    if kernels == Kernels::Portable || (kernels == Kernels::Dsp && !depthwise) {
        return weighted.bias.clone();
    }
    let mut biases = weighted.bias.clone();
    let channels = biases.len();
    let values = weighted.weights.unpack();
    let taps = values.len() / channels;
    for (i, &value) in values.iter().enumerate() {
        let bias = &mut biases[if depthwise { i % channels } else { i / taps }];
        // The kernels' sums wrap alike.
        *bias = bias.wrapping_sub(zero_point * i32::from(value));
    }
    biases
}

fn dsp_scratch_bytes(op: &IntOp) -> usize {
    let patch = |taps: usize, weighted: &Weighted| {
        2 * dsp_filter_len(taps, packed_bits(op, weighted, Kernels::Dsp))
    };
    match op {
        IntOp::Conv2d { geometry, weighted } => 2 * patch(geometry.weights_per_channel(), weighted),
        IntOp::FullyConnected { in_features, weighted, .. } => patch(*in_features, weighted),
        IntOp::DepthwiseConv2d { geometry, .. } => geometry.channels,
        IntOp::TransposeConv2d { .. } | weightless!() => 0,
    }
}

/// Weights that a filter of `taps` weights is padded to; `BPTQ_MVE_UNIT` of the C runtime.
pub fn mve_filter_len(taps: usize, bits: u8) -> usize {
    taps.next_multiple_of(128 / usize::from(bits))
}

fn mve_scratch_bytes(op: &IntOp) -> usize {
    let Some(weighted) = op.weighted() else { return 0 };
    let bits = packed_bits(op, weighted, Kernels::Mve);
    match op {
        IntOp::Conv2d { geometry, .. } => 2 * mve_filter_len(geometry.weights_per_channel(), bits),
        IntOp::FullyConnected { in_features, .. } => {
            let padded = mve_filter_len(*in_features, bits);
            if padded == *in_features { 0 } else { padded }
        }
        IntOp::DepthwiseConv2d { geometry, .. } => {
            let decoded = mve_filter_len(weighted.weights.len(), bits);
            geometry.channels + if bits == 8 { 0 } else { decoded }
        }
        IntOp::TransposeConv2d { .. } | weightless!() => 0,
    }
}

fn runs_on_mve(program: &Program, node: &IntNode) -> bool {
    let narrow = || is_narrow(program, node);
    match &node.op {
        IntOp::Conv2d { .. } => narrow(),
        IntOp::FullyConnected { .. } => narrow() || widens(program, node),
        IntOp::DepthwiseConv2d { geometry, .. } => {
            let taps = geometry.window.kernel.iter().product::<usize>();
            narrow() && geometry.multiplier == 1 && taps <= MAX_TAPS
        }
        // Of 8 and of 16 bits.
        IntOp::Add { broadcast, .. } => *broadcast == Broadcast::None,
        IntOp::AveragePool { geometry, .. } => {
            narrow() && geometry.window.kernel.iter().product::<usize>() <= MVE_POOL_TAPS
        }
        IntOp::Mul { .. }
        | IntOp::MaxPool { .. }
        | IntOp::Table8 { .. }
        | IntOp::Table16 { .. }
        | IntOp::Gate { .. }
        | IntOp::Softmax { .. }
        | IntOp::LogSoftmax { .. }
        | IntOp::Requantize { .. }
        | IntOp::Concat { .. }
        | IntOp::Pad { .. }
        | IntOp::Transpose { .. }
        | IntOp::Pack
        | IntOp::Unpack
        | IntOp::BatchMatMul { .. }
        | IntOp::Reduce { .. }
        | IntOp::Normalize { .. }
        | IntOp::TopK { .. }
        | IntOp::Rearrange { .. }
        | IntOp::TransposeConv2d { .. }
        | IntOp::ResizeLinear { .. }
        | IntOp::Lookup8 { .. }
        | IntOp::Lookup16 { .. }
        | IntOp::Constant { .. }
        | IntOp::Step { .. }
        | IntOp::Binary { .. } => false,
    }
}

fn runs_on_dsp(program: &Program, node: &IntNode) -> bool {
    let Some(weighted) = node.op.weighted() else { return false };
    let input = &program.tensors[node.inputs[0].0];
    let narrow = is_narrow(program, node) && !matches!(node.op, IntOp::TransposeConv2d { .. });
    if !narrow && !widens(program, node) {
        return false;
    }
    let products = products_bounds(&node.op, weighted, input);
    let doubled_fits = (0..weighted.bias.len()).all(|channel| {
        let index = if weighted.multipliers.len() == 1 { 0 } else { channel };
        let shift = weighted.multipliers[index].exponent.max(0) + 1;
        let bound = products[channel] + i64::from(weighted.bias[channel]).abs();
        bound < 1 << (31 - shift)
    });
    let IntOp::DepthwiseConv2d { geometry, .. } = &node.op else { return doubled_fits };
    // Packed weights stand at the top of their 16 bits, so that sums are scaled by as much.
    let bits = packed_bits(&node.op, weighted, Kernels::Dsp);
    let scale = if bits == 8 { 0 } else { 16 - bits };
    doubled_fits
        && geometry.multiplier == 1
        && geometry.channels >= 4
        && geometry.window.kernel.iter().product::<usize>() <= MAX_TAPS
        && products.iter().all(|bound| bound << scale <= i64::from(i32::MAX))
}

/// For each output channel, what the magnitude of its sum of products cannot exceed.
fn products_bounds(op: &IntOp, weighted: &Weighted, input: &IntTensor) -> Vec<i64> {
    let channels = weighted.bias.len();
    let values = weighted.weights.unpack();
    let taps = values.len() / channels;
    let last = is_depthwise(op);
    let mut sums = vec![0_i64; channels];
    for (i, &value) in values.iter().enumerate() {
        sums[if last { i % channels } else { i / taps }] += i64::from(value).abs();
    }
    // Elements may take every value of their storage, whatever the grid says.
    let zero_point = i64::from(input.grid.zero_point);
    let largest = (zero_point + 128).max(127 - zero_point);
    sums.into_iter().map(|sum| sum * largest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_as_large_as_those_of_the_c_runtime() {
        let headers =
            [include_str!("../../c/dsp/bptq_dsp.h"), include_str!("../../c/mve/bptq_mve.h")];
        for (header, name) in headers.into_iter().zip(["DSP", "MVE"]) {
            assert!(header.contains(&format!("#define BPTQ_{name}_TAPS {MAX_TAPS}\n")));
        }
        let pool = format!("#define BPTQ_MVE_POOL_TAPS {MVE_POOL_TAPS}\n");
        assert!(headers[1].contains(&pool));
        let steps = [8, 3, 4].map(|bits| dsp_filter_len(1, bits));
        let [eight, three, fewer] = steps;
        let step = format!("((bits) == 8 ? {eight} : (bits) == 3 ? {three} : {fewer})\n");
        let header = include_str!("../../c/dsp/bptq_dsp_dot.h");
        assert!(header.contains(&format!("#define BPTQ_DSP_STEP(bits) {step}")));
    }
}
