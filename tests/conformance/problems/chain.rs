//! Random programs of several layers.

use burn_ptq_deploy::program::{Broadcast, IntOp, IntTensor, TensorId};
use burn_ptq_kernels::geometry::{ConvGeometry, DepthwiseGeometry, PoolGeometry, Window};
use burn_ptq_kernels::params::AddParams;

use super::Problem;
use super::draw::Draw;
use super::program::{Program, clamp, random_table8, tensor, tensor_like, window};
use super::weighted::weighted;

/// What a layer computes, from what, to what.
pub(super) type Layer = (IntOp, Vec<TensorId>, IntTensor);

/// Two to six layers, with shortcuts around some and packed values between others.
pub(super) fn chain(draw: &mut Draw) -> Option<Problem> {
    let wide = draw.chance(15);
    let shape = draw.shape(12, 6);
    let mut program = Program::new(draw, wide, shape);
    let mut current = program.input();
    for _ in 0..1 + program.draw.below(5) {
        let (op, inputs, output) = layer(&mut program, current, wide)?;
        current = program.push(op, &inputs, output);
        let made = program.tensor(current).clone();
        let even = (made.shape[1] * made.shape[2]).is_multiple_of(2);
        if made.bits <= 4 && even && program.draw.chance(70) {
            let packed = program.packed_like(current);
            let packed = program.push(IntOp::Pack, &[current], packed);
            current = program.push(IntOp::Unpack, &[packed], made);
        }
    }
    let (op, inputs, output) = layer(&mut program, current, wide)?;
    program.finish(op, &inputs, output)
}

/// Layers of tall tensors, of which most windows leave a rest of rows: a layer, whose rows the next
/// one skips or does not reach, and perhaps one more.
pub(super) fn uneven(draw: &mut Draw) -> Option<Problem> {
    let wide = draw.chance(15);
    let [_, width, channels] = draw.shape(4, 6);
    let height = 8 + draw.below(40);
    let mut program = Program::new(draw, wide, [height, width, channels]);
    let (op, inputs, output) = match program.draw.chance(50) {
        true => conv2d(&mut program, TensorId(0), wide)?,
        false => depthwise(&mut program, TensorId(0), wide)?,
    };
    let mut current = program.push(op, &inputs, output);
    if program.draw.chance(40) {
        let (op, inputs, output) = layer(&mut program, current, wide)?;
        current = program.push(op, &inputs, output);
    }
    let [height, width, channels] = program.tensor(current).shape;
    let mut along = |extent: usize| {
        let kernel = 1 + program.draw.below(extent.min(4));
        (kernel, 1 + program.draw.below(5))
    };
    let [rows, columns] = [along(height), along(width)];
    let window = Window {
        kernel: [rows.0, columns.0],
        stride: [rows.1, columns.1],
        dilation: [1; 2],
        pad: [0; 2],
    };
    let input = [height, width];
    let output = [0, 1].map(|axis| (input[axis] - window.kernel[axis]) / window.stride[axis] + 1);
    let geometry = PoolGeometry { input, output, channels, window };
    let mut made = tensor_like(program.tensor(current), [output[0], output[1], channels]);
    let clamp = clamp(program.draw, made.grid);
    let op = match program.draw.below(4) {
        0 => IntOp::MaxPool { geometry, clamp },
        1 | 2 => IntOp::AveragePool { geometry, clamp },
        _ => {
            made = tensor(program.draw, wide, made.shape);
            let geometry = DepthwiseGeometry { input, output, channels, multiplier: 1, window };
            let shape = [window.kernel[0], window.kernel[1], channels];
            let grid = program.tensor(current).grid;
            let weighted = weighted(program.draw, &shape, 2, grid, &mut made)?;
            IntOp::DepthwiseConv2d { geometry, weighted }
        }
    };
    program.finish(op, &[current], made)
}

/// A random layer that reads `from`, a tensor of 16 bits if `wide`.
pub(super) fn layer(program: &mut Program, from: TensorId, wide: bool) -> Option<Layer> {
    match program.draw.below(8) {
        0..=2 => conv2d(program, from, wide),
        3..=4 => depthwise(program, from, wide),
        5 => Some(max_pool(program, from)),
        6 => add(program, from, wide),
        _ if wide => add(program, from, wide),
        _ => {
            let output = tensor(program.draw, false, program.tensor(from).shape);
            let table = random_table8(program.draw, output.grid);
            Some((IntOp::Table8 { table }, vec![from], output))
        }
    }
}

fn conv2d(program: &mut Program, from: TensorId, wide: bool) -> Option<Layer> {
    let [height, width, in_channels] = program.tensor(from).shape;
    let (window, output) = window(program.draw, [height, width], true);
    let out_channels = 1 + program.draw.below(6);
    let input = [height, width];
    let geometry = ConvGeometry { input, output, in_channels, out_channels, groups: 1, window };
    let shape = [out_channels, window.kernel[0], window.kernel[1], in_channels];
    let mut made = tensor(program.draw, wide, [output[0], output[1], out_channels]);
    let grid = program.tensor(from).grid;
    let weighted = weighted(program.draw, &shape, 0, grid, &mut made)?;
    Some((IntOp::Conv2d { geometry, weighted }, vec![from], made))
}

fn depthwise(program: &mut Program, from: TensorId, wide: bool) -> Option<Layer> {
    let [height, width, channels] = program.tensor(from).shape;
    let (window, output) = window(program.draw, [height, width], true);
    let multiplier = if program.draw.chance(80) { 1 } else { 2 };
    let input = [height, width];
    let geometry = DepthwiseGeometry { input, output, channels, multiplier, window };
    let shape = [window.kernel[0], window.kernel[1], geometry.out_channels()];
    let mut made = tensor(program.draw, wide, [output[0], output[1], geometry.out_channels()]);
    let grid = program.tensor(from).grid;
    let weighted = weighted(program.draw, &shape, 2, grid, &mut made)?;
    Some((IntOp::DepthwiseConv2d { geometry, weighted }, vec![from], made))
}

fn max_pool(program: &mut Program, from: TensorId) -> Layer {
    let [height, width, channels] = program.tensor(from).shape;
    let (window, output) = window(program.draw, [height, width], true);
    let geometry = PoolGeometry { input: [height, width], output, channels, window };
    let made = tensor_like(program.tensor(from), [output[0], output[1], channels]);
    let clamp = clamp(program.draw, made.grid);
    (IntOp::MaxPool { geometry, clamp }, vec![from], made)
}

/// With an earlier tensor of the same shape: a shortcut, if there is another.
fn add(program: &mut Program, from: TensorId, wide: bool) -> Option<Layer> {
    let shape = program.tensor(from).shape;
    let dtype = program.tensor(from).dtype;
    let fits = |id: &TensorId| {
        let tensor = program.tensor(*id);
        tensor.shape == shape && tensor.dtype == dtype
    };
    let other = (0..program.len()).map(TensorId).find(fits)?;
    let inputs = if program.draw.chance(50) { [from, other] } else { [other, from] };
    let mut made = tensor(program.draw, wide, shape);
    let [a, b] = inputs.map(|id| program.tensor(id).grid.scale);
    made.grid.scale = a.max(b) * program.draw.scale(0.5, 3.0);
    let params = AddParams::new(a, b, made.grid.scale, wide)?;
    let clamp = clamp(program.draw, made.grid);
    Some((IntOp::Add { params, broadcast: Broadcast::None, clamp }, inputs.to_vec(), made))
}
