//! Nodes whose output nobody reads, and values that nobody writes, disappear.

use crate::graph::{Graph, ValueId};

pub(super) fn run(graph: &mut Graph) -> usize {
    let mut live = vec![false; graph.values.len()];
    graph.outputs.iter().for_each(|output| live[output.0] = true);
    let before = graph.nodes.len();
    let mut kept = Vec::with_capacity(before);
    for node in std::mem::take(&mut graph.nodes).into_iter().rev() {
        if live[node.output.0] {
            node.inputs.iter().for_each(|v| live[v.0] = true);
            kept.push(node);
        }
    }
    kept.reverse();
    graph.nodes = kept;
    // The caller feeds inputs that nothing reads, too.
    graph.inputs.iter().for_each(|input| live[input.0] = true);
    drop_values(graph, &live);
    before - graph.nodes.len()
}

/// Keeps the live values only and renumbers them.
fn drop_values(graph: &mut Graph, live: &[bool]) {
    let mut renumbered = vec![ValueId(0); live.len()];
    let mut next = 0;
    for (old, new) in renumbered.iter_mut().enumerate() {
        if live[old] {
            *new = ValueId(next);
            next += 1;
        }
    }
    let mut index = 0;
    graph.values.retain(|_| {
        index += 1;
        live[index - 1]
    });
    for node in &mut graph.nodes {
        node.inputs.iter_mut().for_each(|v| *v = renumbered[v.0]);
        node.output = renumbered[node.output.0];
    }
    graph.inputs.iter_mut().chain(&mut graph.outputs).for_each(|v| *v = renumbered[v.0]);
}
