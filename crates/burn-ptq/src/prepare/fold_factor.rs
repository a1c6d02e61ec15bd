//! One factor for all elements, before or after a product of two values, becomes part of the product:
//! such as the scaling of attention, which then costs nothing.

use crate::graph::ops::ChannelAffine;
use crate::graph::{Graph, Op};

pub(super) fn run(graph: &mut Graph) -> usize {
    let mut rewrites = 0;
    let mut index = 0;
    while index < graph.nodes.len() {
        if fold(graph, index) {
            rewrites += 1;
        } else {
            index += 1;
        }
    }
    rewrites
}

/// Removes the node `affine` if it is a factor that a product before or after it can take.
fn fold(graph: &mut Graph, affine: usize) -> bool {
    let node = &graph.nodes[affine];
    let Op::ChannelAffine(op) = &node.op else { return false };
    let Some(factor) = factor_of(op) else { return false };
    let before = graph.producer(node.inputs[0]);
    let before = before.filter(|&n| {
        let takes = takes(graph, n, factor) && graph.nodes[n].clamp.is_none();
        takes && graph.sole_consumer(n) == Some(affine)
    });
    if let Some(product) = before {
        let clamp = graph.nodes[affine].clamp;
        multiply(graph, product, factor);
        graph.nodes[product].clamp = clamp;
        graph.absorb(product, affine);
        return true;
    }
    if node.clamp.is_some() {
        return false;
    }
    let Some(product) = graph.sole_consumer(affine).filter(|&n| takes(graph, n, factor)) else {
        return false;
    };
    let (input, output) = (graph.nodes[affine].inputs[0], graph.nodes[affine].output);
    multiply(graph, product, factor);
    for read in &mut graph.nodes[product].inputs {
        if *read == output {
            *read = input;
        }
    }
    graph.nodes.remove(affine);
    true
}

/// The factor of an affine map that scales all channels alike and shifts none.
fn factor_of(op: &ChannelAffine) -> Option<f32> {
    let factor = *op.scale.data.first()?;
    let uniform =
        op.scale.data.iter().all(|&s| s == factor) && op.shift.data.iter().all(|&s| s == 0.0);
    (uniform && factor > 0.0 && factor.is_finite()).then_some(factor)
}

/// Whether `node` is a product that stays one of a usual float with `factor`.
fn takes(graph: &Graph, node: usize, factor: f32) -> bool {
    matches!(&graph.nodes[node].op, Op::MatMul(op) if (op.factor * factor).is_normal())
}

fn multiply(graph: &mut Graph, product: usize, factor: f32) {
    if let Op::MatMul(op) = &mut graph.nodes[product].op {
        op.factor *= factor;
    }
}
