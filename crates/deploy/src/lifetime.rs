//! When each activation is live, and when an operation may write over its first input.

use crate::model::{IntModel, IntNode, TensorId};

/// For each tensor, the first and the last node during which it stays in memory: a stream's nodes
/// run together, so that what one of them touches is live in all.
///
/// The model's output is live until after the last node. Every tensor id must be in range and every
/// tensor but the input must be written.
pub fn live_spans(model: &IntModel) -> Vec<(usize, usize)> {
    let (spans, last_reads) = (model.spans(), last_reads(model));
    let mut live = vec![(0, 0); model.tensors.len()];
    for (node, &span) in model.nodes.iter().zip(&spans) {
        live[node.output.0] = span;
    }
    for (live, last) in live.iter_mut().zip(last_reads) {
        let end = last.map_or(0, |node| spans.get(node).map_or(node, |span| span.1));
        live.1 = live.1.max(end);
    }
    live
}

/// For each tensor, the index of the last node that reads it; the number of nodes for the model's
/// output, which the caller reads, and `None` if nothing does.
///
/// Every tensor id of the model must be in range.
pub fn last_reads(model: &IntModel) -> Vec<Option<usize>> {
    let mut last = vec![None; model.tensors.len()];
    for (index, node) in model.nodes.iter().enumerate() {
        for input in &node.inputs {
            last[input.0] = Some(index);
        }
    }
    last[model.output.0] = Some(model.nodes.len());
    last
}

/// The first input of the node at `index`, if its output may stand in the same bytes: the operation
/// is element-wise, both take as many bytes, and nothing reads the input again, in this node or
/// later. In a stream rows come and go: see [`replaceable_inputs`](crate::stream::replaceable_inputs).
///
/// `last_reads` are those of [`last_reads`].
pub fn replaceable_input(
    model: &IntModel,
    index: usize,
    last_reads: &[Option<usize>],
) -> Option<TensorId> {
    let IntNode { op, inputs, output, .. } = &model.nodes[index];
    let (&first, rest) = inputs.split_first()?;
    if model.streams.iter().any(|stream| stream.nodes().contains(&index)) {
        return None;
    }
    let fits = model.tensors[first.0].bytes() == model.tensors[output.0].bytes();
    let dies = last_reads[first.0] == Some(index) && !rest.contains(&first);
    (op.is_elementwise() && fits && dies).then_some(first)
}
