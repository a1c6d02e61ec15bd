//! Layers that meet the conditions of the DSP extension's tiles, or miss them narrowly.

use burn_ptq_deploy::program::{Broadcast, IntOp, IntTensor, Weighted};
use burn_ptq_kernels::geometry::{ConvGeometry, DepthwiseGeometry, Window};
use burn_ptq_kernels::grid::{Grid, signed_range};
use burn_ptq_kernels::params::{AddParams, Clamp};

use super::Problem;
use super::draw::Draw;
use super::program::{Program, tensor};
use super::weighted;

/// An output that 8 bits bound; half of the zero points are the lower end.
pub(super) fn output(draw: &mut Draw, shape: [usize; 3], relu: bool) -> IntTensor {
    let mut output = tensor(draw, false, shape);
    (output.grid.min, output.grid.max) = signed_range(8, false);
    output.bits = 8;
    let inner = draw.within(-128, 127);
    output.grid.zero_point = if relu || draw.chance(50) { -128 } else { inner };
    output
}

/// The weights that a generator asks for.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    /// Bits that they are stored with.
    pub storages: &'static [u8],
    /// Per cent of the layers, by their storage, in which multipliers may shift to the left, which few fast
    /// kernels do.
    pub left: fn(u8) -> usize,
}

/// Now and then multipliers that shift to the left.
pub(super) const FEW_LEFT: fn(u8) -> usize = |_| 10;

/// Many of them where a tile takes them: fully connected layers of 4 bits.
pub(super) const MANY_LEFT: fn(u8) -> usize = |storage| if storage == 4 { 90 } else { 10 };

/// Weights as they are wanted.
fn weighted(
    draw: &mut Draw,
    wanted: Wanted,
    shape: &[usize],
    channel_axis: usize,
    input: Grid,
    output: &mut IntTensor,
) -> Option<Weighted> {
    let storage = draw.pick(wanted.storages);
    let left = draw.chance((wanted.left)(storage));
    let mut drawn = (0..20).filter_map(|_| {
        let drawn = weighted::weighted(draw, shape, channel_axis, input, output)?;
        let shifts = drawn.multipliers.iter().all(|multiplier| multiplier.exponent < 0);
        (drawn.weights.storage == storage && (shifts || left)).then_some(drawn)
    });
    let clamp = Clamp { min: -128, max: 127 };
    drawn.next().map(|weighted| Weighted { clamp, ..weighted })
}

/// A convolution of one input.
pub(super) fn conv2d_of(
    draw: &mut Draw,
    geometry: ConvGeometry,
    wanted: Wanted,
) -> Option<Problem> {
    let ([height, width], [rows, columns]) = (geometry.input, geometry.window.kernel);
    let program = Program::new(draw, false, [height, width, geometry.in_channels]);
    let shape = [geometry.out_channels, rows, columns, geometry.in_channels];
    let [height, width] = geometry.output;
    let mut output = output(program.draw, [height, width, geometry.out_channels], false);
    let x = program.input();
    let grid = program.tensor(x).grid;
    let weighted = weighted(program.draw, wanted, &shape, 0, grid, &mut output)?;
    program.finish(IntOp::Conv2d { geometry, weighted }, &[x], output)
}

/// A depthwise convolution of 3x3 of one input.
pub(super) fn depthwise_conv2d_of(
    draw: &mut Draw,
    geometry: DepthwiseGeometry,
    relu: bool,
    wanted: Wanted,
) -> Option<Problem> {
    let ([height, width], channels) = (geometry.input, geometry.channels);
    let program = Program::new(draw, false, [height, width, channels]);
    let [height, width] = geometry.output;
    let mut output = output(program.draw, [height, width, channels], relu);
    let x = program.input();
    let grid = program.tensor(x).grid;
    let weighted = weighted(program.draw, wanted, &[3, 3, channels], 2, grid, &mut output)?;
    program.finish(IntOp::DepthwiseConv2d { geometry, weighted }, &[x], output)
}

