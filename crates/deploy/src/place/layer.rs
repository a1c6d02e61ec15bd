//! What several sets of kernels ask of a layer: where its channels lie, and how wide its elements and packed
//! weights are.

use crate::op::{DType, IntOp, Weighted, weightless};
use crate::program::{IntNode, Program, TensorId};
use crate::target::Kernels;

/// Whether the channels of an operation's weights lie along their last axis.
pub(super) fn is_depthwise(op: &IntOp) -> bool {
    match op {
        IntOp::DepthwiseConv2d { .. } => true,
        IntOp::Conv2d { .. }
        | IntOp::TransposeConv2d { .. }
        | IntOp::FullyConnected { .. }
        | weightless!() => false,
    }
}

/// Whether the first input and the output of `node` have elements of 8 bits, as nearly all kernels of instruction
/// sets take.
pub(super) fn is_narrow(program: &Program, node: &IntNode) -> bool {
    let narrow = |id: TensorId| program.tensors[id.0].dtype == DType::I8;
    narrow(node.output) && node.inputs.first().is_some_and(|&id| narrow(id))
}

/// Whether `node` is a fully connected layer of 8-bit inputs and outputs of 16 bits, as gates have them.
pub(super) fn widens(program: &Program, node: &IntNode) -> bool {
    let dtype = |id: TensorId| program.tensors[id.0].dtype;
    matches!(node.op, IntOp::FullyConnected { .. })
        && dtype(node.output) == DType::I16
        && node.inputs.first().is_some_and(|&id| dtype(id) == DType::I8)
}

/// The bits that a weight of `op` takes in the order that `kernels` read; the portable ones read
/// weights as the program stores them.
///
/// Weights of 3 bits are packed densely where a word holds five of them in each half, in the DSP
/// kernels' filters; a depthwise word and a byte lane of a vector have no use for the fifth.
pub fn packed_bits(op: &IntOp, weighted: &Weighted, kernels: Kernels) -> u8 {
    let filters = !is_depthwise(op);
    match (weighted.weights.storage, kernels) {
        (3, Kernels::Dsp) if filters => 3,
        (3, Kernels::Dsp | Kernels::Tiles | Kernels::Mve | Kernels::Quads) => 4,
        (storage, _) => storage,
    }
}
