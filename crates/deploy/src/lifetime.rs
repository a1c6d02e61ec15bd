//! When each activation is live, and when an operation may write over its first input.

use crate::model::{IntModel, IntNode, TensorId};

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
/// later.
///
/// `last_reads` are those of [`last_reads`].
pub fn replaceable_input(
    model: &IntModel,
    index: usize,
    last_reads: &[Option<usize>],
) -> Option<TensorId> {
    let IntNode { op, inputs, output, .. } = &model.nodes[index];
    let (&first, rest) = inputs.split_first()?;
    let fits = model.tensors[first.0].bytes() == model.tensors[output.0].bytes();
    let dies = last_reads[first.0] == Some(index) && !rest.contains(&first);
    (op.is_elementwise() && fits && dies).then_some(first)
}