/// A fully connected layer of `rows` rows, of so many features out of so many.
pub(super) fn fully_connected_of(
    draw: &mut Draw,
    rows: usize,
    [out_features, in_features]: [usize; 2],
    wanted: Wanted,
) -> Option<Problem> {
    let program = Program::new(draw, false, [1, rows, in_features]);
    let mut output = output(program.draw, [1, rows, out_features], false);
    let x = program.input();
    let grid = program.tensor(x).grid;
    let shape = [out_features, in_features];
    let weighted = weighted(program.draw, wanted, &shape, 0, grid, &mut output)?;
    let op = IntOp::FullyConnected { rows, in_features, out_features, weighted };
    program.finish(op, &[x], output)
}

/// Square or oblong windows with the padding of both frameworks, or none.
pub(super) fn window(
    draw: &mut Draw,
    plane: [usize; 2],
    kernel: [usize; 2],
    most: usize,
) -> Option<(Window, [usize; 2])> {
    let stride = 1 + draw.below(most);
    let before = draw.below(2);
    let pad = kernel.map(|kernel| if before == 0 { 0 } else { kernel / 2 });
    let after = draw.below(3);
    let mut extents = [0; 2];
    for axis in 0..2 {
        let padded = plane[axis] + pad[axis] + after * (kernel[axis] / 2);
        extents[axis] = padded.checked_sub(kernel[axis])? / stride + 1;
    }
    Some((Window { kernel, stride: [stride; 2], dilation: [1; 2], pad }, extents))
}

pub(super) fn conv2d(draw: &mut Draw) -> Option<Problem> {
    let plane = [1 + draw.below(8), 1 + draw.below(8)];
    let fours = draw.chance(50);
    let channels = 1 + draw.below(12);
    let in_channels = if fours { 4 * channels } else { channels };
    // As many channels out as in let a pointwise convolution work in place.
    let in_place = in_channels % 2 == 0 && draw.chance(45);
    let kernel = draw.pick(&[[1, 1], [1, 1], [3, 3], [3, 3], [4, 1], [2, 5]]);
    let (kernel, most_stride) = if in_place { ([1; 2], 1) } else { (kernel, 3) };
    let (window, output_plane) = window(draw, plane, kernel, most_stride)?;
    let out_channels = if in_place { in_channels } else { 2 * (1 + draw.below(4)) };
    let geometry = ConvGeometry {
        input: plane,
        output: output_plane,
        in_channels,
        out_channels,
        groups: 1,
        window,
    };
    conv2d_of(draw, geometry, Wanted { storages: &[4, 8], left: FEW_LEFT })
}

pub(super) fn depthwise_conv2d(draw: &mut Draw) -> Option<Problem> {
    // Planes of few lines, of many, and of many columns.
    let most = draw.pick(&[[8, 8], [20, 6], [6, 24]]);
    let plane = most.map(|most| 1 + draw.below(most));
    let channels = 4 * (1 + draw.below(3));
    let (window, output_plane) = window(draw, plane, [3; 2], 2)?;
    let geometry =
        DepthwiseGeometry { input: plane, output: output_plane, channels, multiplier: 1, window };
    depthwise_conv2d_of(draw, geometry, true, Wanted { storages: &[2, 3, 4, 8], left: FEW_LEFT })
}

pub(super) fn fully_connected(draw: &mut Draw) -> Option<Problem> {
    let in_features = 4 * (1 + draw.below(20));
    let out_features = 8 * (1 + draw.below(3));
    fully_connected_of(
        draw,
        1,
        [out_features, in_features],
        Wanted { storages: &[4, 8], left: MANY_LEFT },
    )
}

pub(super) fn add(draw: &mut Draw) -> Option<Problem> {
    let shape = [1 + draw.below(4), 1 + draw.below(5), 4 * (1 + draw.below(3))];
    let mut program = Program::new(draw, false, shape);
    let x = program.input();
    let inputs = [(); 2].map(|()| program.scrambled(x));
    let [a, b] = inputs.map(|id| program.tensor(id).grid.scale);
    let mut output = output(program.draw, shape, true);
    output.grid.scale = a.max(b) * program.draw.scale(0.3, 4.0);
    let params = AddParams::new(a, b, output.grid.scale, false)?;
    let clamp = Clamp { min: -128, max: 127 };
    program.finish(IntOp::Add { params, broadcast: Broadcast::None, clamp }, &inputs, output)
}
