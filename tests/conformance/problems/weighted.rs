//! Convolutions and fully connected layers.

use burn_ptq_deploy::program::{IntOp, IntTensor, Weighted, Weights};
use burn_ptq_kernels::geometry::{ConvGeometry, DepthwiseGeometry, TransposeConvGeometry, Window};
use burn_ptq_kernels::grid::{Grid, weight_range};
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::packing::{pack, packed_len, storage_bits};

use super::draw::Draw;
use super::program::{Program, clamp, tensor, window};
use super::{Problem, gates, quads, scalar, tiles};

pub(super) fn conv2d(draw: &mut Draw) -> Option<Problem> {
    let wide = draw.chance(25);
    let groups = if draw.chance(60) { 1 } else { 1 + draw.below(4) };
    // Some filters are longer than a block of 256 weights.
    let (extent, channels) = if draw.chance(15) { (4, 40) } else { (12, 9) };
    let [height, width, per_group] = draw.shape(extent, channels);
    let filters = 1 + draw.below(9);
    let (window, output) = window(draw, [height, width], false);
    match draw.below(20) {
        0 => return as_many_groups_as_taps(draw),
        1 => return pointwise(draw),
        2..=4 => return tiles::conv2d(draw),
        5..=9 => return scalar::conv2d(draw),
        10..=13 => return quads::conv2d(draw),
        14 if draw.chance(50) => return quads::large_sums(draw),
        _ => {}
    }
    let geometry = ConvGeometry {
        input: [height, width],
        output,
        in_channels: per_group * groups,
        out_channels: filters * groups,
        groups,
        window,
    };
    grouped(draw, geometry, wide)
}

/// A filter as long as a pixel that is not a pixel: kernels that read those in place must not take
/// it for one.
fn as_many_groups_as_taps(draw: &mut Draw) -> Option<Problem> {
    let (groups, height, width) = (2 << draw.below(2), 4 + draw.below(5), 1 + draw.below(5));
    let window = Window { kernel: [groups, 1], stride: [1; 2], dilation: [1; 2], pad: [0; 2] };
    let geometry = ConvGeometry {
        input: [height, width],
        output: [height - groups + 1, width],
        in_channels: 64,
        out_channels: groups * (1 + draw.below(3)),
        groups,
        window,
    };
    grouped(draw, geometry, false)
}

/// Every output pixel is made of the input pixel at the same place.
fn pointwise(draw: &mut Draw) -> Option<Problem> {
    let plane = [1 + draw.below(6), 1 + draw.below(6)];
    let window = Window { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pad: [0; 2] };
    let geometry = ConvGeometry {
        input: plane,
        output: plane,
        in_channels: 1 + draw.below(40),
        out_channels: 1 + draw.below(9),
        groups: 1,
        window,
    };
    let wide = draw.chance(25);
    grouped(draw, geometry, wide)
}

/// A convolution of any geometry.
fn grouped(draw: &mut Draw, geometry: ConvGeometry, wide: bool) -> Option<Problem> {
    let [height, width] = geometry.input;
    let program = Program::new(draw, wide, [height, width, geometry.in_channels]);
    let [kernel_h, kernel_w] = geometry.window.kernel;
    let shape = [geometry.out_channels, kernel_h, kernel_w, geometry.inputs_per_group()];
    let [height, width] = geometry.output;
    let mut output = tensor(program.draw, wide, [height, width, geometry.out_channels]);
    let x = program.input();
    let grid = program.tensor(x).grid;
    let weighted = weighted(program.draw, &shape, 0, grid, &mut output)?;
    program.finish(IntOp::Conv2d { geometry, weighted }, &[x], output)
}

pub(super) fn transpose_conv2d(draw: &mut Draw) -> Option<Problem> {
    let wide = draw.chance(25);
    let groups = if draw.chance(60) { 1 } else { 1 + draw.below(4) };
    // Some pixels are longer than a block of 256 weights.
    let (extent, channels) = if draw.chance(10) { (2, 300) } else { (7, 9) };
    let [height, width, mut per_group] = draw.shape(extent, channels);
    let mut filters = 1 + draw.below(9);
    if groups > 1 && draw.chance(50) {
        (per_group, filters) = (1, 1 + draw.below(2));
    }
    let input = [height, width];
    let mut window = Window { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pad: [0; 2] };
    let mut output = [1; 2];
    // TensorFlow's two ways of padding, or any.
    let padding = draw.below(4);
    let dilated = draw.chance(25);
    for axis in 0..2 {
        let (kernel, stride) = (1 + draw.below(5), 1 + draw.below(3));
        let dilation = if dilated { 1 + draw.below(3) } else { 1 };
        let reach = (kernel - 1) * dilation + 1;
        let full = (input[axis] - 1) * stride + reach;
        (output[axis], window.pad[axis]) = match padding {
            0 => (full, 0),
            1 => {
                let extent = input[axis] * stride - draw.below(stride);
                (extent, full.saturating_sub(extent) / 2)
            }
            // Cropped on both sides, or with outputs behind the last input's.
            _ => {
                let pad = draw.below(reach);
                (1 + draw.below((full + 3).saturating_sub(pad).max(1)), pad)
            }
        };
        window.kernel[axis] = kernel;
        window.stride[axis] = stride;
        window.dilation[axis] = dilation;
    }
    let geometry = TransposeConvGeometry {
        input,
        output,
        in_channels: per_group * groups,
        out_channels: filters * groups,
        groups,
        window,
    };
    let program = Program::new(draw, wide, [height, width, geometry.in_channels]);
    let shape = [geometry.out_channels, window.kernel[0], window.kernel[1], per_group];
    let mut output = tensor(program.draw, wide, [output[0], output[1], geometry.out_channels]);
    let x = program.input();
    let grid = program.tensor(x).grid;
    let weighted = weighted(program.draw, &shape, 0, grid, &mut output)?;
    program.finish(IntOp::TransposeConv2d { geometry, weighted }, &[x], output)
}

