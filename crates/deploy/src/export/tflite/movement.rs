//! Movements: the first operator whose elements come from the same places.

use burn_ptq_kernels::reference::{MAX_AXES, rearrange};

use super::graph::{Graph, with_batch};
use super::model::options;
use super::refusal::Refusal;
use crate::movement::MoveAxis;
use crate::op::DType;
use crate::program::TensorId;
use crate::tflite::schema::{
    BROADCAST_TO, Builtin, DEPTH_TO_SPACE, GATHER, MIRROR_PAD, RESIZE_NEAREST_NEIGHBOR,
    SPACE_TO_DEPTH, STRIDED_SLICE, TRANSPOSE,
};

/// The indices of the input that each axis of `[height, width, channels]` shows.
type Indices = [Vec<usize>; 3];

/// Writes the copy of elements of `ends[0]` to `ends[1]`.
pub(super) fn translate(
    graph: &mut Graph,
    first: usize,
    axes: &[MoveAxis],
    ends: [TensorId; 2],
) -> Result<(), Refusal> {
    let [input, output] = ends.map(|id| graph.of(id));
    let places: Vec<usize> = (0..input.len()).collect();
    let mut sources = vec![0; output.len()];
    rearrange(first, &MoveAxis::padded(axes), &places, &mut sources);
    // Elements that stay need no operator.
    if sources == places {
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
    match permutation(graph, first, axes, ends) {
        true => Ok(()),
        false => Err(Refusal::new("no operator moves elements so")),
    }
}

fn both(graph: &mut Graph, [x, y]: [TensorId; 2]) -> (usize, usize) {
    let [input, output] = [x, y].map(|id| with_batch(graph.of(id).shape));
    (graph.read(x, &input), graph.write(y, &output))
}

/// The block by which `wide` is larger than `deep`, which has more channels for it.
fn block_of(deep: [usize; 3], wide: [usize; 3]) -> Option<usize> {
    let block = wide[0] / deep[0];
    let expected = [deep[0] * block, deep[1] * block, deep[2].checked_div(block * block)?];
    (block > 1 && wide == expected).then_some(block)
}

/// Where the elements of an output of `shape` come from, in an input of these columns and channels.
fn blocks(shape: [usize; 3], block: usize, input: [usize; 3], to_space: bool) -> Vec<usize> {
    let [_, columns, channels] = input;
    let mut sources = Vec::new();
    for y in 0..shape[0] {
        for x in 0..shape[1] {
            for c in 0..shape[2] {
                let [row, column, channel] = if to_space {
                    [y / block, x / block, (y % block * block + x % block) * shape[2] + c]
                } else {
                    let inside = c / channels;
                    [y * block + inside / block, x * block + inside % block, c % channels]
                };
                sources.push((row * columns + column) * channels + channel);
            }
        }
    }
    sources
}

/// The indices of each axis, if the axes are independent of each other.
fn by_axis(sources: &[usize], input: [usize; 3], output: [usize; 3]) -> Option<Indices> {
    let steps = [output[1] * output[2], output[2], 1];
    let index = |source: usize, axis: usize| match axis {
        0 => source / (input[1] * input[2]),
        1 => source / input[2] % input[1],
        _ => source % input[2],
    };
    let indices = [0, 1, 2].map(|axis| {
        let along = (0..output[axis]).map(|i| index(sources[i * steps[axis]], axis));
        along.collect::<Vec<_>>()
    });
    let mut expected = Vec::with_capacity(sources.len());
    for y in &indices[0] {
        for x in &indices[1] {
            expected.extend(indices[2].iter().map(|c| (y * input[1] + x) * input[2] + c));
        }
    }
    (expected == sources).then_some(indices)
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

/// Begin, end and step of indices at equal distances; the end is negative where it lies before 0.
fn slice(indices: &[usize]) -> Option<[i32; 3]> {
    let numbers: Vec<i32> = indices.iter().map(|&index| index as i32).collect();
    let begin = *numbers.first()?;
    let step = numbers.get(1).map_or(1, |second| second - begin);
    let even = numbers.windows(2).all(|pair| pair[1] - pair[0] == step);
    (step != 0 && even).then(|| [begin, begin + step * numbers.len() as i32, step])
}

/// How many mirrored elements stand before and after an axis; `edge` is 1 where its outermost elements
/// are not repeated.
fn mirrored(indices: &[usize], extent: usize, edge: usize) -> Option<[i32; 2]> {
    let more = indices.len().checked_sub(extent)?;
    let fits = |before: usize| {
        let after = more - before;
        let begin = (0..before).rev().map(|i| i + edge);
        let end = (0..after).map(|i| extent - 1 - edge - i);
        before.max(after) + edge <= extent
            && begin.chain(0..extent).chain(end).eq(indices.iter().copied())
    };
    let before = (0..=more).find(|&before| fits(before))?;
    Some([before as i32, (more - before) as i32])
}

/// Writes all elements in another order of at most six axes, if they are in one.
fn permutation(graph: &mut Graph, first: usize, axes: &[MoveAxis], [x, y]: [TensorId; 2]) -> bool {
    let even = |axis: &MoveAxis| match axis {
        MoveAxis::Even { count, step } => Some((*count, usize::try_from(*step).ok()?)),
        MoveAxis::Listed(_) => None,
    };
    let axes: Option<Vec<(usize, usize)>> = axes.iter().map(even).collect();
    let Some(axes) = axes else { return false };
    let axes: Vec<(usize, usize)> = axes.into_iter().filter(|axis| axis.0 > 1).collect();
    let mut sorted: Vec<usize> = (0..axes.len()).collect();
    sorted.sort_by_key(|&axis| axes[axis].1);
    let mut dense = 1;
    for &axis in &sorted {
        if axes[axis].1 != dense {
            return false;
        }
        dense *= axes[axis].0;
    }
    sorted.reverse();
    let count = sorted.len();
    if first != 0 || dense != graph.of(x).len() || !(1..MAX_AXES).contains(&count) {
        return false;
    }
    let x = graph.read(x, &sorted.iter().map(|&axis| axes[axis].0).collect::<Vec<_>>());
    let place = |axis| sorted.iter().position(|&other| other == axis).map_or(0, |p| p as i32);
    let order: Vec<i32> = (0..count).map(place).collect();
    let order = graph.integers(&[count], &order);
    let y = graph.write(y, &axes.iter().map(|axis| axis.0).collect::<Vec<_>>());
    graph.operator(TRANSPOSE, options::none(), &[x, order], y);
    true
}
