//! Masks of attention: constants that hide elements from a softmax by adding a number far below zero to them.
//!
//! Exporters write minus infinity, the smallest float, -1e9 or -10000. No grid of 8 bits holds such a number beside
//! the elements that count, so that a bounded one stands in for it.

use super::constants::{Constant, Elements};
use super::error::Refusal;
use crate::graph::{Graph, Op};

/// What is at most this hides an element.
pub(super) const HIDDEN: f32 = -1e3;

/// What stands in for it: of the softmax less than 1e-4 is left, unless a hidden score was 38 above all others of its
/// row.
const BOUND: f32 = -48.0;

/// What stands for minus infinity until [`bound`] has seen who reads it.
const INFINITE: f32 = f32::MIN;

/// Whether a constant hides some elements and leaves the others.
pub(super) fn is_mask(constant: &Constant) -> bool {
    let Elements::Float(elements) = &constant.elements else { return false };
    elements.iter().any(|&x| x <= HIDDEN) && elements.iter().any(|&x| x > BOUND)
}

/// The constant with the smallest float for minus infinity.
pub(super) fn finite(constant: Constant) -> Constant {
    let Constant { shape, elements } = constant;
    let elements = match elements {
        Elements::Float(mut elements) => {
            elements.iter_mut().filter(|x| **x == f32::NEG_INFINITY).for_each(|x| *x = INFINITE);
            Elements::Float(elements)
        }
        integers @ Elements::Integer(_) => integers,
    };
    Constant { shape, elements }
}

/// Bounds what is added in front of a softmax alone.
///
/// # Errors
/// With the index of a node, if its constant stands for minus infinity and something else reads the sum.
pub(super) fn bound(graph: &mut Graph) -> Result<(), (usize, Refusal)> {
    for index in 0..graph.nodes.len() {
        let Op::Constant(constant) = &graph.nodes[index].op else { continue };
        if constant.array.data.iter().all(|&x| x > HIDDEN) {
            continue;
        }
        let infinite = constant.array.data.contains(&INFINITE);
        let output = graph.nodes[index].output;
        let mut readers = graph.consumers(output).into_iter();
        if readers.all(|reader| hides(graph, reader)) && !graph.is_output(output) {
            if let Op::Constant(constant) = &mut graph.nodes[index].op {
                constant.array.data.iter_mut().for_each(|x| *x = x.max(BOUND));
            }
        } else if infinite {
            let problem = "minus infinity is added to a value that does more than pass a softmax";
            let hint = "add a number that the values of the network reach";
            return Err((index, Refusal::new(problem, hint)));
        }
    }
    Ok(())
}

/// Whether a node is a sum that only a softmax reads.
fn hides(graph: &Graph, index: usize) -> bool {
    let node = &graph.nodes[index];
    let readers = graph.consumers(node.output);
    matches!(node.op, Op::Add(_))
        && !graph.is_output(node.output)
        && !readers.is_empty()
        && readers.iter().all(|&reader| matches!(graph.nodes[reader].op, Op::Softmax(_)))
}