pub(super) fn depthwise_conv2d(draw: &mut Draw) -> Option<Problem> {
    match draw.below(13) {
        0..=3 => return tiles::depthwise_conv2d(draw),
        4..=6 => return scalar::depthwise_conv2d(draw),
        7..=9 => return quads::depthwise_conv2d(draw),
        _ => {}
    }
    let wide = draw.chance(25);
    // Some have more channels than the blocks of the C runtime.
    let many = draw.chance(20);
    let [height, width, channels] = draw.shape(12, if many { 40 } else { 9 });
    let multiplier = if draw.chance(60) { 1 } else { 1 + draw.below(4) };
    let (window, output) = window(draw, [height, width], false);
    let geometry =
        DepthwiseGeometry { input: [height, width], output, channels, multiplier, window };
    let program = Program::new(draw, wide, [height, width, channels]);
    let shape = [window.kernel[0], window.kernel[1], geometry.out_channels()];
    let mut output = tensor(program.draw, wide, [output[0], output[1], geometry.out_channels()]);
    let x = program.input();
    let grid = program.tensor(x).grid;
    let weighted = weighted(program.draw, &shape, 2, grid, &mut output)?;
    program.finish(IntOp::DepthwiseConv2d { geometry, weighted }, &[x], output)
}

pub(super) fn fully_connected(draw: &mut Draw) -> Option<Problem> {
    match draw.below(18) {
        0..=3 => return tiles::fully_connected(draw),
        4..=6 => return scalar::fully_connected(draw),
        7..=9 => return quads::fully_connected(draw),
        15..=17 => return gates::wide_sums(draw),
        _ => {}
    }
    let wide = draw.chance(25);
    // Packed weights of a single row are read in groups of eight, if there are only whole ones.
    let groups = draw.chance(50);
    let rows = if groups || draw.chance(30) { 1 } else { 2 + draw.below(12) };
    let longest = if draw.chance(20) { 600 } else { 40 };
    let in_features = if groups { 8 * (1 + draw.below(10)) } else { 1 + draw.below(longest) };
    let out_features = 1 + draw.below(20);
    let program = Program::new(draw, wide, [1, rows, in_features]);
    let mut output = tensor(program.draw, wide, [1, rows, out_features]);
    let x = program.input();
    let shape = [out_features, in_features];
    let grid = program.tensor(x).grid;
    let weighted = weighted(program.draw, &shape, 0, grid, &mut output)?;
    let op = IntOp::FullyConnected { rows, in_features, out_features, weighted };
    program.finish(op, &[x], output)
}

/// Random weights; chooses the output's scale so that most outputs lie within the grid.
pub(super) fn weighted(
    draw: &mut Draw,
    shape: &[usize],
    channel_axis: usize,
    input: Grid,
    output: &mut IntTensor,
) -> Option<Weighted> {
    let (len, channels) = (shape.iter().product::<usize>(), shape[channel_axis]);
    let bits = draw.within(2, 8) as u8;
    let values = weight_values(draw, bits, len);
    let storage = storage_bits(bits);
    let mut data = vec![0; packed_len(len, storage)];
    pack(&values, storage, &mut data);

    let base = draw.scale(1e-3, 0.1);
    // A single scale means per tensor, for TensorFlow Lite too.
    let per_tensor = channels == 1 || draw.chance(30);
    let scales: Vec<f32> = match per_tensor {
        true => vec![base],
        false => (0..channels).map(|_| base * draw.scale(0.3, 3.0)).collect(),
    };
    let steps_in = (input.max - input.min) as f32 / 4.0;
    let spread = steps_in * (1 << (bits - 2)) as f32 * ((len / channels) as f32).sqrt();
    let steps_out = (output.grid.max - output.grid.min) as f32 / 4.0;
    // One in six programs has small outputs or saturates nearly everywhere.
    let fit = if draw.chance(16) { draw.scale(0.02, 20.0) } else { draw.scale(0.4, 2.0) };
    output.grid.scale = input.scale * base * spread / steps_out * fit;

    let bound = (spread as i32).max(1);
    let bias = (0..channels)
        .map(|_| match draw.below(12) {
            0 => 0,
            1 => draw.within(-(1 << 22), 1 << 22),
            _ => draw.within(-bound, bound),
        })
        .collect();
    let derived = |&scale: &f32| Multiplier::of_scales(input.scale, scale, output.grid.scale);
    let multipliers: Option<Vec<Multiplier>> = scales.iter().map(derived).collect();
    // TensorFlow Lite derives none that round once.
    let once = draw.chance(15);
    let rounding = |m: Multiplier| if once { m.rounding_once() } else { m };
    let multipliers = multipliers.map(|all| all.into_iter().map(rounding).collect());
    Some(Weighted {
        weights: Weights { shape: shape.to_vec(), bits, storage, data, scales },
        bias,
        multipliers: multipliers?,
        clamp: clamp(draw, output.grid),
    })
}

/// Values over the whole range, or at its ends only.
fn weight_values(draw: &mut Draw, bits: u8, len: usize) -> Vec<i8> {
    let (min, max) = weight_range(bits);
    let ends = draw.chance(12);
    (0..len)
        .map(|_| if ends { draw.pick(&[min, max]) } else { draw.within(min, max) } as i8)
        .collect()
}
