//! Movements: the first operator whose elements come from the same places.

use burn_ptq_kernels::reference::MAX_AXES;

use super::graph::{Graph, with_batch};
use super::options;
use crate::export::shared::movement::{
    Indices, block_of, blocks, by_axis, mirrored, permutation, slice, sources,
};
use crate::export::shared::refusal::Refusal;
use crate::movement::MoveAxis;
use crate::op::DType;
use crate::program::TensorId;
use crate::tflite::schema::{
    BROADCAST_TO, Builtin, DEPTH_TO_SPACE, GATHER, MIRROR_PAD, RESIZE_NEAREST_NEIGHBOR,
    SPACE_TO_DEPTH, STRIDED_SLICE, TRANSPOSE,
};

/// Writes the copy of elements of `ends[0]` to `ends[1]`.
pub(super) fn translate(
    graph: &mut Graph,
    first: usize,
    axes: &[MoveAxis],
    ends: [TensorId; 2],
) -> Result<(), Refusal> {
    let [input, output] = ends.map(|id| graph.of(id));
    let sources = sources(first, axes, input.len(), output.len())?;
    // Elements that stay need no operator.
    if sources.iter().copied().eq(0..input.len()) {
        graph.alias(ends[1], ends[0]);
        return Ok(());
    }
    let narrow = input.dtype == DType::I8;
    let columns = [1, input.shape[1], input.shape[2]];
    let moves: [(Builtin, Option<usize>, bool); 2] = [
        (DEPTH_TO_SPACE, block_of(input.shape, output.shape), true),
        (SPACE_TO_DEPTH, block_of(output.shape, input.shape), false),
    ];
    for (builtin, block, to_space) in moves {
        if let Some(block) = block
            && narrow
            && sources == blocks(output.shape, block, columns, to_space)
        {
            let (x, y) = both(graph, ends);
            graph.operator(builtin, options::block(block), &[x], y);
            return Ok(());
        }
    }
    if let Some(indices) = by_axis(&sources, input.shape, output.shape)
        && by_indices(graph, &indices, ends)
    {
        return Ok(());
    }
    match permuted(graph, first, axes, ends) {
        true => Ok(()),
        false => Err(Refusal::new("no operator moves elements so")),
    }
}

fn both(graph: &mut Graph, [x, y]: [TensorId; 2]) -> (usize, usize) {
    let [input, output] = [x, y].map(|id| with_batch(graph.of(id).shape));
    (graph.read(x, &input), graph.write(y, &output))
}

/// Writes the operator that shows these indices, if there is one.
fn by_indices(graph: &mut Graph, indices: &Indices, ends: [TensorId; 2]) -> bool {
    let [input, output] = ends.map(|id| graph.of(id));
    let (narrow, extents) = (input.dtype == DType::I8, input.shape);
    let unchanged = |axis: usize| indices[axis].iter().copied().eq(0..extents[axis]);
    if (0..3).all(|axis| unchanged(axis) || extents[axis] == 1) {
        let (x, y) = both(graph, ends);
        let shape = graph.integers(&[4], &with_batch(output.shape).map(|extent| extent as i32));
        graph.operator(BROADCAST_TO, options::none(), &[x, shape], y);
        return true;
    }
    let nearest = |axis: usize| {
        let (from, to) = (extents[axis], indices[axis].len());
        indices[axis].iter().copied().eq((0..to).map(|i| i * from / to))
    };
    if nearest(0) && nearest(1) && unchanged(2) {
        let (x, y) = both(graph, ends);
        let size = graph.integers(&[2], &[output.shape[0] as i32, output.shape[1] as i32]);
        graph.operator(RESIZE_NEAREST_NEIGHBOR, options::nearest_neighbor(), &[x, size], y);
        return true;
    }
    let slices: Option<Vec<[i32; 3]>> = indices.iter().map(|list| slice(list)).collect();
    if let Some(slices) = slices {
        let (x, y) = both(graph, ends);
        let column = |which: usize, batch: i32| {
            let own = slices.iter().map(|slice| slice[which]);
            std::iter::once(batch).chain(own).collect::<Vec<i32>>()
        };
        let (begin, end, step) = (column(0, 0), column(1, 1), column(2, 1));
        let mask: i32 = (0..4).filter(|&axis| end[axis] < 0).map(|axis| 1 << axis).sum();
        let [begin, end, step] = [begin, end, step].map(|list| graph.integers(&[4], &list));
        graph.operator(STRIDED_SLICE, options::strided_slice(mask), &[x, begin, end, step], y);
        return true;
    }
    for (mode, edge) in [(0, 1), (1, 0)] {
        let around: Option<Vec<[i32; 2]>> =
            (0..3).map(|axis| mirrored(&indices[axis], extents[axis], edge)).collect();
        if let Some(around) = around.filter(|_| narrow) {
            let (x, y) = both(graph, ends);
            let pads: Vec<i32> = [[0; 2]].into_iter().chain(around).flatten().collect();
            let pads = graph.integers(&[4, 2], &pads);
            graph.operator(MIRROR_PAD, options::mirror_pad(mode), &[x, pads], y);
            return true;
        }
    }
    let mut changed = (0..3).filter(|&axis| !unchanged(axis));
    let (Some(axis), None, true) = (changed.next(), changed.next(), narrow) else { return false };
    let (x, y) = both(graph, ends);
    let list: Vec<i32> = indices[axis].iter().map(|&index| index as i32).collect();
    let list = graph.integers(&[list.len()], &list);
    graph.operator(GATHER, options::gather(axis + 1), &[x, list], y);
    true
}

/// Writes all elements in another order of axes, if they are in one that `TRANSPOSE` takes.
fn permuted(graph: &mut Graph, first: usize, axes: &[MoveAxis], [x, y]: [TensorId; 2]) -> bool {
    let len = graph.of(x).len();
    let Some((extents, order)) = permutation(first, axes, len, MAX_AXES - 1) else { return false };
    let x = graph.read(x, &extents);
    let shape: Vec<usize> = order.iter().map(|&axis| extents[axis]).collect();
    let order: Vec<i32> = order.iter().map(|&axis| axis as i32).collect();
    let order = graph.integers(&[order.len()], &order);
    let y = graph.write(y, &shape);
    graph.operator(TRANSPOSE, options::none(), &[x, order], y);
    true
}
