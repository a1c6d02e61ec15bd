//! Invariants of the work that a program may ask for.

use super::violation::{Violation, ensure};
use crate::op::IntOp;
use crate::program::{IntNode, Program, TensorId};

/// The most elementary steps (products, comparisons and moved elements) of one inference: hours on the
/// fastest microcontroller, minutes on the host.
pub const MAX_STEPS: u64 = 1_000_000_000_000;

/// Checks the work of a program whose tensors, data flow and operations are valid.
pub(super) fn verify_work(program: &Program) -> Result<(), Violation> {
    let mut total = 0_u64;
    for (index, node) in program.nodes.iter().enumerate() {
        total = total.saturating_add(runs_steps(program, index, node));
        ensure(
            total <= MAX_STEPS,
            node,
            format_args!("an inference of at most {MAX_STEPS} steps"),
            format_args!("{total} up to this node"),
        )?;
    }
    Ok(())
}

/// The elementary steps of one inference of a program whose operations are valid.
pub fn steps(program: &Program) -> u64 {
    let nodes = program.nodes.iter().enumerate();
    let nodes = nodes.map(|(index, node)| runs_steps(program, index, node));
    nodes.fold(0, u64::saturating_add)
}

/// The elementary steps of all runs of a node, with what its loop copies at the end of a step.
fn runs_steps(program: &Program, index: usize, node: &IntNode) -> u64 {
    let own = node_steps(program, node);
    let Some(around) = program.loop_of(index) else { return own };
    let carried = around.carried.iter().filter(|_| around.last() == index);
    let copied = carried.map(|carried| program.tensors[carried.next.0].len() as u64).sum::<u64>();
    own.saturating_add(copied).saturating_mul(around.steps as u64)
}

/// The elementary steps of one run of a node: what its loops visit, padding included.
fn node_steps(program: &Program, node: &IntNode) -> u64 {
    let product = |extents: &[usize]| {
        extents.iter().fold(1_u64, |product, &extent| product.saturating_mul(extent as u64))
    };
    let elements = |id: &TensorId| program.tensors[id.0].len() as u64;
    let mut moved = node.inputs.iter().map(elements).sum::<u64>() + elements(&node.output);
    let outputs = program.tensors[node.output.0].len();
    let worked = match &node.op {
        IntOp::Conv2d { geometry, .. } => {
            let [height, width] = geometry.window.kernel;
            product(&[outputs, height, width, geometry.inputs_per_group()])
        }
        IntOp::DepthwiseConv2d { geometry, .. } => {
            let [height, width] = geometry.window.kernel;
            product(&[outputs, height, width])
        }
        IntOp::TransposeConv2d { geometry, .. } => {
            let [height, width] = geometry.window.kernel;
            product(&[outputs, height, width, geometry.inputs_per_group()])
        }
        IntOp::AveragePool { geometry, .. } | IntOp::MaxPool { geometry, .. } => {
            let [height, width] = geometry.window.kernel;
            product(&[outputs, height, width])
        }
        IntOp::FullyConnected { in_features, .. } => product(&[outputs, *in_features]),
        IntOp::BatchMatMul { geometry, .. } => product(&[outputs, geometry.inner]),
        IntOp::Reduce { .. } | IntOp::Lookup8 { .. } | IntOp::Lookup16 { .. } => 0,
        IntOp::Normalize { .. } => product(&[2, outputs]),
        IntOp::TopK { depth, .. } => product(&[outputs, *depth]),
        IntOp::Add { .. }
        | IntOp::Mul { .. }
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
        | IntOp::Rearrange { .. }
        | IntOp::Constant { .. }
        | IntOp::Binary { .. } => 0,
        IntOp::Step { .. } => {
            // Only a part of the sequence is moved.
            moved = node.inputs.iter().chain([&node.output]).map(elements).min().unwrap_or(0);
            moved
        }
        IntOp::ResizeLinear { .. } => product(&[outputs, 4]),
    };
    worked.saturating_add(moved)
}
