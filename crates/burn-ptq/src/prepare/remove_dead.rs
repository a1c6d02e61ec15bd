//! Nodes whose output nobody reads, and values that nobody writes, disappear.

use crate::graph::ops::StepRole;
use crate::graph::{Graph, Node, Op, ValueId};

pub(super) fn run(graph: &mut Graph) -> usize {
    let mut live = live(graph);
    let before = graph.nodes.len();
    graph.nodes.retain(|node| live[node.output.0]);
    // The caller feeds inputs that nothing reads, too.
    graph.inputs.iter().for_each(|input| live[input.0] = true);
    drop_values(graph, &live);
    before - graph.nodes.len()
}

/// The values that the outputs depend on; what a step leaves is read by the next one that holds it.
fn live(graph: &Graph) -> Vec<bool> {
    let mut live = vec![false; graph.values.len()];
    graph.outputs.iter().for_each(|output| live[output.0] = true);
    loop {
        for node in graph.nodes.iter().rev() {
            if live[node.output.0] {
                node.inputs.iter().for_each(|v| live[v.0] = true);
            }
        }
        let kept = |node: &&Node| {
            matches!(&node.op, Op::Step(step) if step.role == StepRole::Last)
                && live[node.inputs[0].0]
        };
        let last: Vec<ValueId> = graph.nodes.iter().filter(kept).map(|node| node.output).collect();
        if last.iter().all(|last| live[last.0]) {
            return live;
        }
        last.iter().for_each(|last| live[last.0] = true);
    }
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
