//! Layers that meet the conditions of the kernels for cores without SIMD, or miss them narrowly.

use burn_ptq_deploy::program::{IntOp, IntTensor, Weighted};
use burn_ptq_kernels::geometry::{ConvGeometry, DepthwiseGeometry};
use burn_ptq_kernels::grid::Grid;
use burn_ptq_kernels::params::Clamp;

use super::Problem;
use super::draw::Draw;
use super::program::Program;
use super::tiles::{output, window};
use super::weighted;

/// Weights of any bits; few multipliers shift to the left.
fn weighted(
    draw: &mut Draw,
    shape: &[usize],
    channel_axis: usize,
    input: Grid,
    output: &mut IntTensor,
) -> Option<Weighted> {
    let (storage, left) = (draw.pick(&[2, 3, 4, 8]), draw.chance(15));
    let mut drawn = (0..20).filter_map(|_| {
        let drawn = weighted::weighted(draw, shape, channel_axis, input, output)?;
        let shifts = drawn.multipliers.iter().all(|multiplier| multiplier.exponent < 0);
        (drawn.weights.storage == storage && (shifts || left)).then_some(drawn)
    });
    let clamp = Clamp { min: -128, max: 127 };
    drawn.next().map(|weighted| Weighted { clamp, ..weighted })
}

/// Rows of any length, so that tiles of one, two and four pixels lie in one row or in two; windows of up
/// to some hundred elements, after which lanes of 16 bits are emptied several times.
pub(super) fn conv2d(draw: &mut Draw) -> Option<Problem> {
    let plane = [1 + draw.below(7), 1 + draw.below(11)];
    let in_channels = if draw.chance(30) { 1 + draw.below(80) } else { 1 + draw.below(12) };
    let kernel = draw.pick(&[[1, 1], [1, 1], [3, 3], [1, 3], [4, 1], [2, 5]]);
    let (window, output_plane) = window(draw, plane, kernel, 3)?;
    let geometry = ConvGeometry {
        input: plane,
        output: output_plane,
        in_channels,
        out_channels: 2 * (1 + draw.below(4)),
        groups: 1,
        window,
    };
    let program = Program::new(draw, false, [plane[0], plane[1], in_channels]);
    let shape = [geometry.out_channels, kernel[0], kernel[1], in_channels];
    let [height, width] = output_plane;
    let mut output = output(program.draw, [height, width, geometry.out_channels], false);
    let x = program.input();
    let grid = program.tensor(x).grid;
    let weighted = weighted(program.draw, &shape, 0, grid, &mut output)?;
    program.finish(IntOp::Conv2d { geometry, weighted }, &[x], output)
}

/// Planes of many rows, of many columns, and of few of both.
pub(super) fn depthwise_conv2d(draw: &mut Draw) -> Option<Problem> {
    let most = draw.pick(&[[8, 8], [20, 6], [6, 24]]);
    let plane = most.map(|most| 1 + draw.below(most));
    let channels = 4 * (1 + draw.below(3));
    let (window, output_plane) = window(draw, plane, [3; 2], 2)?;
    let geometry =
        DepthwiseGeometry { input: plane, output: output_plane, channels, multiplier: 1, window };
    let program = Program::new(draw, false, [plane[0], plane[1], channels]);
    let [height, width] = output_plane;
    let mut output = output(program.draw, [height, width, channels], false);
    let x = program.input();
    let grid = program.tensor(x).grid;
    let weighted = weighted(program.draw, &[3, 3, channels], 2, grid, &mut output)?;
    program.finish(IntOp::DepthwiseConv2d { geometry, weighted }, &[x], output)
}

pub(super) fn fully_connected(draw: &mut Draw) -> Option<Problem> {
    let rows = if draw.chance(50) { 1 } else { 1 + draw.below(8) };
    let in_features = 1 + draw.below(200);
    let out_features = 2 * (1 + draw.below(6));
    let program = Program::new(draw, false, [1, rows, in_features]);
    let mut output = output(program.draw, [1, rows, out_features], false);
    let x = program.input();
    let grid = program.tensor(x).grid;
    let weighted = weighted(program.draw, &[out_features, in_features], 0, grid, &mut output)?;
    let op = IntOp::FullyConnected { rows, in_features, out_features, weighted };
    program.finish(op, &[x], output)
}
