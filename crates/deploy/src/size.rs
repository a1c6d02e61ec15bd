//! What a program costs: constants in flash, arena in RAM, multiply-accumulates.
//!
//! Flash and RAM are what the linker's map of exported C says on a 32-bit machine, without code:
//! how large that is, only the compiler knows.

use burn_ptq_kernels::reference::MAX_AXES;
use serde::Serialize;

use crate::op::{BinaryFunction, Broadcast, IntOp};
use crate::place::Placed;
use crate::place::lifetime::{held_bytes, live_spans, spans};
use crate::place::plan::ALIGNMENT;
use crate::place::rows::RowProgram;
use crate::program::{IntNode, TensorId};

/// The cost of a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SizeReport {
    /// Bytes of weights as stored, biases, multipliers, tables, parameters and what describes streams;
    /// no code.
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
    /// [`IntOp::name`](crate::op::IntOp::name).
    pub op: &'static str,
    /// Bits of the weights, if there are any.
    pub weight_bits: Option<u8>,
    /// Bytes of constants in flash.
    pub flash_bytes: usize,
    /// Bytes of activations and scratch that are live while the node runs. The largest of them is
    /// the least that an arena can have.
    pub live_bytes: usize,
    /// Multiply-accumulates of all its runs.
    pub macs: usize,
}

/// Sums up what a program takes.
pub fn size_report(program: &Placed) -> SizeReport {
    let live = live_bytes(program);
    let size = |(index, (node, live_bytes)): (usize, (&IntNode, usize))| NodeSize {
        name: node.name.clone(),
        op: node.op.name(),
        weight_bits: node.op.weighted().map(|weighted| weighted.weights.bits),
        flash_bytes: node.op.constant_bytes() + parameter_bytes(&node.op),
        live_bytes,
        macs: node.op.macs() * program.runs(index),
    };
    let nodes: Vec<NodeSize> = program.nodes.iter().zip(live).enumerate().map(size).collect();
    let peak = nodes.iter().map(|node| node.live_bytes).max();
    let streams = program.row_programs().map(|(_, rows)| stream_bytes(rows)).sum::<usize>();
    SizeReport {
        flash_bytes: nodes.iter().map(|node| node.flash_bytes).sum::<usize>() + streams,
        ram_bytes: ram_bytes(program),
        macs: nodes.iter().map(|node| node.macs).sum(),
        peak_node: nodes.iter().position(|node| Some(node.live_bytes) == peak),
        nodes,
    }
}

/// Bytes of the arena as an object of a program, whose size is a multiple of its alignment.
pub fn ram_bytes(program: &Placed) -> usize {
    program.arena_bytes().next_multiple_of(ALIGNMENT).max(ALIGNMENT)
}

/// Bytes of the structure in `bptq.h` that describes an operation, on a machine of 32 bits, where
/// every field takes a word.
pub const fn parameter_bytes(op: &IntOp) -> usize {
    const WINDOW: usize = 12;
    const WEIGHTED: usize = 9;
    const ELEMENTWISE: usize = 14;
    const STRIDES: usize = 9;
    let words = match op {
        IntOp::Conv2d { .. } | IntOp::TransposeConv2d { .. } => WINDOW + 3 + WEIGHTED,
        IntOp::DepthwiseConv2d { .. } => WINDOW + 2 + WEIGHTED,
        IntOp::FullyConnected { .. } => 3 + WEIGHTED,
        IntOp::Add { broadcast, .. } | IntOp::Mul { broadcast, .. } => match broadcast {
            Broadcast::None | Broadcast::Channels | Broadcast::Scalar => ELEMENTWISE,
            Broadcast::Shapes { .. } => ELEMENTWISE + STRIDES,
        },
        IntOp::Binary { function, .. } => match function {
            BinaryFunction::Sub(_) | BinaryFunction::Div(_) | BinaryFunction::Prelu(_) => {
                ELEMENTWISE + STRIDES
            }
            BinaryFunction::Minimum | BinaryFunction::Maximum => STRIDES,
        },
        IntOp::AveragePool { .. } | IntOp::MaxPool { .. } => WINDOW + 3,
        IntOp::Softmax { .. } => 5,
        IntOp::LogSoftmax { .. } => 6,
        IntOp::Requantize { .. } => 7,
        IntOp::Pad { .. } => 10,
        IntOp::Transpose { .. } => 6,
        IntOp::BatchMatMul { .. } => 20,
        IntOp::Reduce { .. } => 10,
        IntOp::Normalize { .. } => 22,
        IntOp::TopK { .. } => 5,
        IntOp::Rearrange { .. } => 1 + 3 * MAX_AXES,
        IntOp::ResizeLinear { .. } => 7,
        IntOp::Lookup8 { .. } | IntOp::Lookup16 { .. } => 5,
        IntOp::Table8 { .. }
        | IntOp::Table16 { .. }
        | IntOp::Gate { .. }
        | IntOp::Concat { .. }
        | IntOp::Pack
        | IntOp::Unpack
        | IntOp::Constant { .. }
        | IntOp::Step { .. } => 0,
    };
    4 * words
}

/// Bytes of the tables in `bptq_stream.h` that describe a stream, on a machine of 32 bits.
pub fn stream_bytes(rows: &RowProgram) -> usize {
    4 * (4 + 4 * rows.buffers.len() + 6 * rows.stages.len())
}

/// Bytes that are live while each node, or its stream, runs; bytes that an output takes over from an
/// input count once.
fn live_bytes(program: &Placed) -> Vec<usize> {
    let streams = program.streams();
    let (live, held) = (live_spans(program, streams), held_bytes(program, streams));
    let at = |&(first, last): &(usize, usize)| {
        let tensors = (0..program.tensors.len()).zip(&held).zip(&live);
        let tensors = tensors.filter(|&(_, &(from, to))| from <= last && first <= to);
        let tensors = tensors.map(|((tensor, &bytes), _)| {
            let offset = program.offset(TensorId(tensor));
            (offset, offset + bytes)
        });
        let scratch = (first..=last).map(|node| program.scratch(node));
        let scratch = scratch.map(|region| (region.offset, region.offset + region.bytes));
        covered(tensors.chain(scratch).collect())
    };
    spans(program, streams).iter().map(at).collect()
}

/// The bytes that lie in at least one of the ranges.
fn covered(mut ranges: Vec<(usize, usize)>) -> usize {
    ranges.sort_unstable();
    let (mut covered, mut end) = (0, 0);
    for (from, to) in ranges {
        covered += to.saturating_sub(from.max(end));
        end = end.max(to);
    }
    covered
}
