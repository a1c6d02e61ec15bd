//! The end of a network that only moves elements, such as a `Flatten`: the caller reads what the
//! program wrote before in another order, and no operation runs for it.

use crate::graph::ops::Rearrange;
use crate::graph::{Graph, Op};

/// Where the elements of the output stand when those of the first node's input stand at `places`:
/// `places[i]` is the element at place `i`.
///
/// The nodes keep every element: see [`Op::reorders`].
pub(super) fn places_of_the_output(
    graph: &Graph,
    nodes: &[usize],
    mut places: Vec<usize>,
) -> Vec<usize> {
    for node in nodes.iter().map(|&index| &graph.nodes[index]) {
        let shape = &graph.value(node.inputs[0]).shape;
        let sources = match &node.op {
            Op::Permute(op) => Rearrange::permuted("Transpose", shape, &op.axes).sources(),
            Op::Rearrange(op) => op.sources(),
            // A reshape keeps the index of every element.
            _ => continue,
        };
        let mut moved = vec![0; places.len()];
        sources.into_iter().enumerate().for_each(|(index, source)| moved[source] = index);
        places.iter_mut().for_each(|place| *place = moved[*place]);
    }
    places
}
