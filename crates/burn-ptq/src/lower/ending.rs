//! The end of a network that only moves elements, such as a `Flatten`: the caller reads what the
//! program wrote before in another order, and no operation runs for it.

use crate::graph::{Graph, Op, stored_places};

/// Where the elements of the output stand when those of the first node's input stand at `places`:
/// `places[i]` is the element at place `i`.
pub(super) fn places_of_the_output(
    graph: &Graph,
    nodes: &[usize],
    mut places: Vec<usize>,
) -> Vec<usize> {
    for node in nodes.iter().map(|&index| &graph.nodes[index]) {
        // A reshape keeps the index of every element.
        let Op::Permute(permute) = &node.op else { continue };
        let mut order = [0, 1, 2];
        order[..permute.axes.len()].copy_from_slice(&permute.axes);
        let mut moved = vec![0; places.len()];
        let sources = stored_places(graph.value(node.inputs[0]).dims(), order);
        sources.into_iter().enumerate().for_each(|(index, source)| moved[source] = index);
        places.iter_mut().for_each(|place| *place = moved[*place]);
    }
    places
}
