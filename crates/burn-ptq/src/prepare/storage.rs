//! Where 8-bit and 16-bit activations meet, a value must be requantized explicitly: an integer
//! operation reads and writes one storage type.

use std::collections::HashMap;

use crate::bits::BitPlan;
use crate::graph::ops::OutputGrid;
use crate::graph::{Graph, Node, Op, Value, ValueId};

/// Unifies the bits of values that share a grid, and inserts [`Requantize`] nodes so that every
/// other node reads and writes one storage type (8 bits or fewer, or 16) and means of few bits are
/// taken on finer grids.
///
/// `plan` asks for the bits of each value; the plan that is returned covers the values that were
/// added. A value that shares a grid with the model's input or output gets their bits; softmax reads
/// and writes 8 bits, which are requantized to other ones.
pub(crate) fn insert_requantize(mut graph: Graph, plan: BitPlan) -> (Graph, BitPlan) {
    let BitPlan { values: mut bits, .. } = plan;
    free_fixed_grids(&mut graph, &mut bits);
    refine_means(&mut graph, &mut bits);
    unify(&graph, &mut bits);
    // A transposed convolution stays one: what it spreads is converted before that.
    for node in &graph.nodes {
        if let Some((dilate, _)) = graph.dilation_of(node).filter(|_| bits[node.output.0] == 16) {
            bits[dilate.output.0] = 16;
        }
    }
    fit_constants(&graph, &mut bits);
    let mut nodes = Vec::with_capacity(graph.nodes.len());
    let mut converted: HashMap<ValueId, ValueId> = HashMap::new();
    for mut node in std::mem::take(&mut graph.nodes) {
        if matches!(node.op, Op::Requantize(_)) {
            nodes.push(node);
            continue;
        }
        // Places of elements have 16 bits, whatever the elements have.
        // Nor have rows of a table the bits of their ids.
        if node.op.operator().output_grid() == OutputGrid::Places
            || matches!(node.op, Op::Lookup(_))
        {
            nodes.push(node);
            continue;
        }
        if mixes_types(&graph, &node, &bits) {
            nodes.push(node);
            continue;
        }
        // The operation runs in the wider of the types, so that nothing is lost before it.
        let wide = node.op.operator().class_axis().is_none()
            && node.inputs.iter().chain([&node.output]).any(|v| bits[v.0] == 16);
        for input in &mut node.inputs {
            if (bits[input.0] == 16) != wide {
                // Each value is converted at most once: it has one of two storage types.
                *input = *converted.entry(*input).or_insert_with(|| {
                    let value = graph.value(*input).clone();
                    let id = push_value(&mut graph, &mut bits, value, if wide { 16 } else { 8 });
                    nodes.push(Node::requantize(&graph, *input, id));
                    id
                });
            }
        }
        if wide && bits[node.output.0] != 16 {
            let value = graph.value(node.output).clone();
            let id = push_value(&mut graph, &mut bits, value, 16);
            let narrow = Node::requantize(&graph, id, node.output);
            node.output = id;
            nodes.push(node);
            nodes.push(narrow);
        } else {
            nodes.push(node);
        }
    }
    graph.nodes = nodes;
    (graph, BitPlan { values: bits, ..plan })
}

/// Whether the kernel reads one storage type and writes the other: layers from 8 bits to sums of gates, and products of
/// gates to 8 bits.
fn mixes_types(graph: &Graph, node: &Node, bits: &[u8]) -> bool {
    let is_gate = |value: &ValueId| graph.value(*value).gate.is_some();
    let reads_wide = |wide: bool| node.inputs.iter().all(|input| (bits[input.0] == 16) == wide);
    match (&node.op, bits[node.output.0]) {
        (Op::Linear(_), 16) => reads_wide(false) && is_gate(&node.output),
        (Op::Mul(_), 2..=8) => reads_wide(true) && node.inputs.iter().all(is_gate),
        _ => false,
    }
}

