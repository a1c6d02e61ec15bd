//! Movements as places: which operators of a format's copy elements so, exporters ask here.

use std::cmp::Reverse;

use burn_ptq_kernels::reference::rearrange;

use super::refusal::Refusal;
use crate::movement::MoveAxis;

/// The indices of the input that each axis of `[height, width, channels]` shows.
pub(crate) type Indices = [Vec<usize>; 3];

/// The most elements whose places are looked at, of an input and an output.
const MOST_ELEMENTS: usize = 1 << 23;

/// The place in an input of `len` elements that each of the `count` elements of an output comes from.
///
/// # Errors
/// If there are more elements than a microcontroller has memory for.
pub(crate) fn sources(
    first: usize,
    axes: &[MoveAxis],
    len: usize,
    count: usize,
) -> Result<Vec<usize>, Refusal> {
    if len.max(count) > MOST_ELEMENTS {
        return Err(Refusal::new("it moves more than 8 million elements"));
    }
    let places: Vec<usize> = (0..len).collect();
    let mut sources = vec![0; count];
    rearrange(first, &MoveAxis::padded(axes), &places, &mut sources);
    Ok(sources)
}

/// The block by which `wide` is larger than `deep`, which has more channels for it.
pub(crate) fn block_of(deep: [usize; 3], wide: [usize; 3]) -> Option<usize> {
    let block = wide[0] / deep[0];
    let expected = [deep[0] * block, deep[1] * block, deep[2].checked_div(block * block)?];
    (block > 1 && wide == expected).then_some(block)
}

/// Where the elements of an output of `shape` come from, in an input of these columns and channels.
pub(crate) fn blocks(
    shape: [usize; 3],
    block: usize,
    input: [usize; 3],
    to_space: bool,
) -> Vec<usize> {
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
pub(crate) fn by_axis(sources: &[usize], input: [usize; 3], output: [usize; 3]) -> Option<Indices> {
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

/// Begin, end and step of indices at equal distances; the end is negative where it lies before 0.
pub(crate) fn slice(indices: &[usize]) -> Option<[i32; 3]> {
    let numbers: Vec<i32> = indices.iter().map(|&index| index as i32).collect();
    let begin = *numbers.first()?;
    let step = numbers.get(1).map_or(1, |second| second - begin);
    let even = numbers.windows(2).all(|pair| pair[1] - pair[0] == step);
    (step != 0 && even).then(|| [begin, begin + step * numbers.len() as i32, step])
}

/// How many mirrored elements stand before and after an axis; `edge` is 1 where its outermost elements
/// are not repeated.
pub(crate) fn mirrored(indices: &[usize], extent: usize, edge: usize) -> Option<[i32; 2]> {
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

/// The extents of all `len` elements of the input, outermost first, and for each axis of the output the one of
/// the input, if elements are only in another order of at most `most` axes.
pub(crate) fn permutation(
    first: usize,
    axes: &[MoveAxis],
    len: usize,
    most: usize,
) -> Option<(Vec<usize>, Vec<usize>)> {
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
    if first != 0 || dense != len || !(1..=most).contains(&sorted.len()) {
        return None;
    }
    let extents = sorted.iter().map(|&axis| axes[axis].0).collect();
    let place = |axis| sorted.iter().position(|&other| other == axis).unwrap_or(0);
    Some((extents, (0..axes.len()).map(place).collect()))
}

/// Where the elements of three axes stand in memory: the axes from the outermost to the innermost, and
/// the extents, 1 where an axis has no step.
pub(crate) fn stored(extents: [usize; 3], strides: [usize; 3]) -> ([usize; 3], [usize; 3]) {
    let mut order = [0, 1, 2];
    order.sort_by_key(|&axis| Reverse((strides[axis].max(1), extents[axis])));
    let extents = [0, 1, 2].map(|axis| if strides[axis] == 0 { 1 } else { extents[axis] });
    // An axis of step 0 goes to the front.
    order.sort_by_key(|&axis| strides[axis] != 0);
    (order, extents)
}

/// The axis of `[height, width, channels]` along which inputs are joined that have `chunks` elements in each of
/// `outer` steps; `None` if they are joined as rows.
pub(crate) fn joined_axis(shape: [usize; 3], outer: usize, chunks: &[usize]) -> Option<usize> {
    [2, 1, 0].into_iter().find(|&axis| {
        let inner = shape[axis + 1..].iter().product::<usize>();
        shape[..axis].iter().product::<usize>() == outer
            && chunks.iter().all(|chunk| chunk.is_multiple_of(inner))
            && chunks.iter().sum::<usize>() == inner * shape[axis]
    })
}
