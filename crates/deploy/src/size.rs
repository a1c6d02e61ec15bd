//! What a program costs: constants in flash, arena in RAM, multiply-accumulates.
//!
//! Flash and RAM are what the linker's map of exported C says on a machine of 32 bits, but for code:
//! how large that is, only the compiler knows.

use serde::Serialize;

use crate::lifetime::{last_reads, replaceable_input};
use crate::model::{IntModel, IntNode, IntOp};
use crate::plan::ALIGNMENT;

/// The cost of a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SizeReport {
    /// Bytes of weights as stored, biases, multipliers, tables and parameters; no code.
    pub flash_bytes: usize,
    /// Bytes of the arena.
    pub ram_bytes: usize,
    /// Multiply-accumulates of one inference.
    pub macs: usize,
    /// Index of the first node at which the most bytes are live; `None` without nodes.
    pub peak_node: Option<usize>,
    /// The cost of each node, in the order of execution.
    pub nodes: Vec<NodeSize>,
}

/// The cost of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeSize {
    /// The node's name.
    pub name: String,
    /// [`IntOp::name`](crate::model::IntOp::name).
    pub op: &'static str,
    /// Bits of the weights, if there are any.
    pub weight_bits: Option<u8>,
    /// Bytes of constants in flash.
    pub flash_bytes: usize,
    /// Bytes of activations and scratch that are live while the node runs. The largest of them is
    /// the least that an arena can have.
    pub live_bytes: usize,
    /// Multiply-accumulates.
    pub macs: usize,
}

/// Sums up a planned program that [`verify`](crate::verify::verify) accepts.
pub fn size_report(model: &IntModel) -> SizeReport {
    let live = live_bytes(model);
    let size = |(node, live_bytes): (&IntNode, usize)| NodeSize {
        name: node.name.clone(),
        op: node.op.name(),
        weight_bits: node.op.weighted().map(|weighted| weighted.weights.bits),
        flash_bytes: node.op.constant_bytes() + parameter_bytes(&node.op),
        live_bytes,
        macs: node.op.macs(),
    };
    let nodes: Vec<NodeSize> = model.nodes.iter().zip(live).map(size).collect();
    let peak = nodes.iter().map(|node| node.live_bytes).max();
    SizeReport {
        flash_bytes: nodes.iter().map(|node| node.flash_bytes).sum(),
        ram_bytes: ram_bytes(model),
        macs: nodes.iter().map(|node| node.macs).sum(),
        peak_node: nodes.iter().position(|node| Some(node.live_bytes) == peak),
        nodes,
    }
}

/// Bytes of the arena as an object of a program, whose size is a multiple of its alignment.
pub fn ram_bytes(model: &IntModel) -> usize {
    model.arena_bytes.next_multiple_of(ALIGNMENT).max(ALIGNMENT)
}

/// Bytes of the structure in `bptq.h` that describes an operation, on a machine of 32 bits, where
/// every field takes a word.
pub const fn parameter_bytes(op: &IntOp) -> usize {
    const WINDOW: usize = 12;
    const WEIGHTED: usize = 9;
    let words = match op {
        IntOp::Conv2d { .. } => WINDOW + 3 + WEIGHTED,
        IntOp::DepthwiseConv2d { .. } => WINDOW + 2 + WEIGHTED,
        IntOp::FullyConnected { .. } => 3 + WEIGHTED,
        IntOp::Add { .. } | IntOp::Mul { .. } => 14,
        IntOp::AveragePool { .. } | IntOp::MaxPool { .. } => WINDOW + 3,
        IntOp::Softmax { .. } | IntOp::LogSoftmax { .. } => 5,
        IntOp::Requantize { .. } => 7,
        IntOp::Pad { .. } => 10,
        IntOp::Transpose { .. } => 6,
        IntOp::Table8 { .. } | IntOp::Table16 { .. } | IntOp::Concat { .. } => 0,
    };
    4 * words
}

/// Bytes that are live while each node runs; an output in the place of an input counts once.
fn live_bytes(model: &IntModel) -> Vec<usize> {
    let last_reads = last_reads(model);
    let bytes = |tensor: usize| model.tensors[tensor].bytes();
    let mut live = if last_reads[model.input.0].is_some() { bytes(model.input.0) } else { 0 };
    let mut peaks = Vec::with_capacity(model.nodes.len());
    for (index, node) in model.nodes.iter().enumerate() {
        let output = node.output.0;
        let in_place = replaceable_input(model, index, &last_reads)
            .is_some_and(|input| model.tensors[input.0].offset == model.tensors[output].offset);
        live += bytes(output);
        let shared = if in_place { bytes(output) } else { 0 };
        peaks.push(live + node.scratch.bytes - shared);
        let mut dying: Vec<usize> = node.inputs.iter().map(|input| input.0).collect();
        dying.sort_unstable();
        dying.dedup();
        dying.retain(|&input| last_reads[input] == Some(index));
        live -= dying.into_iter().map(bytes).sum::<usize>();
        if last_reads[output].is_none() {
            live -= bytes(output);
        }
    }
    peaks
}
