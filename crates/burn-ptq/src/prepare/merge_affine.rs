//! Two channel-wise affine maps in a row become one.

use crate::graph::{Graph, Op};

pub(super) fn run(graph: &mut Graph) -> usize {
    let mut rewrites = 0;
    let mut index = 0;
    while index < graph.nodes.len() {
        if !merge(graph, index) {
            index += 1;
        } else {
            rewrites += 1;
        }
    }
    rewrites
}

fn merge(graph: &mut Graph, first: usize) -> bool {
    let Some(second) = graph.sole_consumer(first) else { return false };
    let (Op::ChannelAffine(a), Op::ChannelAffine(b)) =
        (&graph.nodes[first].op, &graph.nodes[second].op)
    else {
        return false;
    };
    if graph.nodes[first].clamp.is_some() {
        return false;
    }
    let mut merged = a.clone();
    for c in 0..merged.scale.len() {
        merged.shift.data[c] = merged.shift.data[c] * b.scale.data[c] + b.shift.data[c];
        merged.scale.data[c] *= b.scale.data[c];
    }
    let clamp = graph.nodes[second].clamp;
    graph.nodes[first].op = merged.into();
    graph.nodes[first].clamp = clamp;
    graph.absorb(first, second);
    true
}
