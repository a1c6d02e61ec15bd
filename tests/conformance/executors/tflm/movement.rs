//! Movements in the operators of TensorFlow Lite: the first of them whose elements come from the same
//! places.

use burn_ptq_deploy::program::{DType, IntTensor, MoveAxis};
use burn_ptq_kernels::reference::{MAX_AXES, rearrange};
use serde_json::json;

use super::{File, with_batch};

/// The indices of the input that each axis of `[height, width, channels]` shows.
type Indices = [Vec<usize>; 3];

pub(super) fn describe(
    file: &mut File,
    first: usize,
    axes: &[MoveAxis],
    input: &IntTensor,
    output: &IntTensor,
) -> Result<usize, String> {
    let places: Vec<usize> = (0..input.len()).collect();
    let mut sources = vec![0; output.len()];
    rearrange(first, &MoveAxis::padded(axes), &places, &mut sources);
    let narrow = input.dtype == DType::I8;
    if let Some(block) = block_of(input.shape, output.shape)
        && narrow
        && sources == blocks(output.shape, block, [1, input.shape[1], input.shape[2]], true)
    {
        let (x, y) = ends(file, input, output);
        let options = json!({ "blockSize": block });
        file.operator(("DEPTH_TO_SPACE", 1), "DepthToSpaceOptions", options, &[x], y);
        return Ok(y);
    }
    if let Some(block) = block_of(output.shape, input.shape)
        && narrow
        && sources == blocks(output.shape, block, [1, input.shape[1], input.shape[2]], false)
    {
        let (x, y) = ends(file, input, output);
        let options = json!({ "blockSize": block });
        file.operator(("SPACE_TO_DEPTH", 1), "SpaceToDepthOptions", options, &[x], y);
        return Ok(y);
    }
    if let Some(indices) = by_axis(&sources, input.shape, output.shape)
        && let Some(y) = describe_indices(file, &indices, input, output)
    {
        return Ok(y);
    }
    describe_permutation(file, first, axes, input, output)
        .ok_or_else(|| "no operator moves elements so".into())
}

