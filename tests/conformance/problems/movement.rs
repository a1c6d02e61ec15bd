//! Random movements: the operations that models name, and any walk over the input.

use burn_ptq_deploy::program::{IntOp, MoveAxis};

use super::Problem;
use super::draw::Draw;
use super::program::{Program, tensor_like};

/// A walk over an input of a shape, and the output's shape.
struct Walk {
    input: [usize; 3],
    output: [usize; 3],
    first: usize,
    axes: Vec<MoveAxis>,
}

pub(super) fn rearrange(draw: &mut Draw) -> Option<Problem> {
    let wide = draw.chance(25);
    let shape = draw.shape(7, 8);
    let walk = match draw.below(9) {
        0 => sliced(draw, shape),
        1 => gathered(draw, shape),
        2 => mirrored(draw, shape),
        3 => enlarged(draw, shape),
        4 => broadcast(draw, shape),
        5 => depth_to_space(draw, true),
        6 => depth_to_space(draw, false),
        7 => permuted(draw),
        _ => any(draw, shape),
    };
    let Walk { input, output, first, axes } = walk;
    let program = Program::new(draw, wide, input);
    let x = program.input();
    let output = tensor_like(program.tensor(x), output);
    program.finish(IntOp::Rearrange { first, axes }, &[x], output)
}

/// The distance between neighbours along each axis.
fn strides<const N: usize>(shape: [usize; N]) -> [usize; N] {
    let mut strides = [1; N];
    for axis in (1..N).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

fn even(count: usize, step: isize) -> MoveAxis {
    MoveAxis::Even { count, step }
}

/// The elements at these indices of each axis.
fn at(input: [usize; 3], indices: [Vec<usize>; 3]) -> Walk {
    let steps = strides(input);
    let output = indices.each_ref().map(Vec::len);
    let lists = indices.iter().zip(steps);
    let axes = lists.map(|(list, step)| {
        MoveAxis::Listed(list.iter().map(|&index| (index * step) as u32).collect())
    });
    Walk { input, output, first: 0, axes: axes.collect() }
}

/// Every n-th element of a range of each axis, forwards or backwards.
fn sliced(draw: &mut Draw, input: [usize; 3]) -> Walk {
    let strides = strides(input);
    let (mut first, mut output, mut axes) = (0, input, Vec::new());
    for axis in 0..3 {
        let step = 1 + draw.below(3);
        let begin = draw.below(input[axis]);
        let most = (input[axis] - begin).div_ceil(step);
        let count = 1 + draw.below(most);
        let backwards = draw.chance(30);
        let start = if backwards { begin + (count - 1) * step } else { begin };
        let step = (step * strides[axis]) as isize;
        first += start * strides[axis];
        output[axis] = count;
        axes.push(even(count, if backwards { -step } else { step }));
    }
    Walk { input, output, first, axes }
}

/// Any elements of one axis.
fn gathered(draw: &mut Draw, input: [usize; 3]) -> Walk {
    let axis = draw.below(3);
    let mut indices = input.map(|extent| (0..extent).collect::<Vec<_>>());
    indices[axis] = (0..1 + draw.below(6)).map(|_| draw.below(input[axis])).collect();
    at(input, indices)
}

/// With a border of mirrored elements, with or without the outermost.
fn mirrored(draw: &mut Draw, input: [usize; 3]) -> Walk {
    let edge = usize::from(draw.chance(50));
    let indices = input.map(|extent| {
        let [before, after] = [(); 2].map(|()| draw.below(extent - edge + 1).min(extent - edge));
        let begin = (0..before).rev().map(|i| i + edge);
        let end = (0..after).map(|i| extent - 1 - edge - i);
        begin.chain(0..extent).chain(end).filter(|&i| i < extent).collect()
    });
    at(input, indices)
}

/// The nearest of the elements of a larger or smaller image.
fn enlarged(draw: &mut Draw, input: [usize; 3]) -> Walk {
    let mut indices = input.map(|extent| (0..extent).collect::<Vec<_>>());
    for axis in 0..2 {
        let (from, to) = (input[axis], 1 + draw.below(9));
        indices[axis] = (0..to).map(|i| i * from / to).collect();
    }
    at(input, indices)
}

/// Axes of extent 1, repeated.
fn broadcast(draw: &mut Draw, shape: [usize; 3]) -> Walk {
    let mut input = shape;
    for extent in &mut input {
        if draw.chance(50) {
            *extent = 1;
        }
    }
    let strides = strides(input);
    let step = |axis: usize| if input[axis] == 1 { 0 } else { strides[axis] as isize };
    let axes = (0..3).map(|axis| even(shape[axis], step(axis))).collect();
    Walk { input, output: shape, first: 0, axes }
}

/// Blocks of the image from its channels, or the other way round.
fn depth_to_space(draw: &mut Draw, to_space: bool) -> Walk {
    let block = 2 + draw.below(2);
    let [height, width, depth] = draw.shape(4, 4);
    let deep = [height, width, depth * block * block];
    let wide = [height * block, width * block, depth];
    // Both as rows, rows of a block, columns, columns of a block, channels.
    let inside = [height, block, width, block, depth];
    let of_wide = strides(inside);
    let [rows, columns, _] = strides(deep);
    let of_deep = [rows, block * depth, columns, depth, 1];
    let (input, output, steps, order) = match to_space {
        true => (deep, wide, of_deep, [0, 1, 2, 3, 4]),
        false => (wide, deep, of_wide, [0, 2, 1, 3, 4]),
    };
    let axes = order.iter().map(|&axis: &usize| even(inside[axis], steps[axis] as isize));
    Walk { input, output, first: 0, axes: axes.collect() }
}

/// Up to six axes in another order.
fn permuted(draw: &mut Draw) -> Walk {
    let shape = [(); 6].map(|()| 1 + draw.below(4));
    let strides = strides(shape);
    let mut order = [0, 1, 2, 3, 4, 5];
    for i in (1..6).rev() {
        order.swap(i, draw.below(i + 1));
    }
    let input = [shape[0] * shape[1] * shape[2], shape[3] * shape[4], shape[5]];
    let turned = order.map(|axis| shape[axis]);
    let output = [turned[0] * turned[1] * turned[2], turned[3] * turned[4], turned[5]];
    let axes = order.iter().map(|&axis| even(shape[axis], strides[axis] as isize));
    Walk { input, output, first: 0, axes: axes.collect() }
}

/// Any axes whose places lie in the input.
fn any(draw: &mut Draw, input: [usize; 3]) -> Walk {
    let mut room = input.iter().product::<usize>() - 1;
    let (mut first, mut axes, mut counts) = (0, Vec::new(), [1; 3]);
    for axis in 0..1 + draw.below(6) {
        let count = 1 + draw.below(4);
        let reach = draw.below(room + 1);
        if draw.chance(40) {
            let places = (0..count).map(|_| draw.below(reach + 1) as u32);
            axes.push(MoveAxis::Listed(places.collect()));
            room -= reach;
        } else {
            let step = reach / (count - 1).max(1);
            let end = step * (count - 1);
            let backwards = draw.chance(40);
            first += if backwards { end } else { 0 };
            axes.push(even(count, if backwards { -(step as isize) } else { step as isize }));
            room -= end;
        }
        counts[axis % 3] *= count;
    }
    first += draw.below(room + 1);
    Walk { input, output: counts, first, axes }
}
