//! Layers that meet the conditions of the kernels for four channels at a time, or miss them narrowly.

use burn_ptq_deploy::program::{IntOp, Weighted, Weights};
use burn_ptq_kernels::geometry::{ConvGeometry, DepthwiseGeometry, Window};
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::packing::{pack, packed_len};
use burn_ptq_kernels::params::Clamp;

use super::Problem;
use super::draw::Draw;
use super::program::Program;
use super::tiles::{
    FEW_LEFT, MANY_LEFT, Wanted, conv2d_of, depthwise_conv2d_of, fully_connected_of, output, window,
};

/// Weights of any bits.
const WANTED: Wanted = Wanted { storages: &[2, 3, 4, 8], left: FEW_LEFT };

/// Windows that are gathered, with a rest or without, or read in place; an odd number of pixels or even.
pub(super) fn conv2d(draw: &mut Draw) -> Option<Problem> {
    let plane = [1 + draw.below(6), 1 + draw.below(7)];
    let kernel = draw.pick(&[[1, 1], [1, 1], [3, 3], [3, 3], [4, 1], [2, 5]]);
    let units = draw.chance(50);
    let in_channels = if units { 16 * (1 + draw.below(3)) } else { 1 + draw.below(20) };
    let (window, output_plane) = match units && kernel == [1, 1] && draw.chance(70) {
        true => (Window { kernel, stride: [1; 2], dilation: [1; 2], pad: [0; 2] }, plane),
        false => window(draw, plane, kernel, 3)?,
    };
    let geometry = ConvGeometry {
        input: plane,
        output: output_plane,
        in_channels,
        out_channels: 4 * (1 + draw.below(4)),
        groups: 1,
        window,
    };
    conv2d_of(draw, geometry, WANTED)
}

/// Whole blocks of channels and parts, planes with inner windows and without.
pub(super) fn depthwise_conv2d(draw: &mut Draw) -> Option<Problem> {
    let plane = [1 + draw.below(6), 1 + draw.below(9)];
    let channels = 4 * (1 + draw.below(12));
    let (window, output_plane) = window(draw, plane, [3; 2], 3)?;
    let geometry =
        DepthwiseGeometry { input: plane, output: output_plane, channels, multiplier: 1, window };
    depthwise_conv2d_of(draw, geometry, false, WANTED)
}

/// One row or several, of inputs that are read in place or padded.
pub(super) fn fully_connected(draw: &mut Draw) -> Option<Problem> {
    let rows = if draw.chance(50) { 1 } else { 1 + draw.below(5) };
    let units = draw.chance(50);
    let in_features = if units { 16 * (1 + draw.below(6)) } else { 1 + draw.below(80) };
    let out_features = 4 * (1 + draw.below(6));
    fully_connected_of(
        draw,
        rows,
        [out_features, in_features],
        Wanted { left: MANY_LEFT, ..WANTED },
    )
}

/// Sums about as large as those that can share a register, of channels whose outputs still vary: a step of
/// the output is about as large as what the inputs can change.
pub(super) fn large_sums(draw: &mut Draw) -> Option<Problem> {
    let (width, in_channels, out_channels) = (1 + draw.below(3), 16 * (20 + draw.below(50)), 4);
    let window = Window { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pad: [0; 2] };
    let plane = [1, width];
    let geometry =
        ConvGeometry { input: plane, output: plane, in_channels, out_channels, groups: 1, window };
    let program = Program::new(draw, false, [1, width, in_channels]);
    let mut output = output(program.draw, [1, width, out_channels], false);
    let x = program.input();
    let grid = program.tensor(x).grid;
    let storage = program.draw.pick(&[2_u8, 4]);
    let (low, high) = (-(1 << (storage - 1)), (1 << (storage - 1)) - 1);
    let values: Vec<i8> =
        (0..in_channels * out_channels).map(|_| program.draw.within(low, high) as i8).collect();
    let mut data = vec![0; packed_len(values.len(), storage)];
    pack(&values, storage, &mut data);
    let bits = i32::from(storage);
    let sum_bits = |channel: i32| 31 - bits * (channel % (8 / bits)).max(1);
    let channels = 0..out_channels as i32;
    let bias = channels.clone().map(|channel| {
        let limit = 1_i32 << sum_bits(channel);
        let near = program.draw.within(-limit / 8, limit / 16);
        let sign = if program.draw.chance(50) { 1 } else { -1 };
        sign * (limit + near)
    });
    let bias = bias.collect();
    // The limit is about 100 steps of the output.
    let scales: Vec<f32> = channels.map(|channel| 0.32 * 0.5_f32.powi(sum_bits(channel))).collect();
    let fit = program.draw.pick(&[0.003, 0.004, 0.006]);
    output.grid.scale = grid.scale * fit;
    let derived = |&scale: &f32| Multiplier::of_scales(grid.scale, scale, output.grid.scale);
    let multipliers: Option<Vec<Multiplier>> = scales.iter().map(derived).collect();
    let weighted = Weighted {
        weights: Weights {
            shape: vec![out_channels, 1, 1, in_channels],
            bits: storage,
            storage,
            data,
            scales,
        },
        bias,
        multipliers: multipliers?,
        clamp: Clamp { min: -128, max: 127 },
    };
    program.finish(IntOp::Conv2d { geometry, weighted }, &[x], output)
}
