//! What a program costs: constants in flash, arena in RAM, multiply-accumulates.

use serde::Serialize;

use crate::lifetime::{last_reads, replaceable_input};
use crate::model::{IntModel, IntNode};

/// The cost of a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SizeReport {
    /// Bytes of weights as stored, biases, multipliers and tables; no code.
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
        flash_bytes: node.op.constant_bytes(),
        live_bytes,
        macs: node.op.macs(),
    };
    let nodes: Vec<NodeSize> = model.nodes.iter().zip(live).map(size).collect();
    let peak = nodes.iter().map(|node| node.live_bytes).max();
    SizeReport {
        flash_bytes: nodes.iter().map(|node| node.flash_bytes).sum(),
        ram_bytes: model.arena_bytes,
        macs: nodes.iter().map(|node| node.macs).sum(),
        peak_node: nodes.iter().position(|node| Some(node.live_bytes) == peak),
        nodes,
    }
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
