//! Invariants of the work that a program may ask for.

use super::violation::{Subject, Violation, ensure};
use crate::model::{IntModel, IntNode, IntOp, TensorId};

/// The most elementary steps (products, comparisons and moved elements) of one inference: hours on the
/// fastest microcontroller, minutes on the host.
pub const MAX_STEPS: u64 = 1_000_000_000_000;

/// The most rows that the nodes of all streams may compute: each is planned for by itself.
pub const MAX_STREAM_ROWS: usize = 1 << 20;

/// Checks the work of a program whose tensors, data flow and operations are valid.
pub(super) fn verify_work(model: &IntModel) -> Result<(), Violation> {
    let mut total = 0_u64;
    for node in &model.nodes {
        total = total.saturating_add(node_steps(model, node));
        ensure(
            total <= MAX_STEPS,
            node,
            format_args!("an inference of at most {MAX_STEPS} steps"),
            format_args!("{total} up to this node"),
        )?;
    }
    let streamed =
        model.streams.iter().flat_map(|s| model.nodes.get(s.nodes()).unwrap_or_default());
    let rows = streamed.map(|node| model.tensors[node.output.0].shape[0]);
    let rows = rows.fold(0, usize::saturating_add);
    ensure(
        rows <= MAX_STREAM_ROWS,
        Subject::Model,
        format_args!("at most {MAX_STREAM_ROWS} rows in all streams"),
        format_args!("{rows}"),
    )
}

/// The elementary steps of one inference of a program whose operations are valid.
pub fn steps(model: &IntModel) -> u64 {
    let nodes = model.nodes.iter().map(|node| node_steps(model, node));
    nodes.fold(0, u64::saturating_add)
}

/// The elementary steps of a node: what its loops visit, padding included.
fn node_steps(model: &IntModel, node: &IntNode) -> u64 {
    let product = |extents: &[usize]| {
        extents.iter().fold(1_u64, |product, &extent| product.saturating_mul(extent as u64))
    };
    let elements = |id: &TensorId| model.tensors[id.0].len() as u64;
    let moved = node.inputs.iter().map(elements).sum::<u64>() + elements(&node.output);
    let outputs = model.tensors[node.output.0].len();
    let worked = match &node.op {
        IntOp::Conv2d { geometry, .. } => {
            let [height, width] = geometry.window.kernel;
            product(&[outputs, height, width, geometry.inputs_per_group()])
        }
        IntOp::DepthwiseConv2d { geometry, .. } => {
            let [height, width] = geometry.window.kernel;
            product(&[outputs, height, width])
        }
        IntOp::AveragePool { geometry, .. } | IntOp::MaxPool { geometry, .. } => {
            let [height, width] = geometry.window.kernel;
            product(&[outputs, height, width])
        }
        IntOp::FullyConnected { in_features, .. } => product(&[outputs, *in_features]),
        IntOp::Add { .. }
        | IntOp::Mul { .. }
        | IntOp::Table8 { .. }
        | IntOp::Table16 { .. }
        | IntOp::Softmax { .. }
        | IntOp::LogSoftmax { .. }
        | IntOp::Requantize { .. }
        | IntOp::Concat { .. }
        | IntOp::Pad { .. }
        | IntOp::Transpose { .. }
        | IntOp::Pack
        | IntOp::Unpack => 0,
    };
    worked.saturating_add(moved)
}
