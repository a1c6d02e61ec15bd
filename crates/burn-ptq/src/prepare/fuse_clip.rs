//! A clip (ReLU, ReLU6) after an operation that can clamp becomes bounds of its output.

use crate::graph::{Clamp, Graph, Op};

pub(super) fn run(graph: &mut Graph) -> usize {
    let mut rewrites = 0;
    let mut index = 0;
    while index < graph.nodes.len() {
        if fuse(graph, index) {
            rewrites += 1;
        } else {
            index += 1;
        }
    }
    rewrites
}

fn fuse(graph: &mut Graph, index: usize) -> bool {
    let Some(follower) = graph.sole_consumer(index) else { return false };
    let Op::Clip(clip) = &graph.nodes[follower].op else { return false };
    let bounds = clip.bounds;
    let node = &mut graph.nodes[index];
    if let Op::Clip(first) = &mut node.op {
        first.bounds = first.bounds.then(bounds);
    } else if node.op.operator().can_clamp() {
        node.clamp = Some(node.clamp.map_or(bounds, |first| first.then(bounds)));
    } else {
        return false;
    }
    graph.absorb(index, follower);
    true
}

impl Clamp {
    /// Clamping to these bounds and then to `next`, as one clamp.
    fn then(self, next: Clamp) -> Clamp {
        let clamp = |x: f32| x.max(next.min).min(next.max);
        Clamp { min: clamp(self.min), max: clamp(self.max) }
    }
}
