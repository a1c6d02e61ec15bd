//! Where 8-bit and 16-bit activations meet, a value must be requantized explicitly: an integer
//! operation reads and writes one storage type.

use std::collections::HashMap;

use crate::graph::ops::{OutputGrid, Requantize};
use crate::graph::{Graph, Node, Op, Value, ValueId};

/// The bits of every value of a graph, by index of the value.
pub type ActivationBits = Vec<u8>;

/// Unifies the bits of values that share a grid, and inserts [`Requantize`] nodes so that every
/// other node reads and writes one storage type (8 bits or fewer, or 16) and means of few bits are
/// taken on finer grids.
///
/// `bits` asks for the bits of each value. A value that shares a grid with the model's input or
/// output gets their bits; softmax reads and writes 8 bits, which are requantized to other ones.
pub fn insert_requantize(mut graph: Graph, mut bits: ActivationBits) -> (Graph, ActivationBits) {
    for node in &graph.nodes {
        if is_softmax(&node.op) && node.output != graph.output {
            bits[node.output.0] = 8;
        }
    }
    free_fixed_grids(&mut graph, &mut bits);
    refine_means(&mut graph, &mut bits);
    unify(&graph, &mut bits);
    let mut nodes = Vec::with_capacity(graph.nodes.len());
    let mut converted: HashMap<ValueId, ValueId> = HashMap::new();
    for mut node in std::mem::take(&mut graph.nodes) {
        let wide = match node.op {
            Op::Softmax(_) | Op::LogSoftmax(_) => false,
            Op::Requantize(_) => {
                nodes.push(node);
                continue;
            }
            // The operation runs in the wider of the types, so that nothing is lost before it.
            _ => node.inputs.iter().chain([&node.output]).any(|v| bits[v.0] == 16),
        };
        for input in &mut node.inputs {
            if (bits[input.0] == 16) != wide {
                // Each value is converted at most once: it has one of two storage types.
                *input = *converted.entry(*input).or_insert_with(|| {
                    let value = graph.value(*input).clone();
                    let id = push_value(&mut graph, &mut bits, value, if wide { 16 } else { 8 });
                    nodes.push(requantize(&graph, *input, id));
                    id
                });
            }
        }
        if wide && bits[node.output.0] != 16 {
            let value = graph.value(node.output).clone();
            let id = push_value(&mut graph, &mut bits, value, 16);
            let narrow = requantize(&graph, id, node.output);
            node.output = id;
            nodes.push(node);
            nodes.push(narrow);
        } else {
            nodes.push(node);
        }
    }
    graph.nodes = nodes;
    (graph, bits)
}

fn is_softmax(op: &Op) -> bool {
    matches!(op, Op::Softmax(_) | Op::LogSoftmax(_))
}

/// Softmax writes a grid of 8 bits that it fixes: where its output shares a grid with other values,
/// or has other bits, a requantize node stands between.
fn free_fixed_grids(graph: &mut Graph, bits: &mut ActivationBits) {
    let group = grid_groups(graph);
    let mut unified = bits.clone();
    unify(graph, &mut unified);
    let mut sources = vec![0; graph.values.len()];
    sources[group[graph.input.0]] += 1;
    for node in &graph.nodes {
        if node.op.operator().output_grid() != OutputGrid::Shared {
            sources[group[node.output.0]] += 1;
        }
    }
    let mut index = 0;
    while index < graph.nodes.len() {
        let node = &graph.nodes[index];
        let output = node.output;
        if is_softmax(&node.op) && (sources[group[output.0]] > 1 || unified[output.0] != 8) {
            let value = graph.value(output).clone();
            let id =
                push_value(graph, bits, Value { name: format!("{}.own", value.name), ..value }, 8);
            let node = requantize(graph, id, output);
            graph.nodes[index].output = id;
            graph.nodes.insert(index + 1, node);
            index += 1;
        }
        index += 1;
    }
}

/// A mean of values on a grid of few bits lies between its levels: an average pool of fewer than 8
/// bits runs on a grid of 8, between two requantize nodes, and its output gets a grid of its own.
fn refine_means(graph: &mut Graph, bits: &mut ActivationBits) {
    let mut nodes = Vec::with_capacity(graph.nodes.len());
    for mut node in std::mem::take(&mut graph.nodes) {
        let (input, output) = (node.inputs[0], node.output);
        if !matches!(node.op, Op::AveragePool(_)) || bits[input.0] >= 8 {
            nodes.push(node);
            continue;
        }
        let fine = |graph: &mut Graph, bits: &mut ActivationBits, id: ValueId| {
            let value = graph.value(id).clone();
            push_value(graph, bits, Value { name: format!("{}.mean", value.name), ..value }, 8)
        };
        let (wide, mean) = (fine(graph, bits, input), fine(graph, bits, output));
        nodes.push(requantize(graph, input, wide));
        (node.inputs[0], node.output) = (wide, mean);
        nodes.push(node);
        nodes.push(requantize(graph, mean, output));
    }
    graph.nodes = nodes;
}

fn push_value(graph: &mut Graph, bits: &mut ActivationBits, value: Value, to: u8) -> ValueId {
    let name = format!("{}.int{to}", value.name);
    graph.values.push(Value { name, ..value });
    bits.push(to);
    ValueId(graph.values.len() - 1)
}

fn requantize(graph: &Graph, from: ValueId, to: ValueId) -> Node {
    Node {
        name: format!("{}.requantize", graph.value(to).name),
        op: Requantize.into(),
        clamp: None,
        batch_norm: None,
        inputs: vec![from],
        output: to,
    }
}

/// The values that share one grid, as the index of a representative for each value.
pub(crate) fn grid_groups(graph: &Graph) -> Vec<usize> {
    let mut group: Vec<usize> = (0..graph.values.len()).collect();
    for node in &graph.nodes {
        if node.op.operator().output_grid() != OutputGrid::Shared {
            continue;
        }
        for input in &node.inputs {
            let (from, to) = (group[input.0], group[node.output.0]);
            group.iter_mut().filter(|g| **g == to).for_each(|g| *g = from);
        }
    }
    group
}

/// Gives the values of a group the bits of the model's input or output if it holds one, else those
/// of its first value.
fn unify(graph: &Graph, bits: &mut ActivationBits) {
    let group = grid_groups(graph);
    let wanted = bits.clone();
    for (value, bits) in bits.iter_mut().enumerate() {
        let border = [graph.output, graph.input].into_iter().find(|b| group[b.0] == group[value]);
        *bits = wanted[border.map_or(group[value], |b| b.0)];
    }
}