/// Softmax writes a grid of 8 bits that it fixes, and places of elements have one of 16: where such an
/// output shares a grid with other values, or has other bits, a requantize node is inserted between.
fn free_fixed_grids(graph: &mut Graph, bits: &mut Vec<u8>) {
    let group = graph.grid_groups();
    let mut unified = bits.clone();
    unify(graph, &mut unified);
    let mut sources = vec![0; graph.values.len()];
    for input in &graph.inputs {
        sources[group[input.0]] += 1;
    }
    for node in &graph.nodes {
        if node.op.operator().output_grid() != OutputGrid::Shared {
            sources[group[node.output.0]] += 1;
        }
    }
    let mut index = 0;
    while index < graph.nodes.len() {
        let node = &graph.nodes[index];
        let output = node.output;
        let operator = node.op.operator();
        let own = match (operator.class_axis(), operator.output_grid()) {
            (Some(_), _) => Some(8),
            (None, OutputGrid::Places) => Some(16),
            (None, OutputGrid::Observed | OutputGrid::Shared | OutputGrid::Fixed { .. }) => None,
        };
        if let Some(own) = own
            && (sources[group[output.0]] > 1 || unified[output.0] != own)
        {
            let value = graph.value(output).clone();
            let value = Value { name: format!("{}.own", value.name), ..value };
            let id = push_value(graph, bits, value, own);
            let node = Node::requantize(graph, id, output);
            graph.nodes[index].output = id;
            graph.nodes.insert(index + 1, node);
            index += 1;
        }
        index += 1;
    }
}

/// Constants that only wide operations read are stored as their readers want them: nothing is
/// requantized on the device.
fn fit_constants(graph: &Graph, bits: &mut [u8]) {
    let groups = graph.grid_groups();
    for node in graph.nodes.iter().filter(|node| node.inputs.is_empty()) {
        let constant = node.output;
        let alone = (0..groups.len()).filter(|&v| groups[v] == groups[constant.0]).count() == 1;
        let readers = graph.consumers(constant);
        let wide = |&reader: &usize| {
            let Node { op, inputs, output, .. } = &graph.nodes[reader];
            let mut others = inputs.iter().filter(|&&v| v != constant).chain([output]);
            op.operator().class_axis().is_none() && others.any(|v| bits[v.0] == 16)
        };
        if alone && !readers.is_empty() {
            let all_wide = readers.iter().all(wide);
            if all_wide {
                bits[constant.0] = 16;
            }
        }
    }
}

/// A mean of values on a grid of few bits lies between its levels: an average pool of fewer than 8
/// bits runs on a grid of 8, between two requantize nodes, and its output gets a grid of its own.
fn refine_means(graph: &mut Graph, bits: &mut Vec<u8>) {
    let mut nodes = Vec::with_capacity(graph.nodes.len());
    for mut node in std::mem::take(&mut graph.nodes) {
        let coarse = node.op.operator().averages() && bits[node.inputs[0].0] < 8;
        if !coarse {
            nodes.push(node);
            continue;
        }
        let (input, output) = (node.inputs[0], node.output);
        let fine = |graph: &mut Graph, bits: &mut Vec<u8>, id: ValueId| {
            let value = graph.value(id).clone();
            push_value(graph, bits, Value { name: format!("{}.mean", value.name), ..value }, 8)
        };
        let (wide, mean) = (fine(graph, bits, input), fine(graph, bits, output));
        nodes.push(Node::requantize(graph, input, wide));
        (node.inputs[0], node.output) = (wide, mean);
        nodes.push(node);
        nodes.push(Node::requantize(graph, mean, output));
    }
    graph.nodes = nodes;
}

fn push_value(graph: &mut Graph, bits: &mut Vec<u8>, value: Value, to: u8) -> ValueId {
    let name = format!("{}.int{to}", value.name);
    graph.values.push(Value { name, given: None, ..value });
    bits.push(to);
    ValueId(graph.values.len() - 1)
}

/// Gives the values of a group the bits of the model's input or output if it holds one, else those
/// of its first value.
fn unify(graph: &Graph, bits: &mut [u8]) {
    let group = graph.grid_groups();
    let wanted = bits.to_vec();
    for (value, bits) in bits.iter_mut().enumerate() {
        let borders = graph.outputs.iter().chain(&graph.inputs);
        let border = borders.copied().find(|b| group[b.0] == group[value]);
        *bits = wanted[border.map_or(group[value], |b| b.0)];
    }
}