fn ends(file: &mut File, input: &IntTensor, output: &IntTensor) -> (usize, usize) {
    let x = file.input(input, &with_batch(input.shape));
    (x, file.activation(output, &with_batch(output.shape)))
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

fn describe_indices(
    file: &mut File,
    indices: &Indices,
    input: &IntTensor,
    output: &IntTensor,
) -> Option<usize> {
    let narrow = input.dtype == DType::I8;
    let extents = input.shape;
    let unchanged = |axis: usize| indices[axis].iter().copied().eq(0..extents[axis]);
    if (0..3).all(|axis| unchanged(axis) || extents[axis] == 1) {
        let (x, y) = ends(file, input, output);
        let shape = with_batch(output.shape).map(|extent| extent as i32);
        let shape = file.constant("INT32", &[4], &shape);
        file.operator(("BROADCAST_TO", 2), "BroadcastToOptions", json!({}), &[x, shape], y);
        return Some(y);
    }
    let nearest = |axis: usize| {
        let (from, to) = (extents[axis], indices[axis].len());
        indices[axis].iter().copied().eq((0..to).map(|i| i * from / to))
    };
    if nearest(0) && nearest(1) && unchanged(2) {
        let (x, y) = ends(file, input, output);
        let size = [output.shape[0] as i32, output.shape[1] as i32];
        let size = file.constant("INT32", &[2], &size);
        let options = json!({ "alignCorners": false, "halfPixelCenters": false });
        let operator = ("RESIZE_NEAREST_NEIGHBOR", 2);
        file.operator(operator, "ResizeNearestNeighborOptions", options, &[x, size], y);
        return Some(y);
    }
    let slices: Option<Vec<[i32; 3]>> = indices.iter().map(|list| slice(list)).collect();
    if let Some(slices) = slices {
        let (x, y) = ends(file, input, output);
        let column = |which: usize, batch: i32| {
            let own = slices.iter().map(|slice| slice[which]);
            std::iter::once(batch).chain(own).collect::<Vec<i32>>()
        };
        let (begin, end, step) = (column(0, 0), column(1, 1), column(2, 1));
        let mask: i32 = (0..4).filter(|&axis| end[axis] < 0).map(|axis| 1 << axis).sum();
        let parts = [begin, end, step].map(|list| file.constant("INT32", &[4], &list));
        let inputs = [x, parts[0], parts[1], parts[2]];
        let options = json!({ "endMask": mask });
        file.operator(("STRIDED_SLICE", 2), "StridedSliceOptions", options, &inputs, y);
        return Some(y);
    }
    for (mode, edge) in [(0, 1), (1, 0)] {
        let around: Option<Vec<[i32; 2]>> =
            (0..3).map(|axis| mirrored(&indices[axis], extents[axis], edge)).collect();
        if let Some(around) = around.filter(|_| narrow) {
            let (x, y) = ends(file, input, output);
            let pads: Vec<i32> = [[0; 2]].into_iter().chain(around).flatten().collect();
            let pads = file.constant("INT32", &[4, 2], &pads);
            let options = json!({ "mode": mode });
            file.operator(("MIRROR_PAD", 1), "MirrorPadOptions", options, &[x, pads], y);
            return Some(y);
        }
    }
    let mut changed = (0..3).filter(|&axis| !unchanged(axis));
    let (axis, None) = (changed.next()?, changed.next()) else { return None };
    if !narrow {
        return None;
    }
    let (x, y) = ends(file, input, output);
    let list: Vec<i32> = indices[axis].iter().map(|&index| index as i32).collect();
    let list = file.constant("INT32", &[list.len()], &list);
    let options = json!({ "axis": axis + 1, "batchDims": 0 });
    file.operator(("GATHER", 1), "GatherOptions", options, &[x, list], y);
    Some(y)
}

/// Begin, end and step of indices at equal distances; the end is negative where it lies before 0.
fn slice(indices: &[usize]) -> Option<[i32; 3]> {
    let numbers: Vec<i32> = indices.iter().map(|&index| index as i32).collect();
    let begin = numbers[0];
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

/// All elements in another order of at most six axes.
fn describe_permutation(
    file: &mut File,
    first: usize,
    axes: &[MoveAxis],
    input: &IntTensor,
    output: &IntTensor,
) -> Option<usize> {
    let even = |axis: &MoveAxis| match axis {
        MoveAxis::Even { count, step } => Some((*count, usize::try_from(*step).ok()?)),
        MoveAxis::Listed(_) => None,
    };
    let axes: Vec<(usize, usize)> = axes.iter().map(even).collect::<Option<_>>()?;
    let axes: Vec<(usize, usize)> = axes.into_iter().filter(|axis| axis.0 > 1).collect();
    let mut sorted: Vec<usize> = (0..axes.len()).collect();
    sorted.sort_by_key(|&axis| axes[axis].1);
    let mut dense = 1;
    for &axis in &sorted {
        if axes[axis].1 != dense {
            return None;
        }
        dense *= axes[axis].0;
    }
    sorted.reverse();
    let count = sorted.len();
    if first != 0 || dense != input.len() || !(1..MAX_AXES).contains(&count) {
        return None;
    }
    let x = file.input(input, &sorted.iter().map(|&axis| axes[axis].0).collect::<Vec<_>>());
    let y = file.activation(output, &axes.iter().map(|axis| axis.0).collect::<Vec<_>>());
    let place = |axis| sorted.iter().position(|&other| other == axis).map_or(0, |p| p as i32);
    let order: Vec<i32> = (0..count).map(place).collect();
    let order = file.constant("INT32", &[count], &order);
    file.operator(("TRANSPOSE", 2), "TransposeOptions", json!({}), &[x, order], y);
    Some(y)
}
