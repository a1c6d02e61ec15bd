// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Convolution, depthwise convolution and fully connected layer.

use super::Storage;
use crate::geometry::{ConvGeometry, DepthwiseGeometry, TransposeConvGeometry};
use crate::packing::PackedWeights;
use crate::params::Requantize;

/// `clamp(multiplier * (bias + sum (x - zero_point) * w) + output_zero_point)` for every output.
///
/// # Shapes
/// - input: `[height, width, in_channels]`
/// - weights: `[out_channels, kernel_h, kernel_w, in_channels / groups]`
/// - output: `[height, width, out_channels]`
pub fn conv2d<S: Storage>(
    geometry: &ConvGeometry,
    input: &[S],
    weights: PackedWeights,
    requantize: &Requantize,
    output: &mut [S],
) {
    let g = geometry;
    let [kernel_h, kernel_w] = g.window.kernel;
    let (per_group, filters) = (g.in_channels / g.groups, g.out_channels / g.groups);
    for y in 0..g.output[0] {
        for x in 0..g.output[1] {
            for o in 0..g.out_channels {
                let first_channel = o / filters * per_group;
                let mut sum = S::Accumulator::from(requantize.bias[o]);
                for tap_y in 0..kernel_h {
                    let Some(row) = g.window.input(0, y, tap_y, g.input[0]) else { continue };
                    for tap_x in 0..kernel_w {
                        let Some(column) = g.window.input(1, x, tap_x, g.input[1]) else {
                            continue;
                        };
                        let pixel = (row * g.input[1] + column) * g.in_channels + first_channel;
                        let filter = ((o * kernel_h + tap_y) * kernel_w + tap_x) * per_group;
                        for c in 0..per_group {
                            let value = input[pixel + c].integer();
                            let weight = weights.get(filter + c);
                            sum =
                                S::accumulate(sum, (value - requantize.input_zero_point) * weight);
                        }
                    }
                }
                output[(y * g.output[1] + x) * g.out_channels + o] = finish(requantize, o, sum);
            }
        }
    }
}

/// A convolution in which every output channel reads one input channel.
///
/// # Shapes
/// - input: `[height, width, channels]`
/// - weights: `[kernel_h, kernel_w, channels * multiplier]`
/// - output: `[height, width, channels * multiplier]`
pub fn depthwise_conv2d<S: Storage>(
    geometry: &DepthwiseGeometry,
    input: &[S],
    weights: PackedWeights,
    requantize: &Requantize,
    output: &mut [S],
) {
    let g = geometry;
    let [kernel_h, kernel_w] = g.window.kernel;
    let out_channels = g.out_channels();
    for y in 0..g.output[0] {
        for x in 0..g.output[1] {
            for o in 0..out_channels {
                let mut sum = S::Accumulator::from(requantize.bias[o]);
                for tap_y in 0..kernel_h {
                    let Some(row) = g.window.input(0, y, tap_y, g.input[0]) else { continue };
                    for tap_x in 0..kernel_w {
                        let Some(column) = g.window.input(1, x, tap_x, g.input[1]) else {
                            continue;
                        };
                        let pixel = (row * g.input[1] + column) * g.channels + o / g.multiplier;
                        let value = input[pixel].integer();
                        let weight = weights.get((tap_y * kernel_w + tap_x) * out_channels + o);
                        sum = S::accumulate(sum, (value - requantize.input_zero_point) * weight);
                    }
                }
                output[(y * g.output[1] + x) * out_channels + o] = finish(requantize, o, sum);
            }
        }
    }
}

/// The transpose of a convolution: `clamp(multiplier * (bias + sum (x - zero_point) * w) +
/// output_zero_point)` for every output, over the inputs `i` and taps `t` with `i * stride + t *
/// dilation - pad` equal to the output's coordinate, in both axes.
///
/// # Shapes
/// - input: `[height, width, in_channels]`
/// - weights: `[out_channels, kernel_h, kernel_w, in_channels / groups]`
/// - output: `[height, width, out_channels]`
pub fn transpose_conv2d<S: Storage>(
    geometry: &TransposeConvGeometry,
    input: &[S],
    weights: PackedWeights,
    requantize: &Requantize,
    output: &mut [S],
) {
    let g = geometry;
    let [kernel_h, kernel_w] = g.window.kernel;
    let (per_group, filters) = (g.in_channels / g.groups, g.out_channels / g.groups);
    for y in 0..g.output[0] {
        for x in 0..g.output[1] {
            for o in 0..g.out_channels {
                let first_channel = o / filters * per_group;
                let mut sum = S::Accumulator::from(requantize.bias[o]);
                for tap_y in 0..kernel_h {
                    let Some(row) = g.input(0, y, tap_y) else { continue };
                    for tap_x in 0..kernel_w {
                        let Some(column) = g.input(1, x, tap_x) else { continue };
                        let pixel = (row * g.input[1] + column) * g.in_channels + first_channel;
                        let filter = ((o * kernel_h + tap_y) * kernel_w + tap_x) * per_group;
                        for c in 0..per_group {
                            let value = input[pixel + c].integer();
                            let weight = weights.get(filter + c);
                            sum =
                                S::accumulate(sum, (value - requantize.input_zero_point) * weight);
                        }
                    }
                }
                output[(y * g.output[1] + x) * g.out_channels + o] = finish(requantize, o, sum);
            }
        }
    }
}

/// A matrix product with each of the input's rows. Sums are made and rescaled as those of the input's
/// type, also where the output has another: gates of recurrent layers have 16 bits, of 8-bit inputs.
///
/// # Shapes
/// - input: `[rows, in_features]`
/// - weights: `[out_features, in_features]`
/// - output: `[rows, out_features]`
pub fn fully_connected<S: Storage, T: Storage>(
    in_features: usize,
    out_features: usize,
    input: &[S],
    weights: PackedWeights,
    requantize: &Requantize,
    output: &mut [T],
) {
    let rows = input.chunks(in_features).zip(output.chunks_mut(out_features));
    for (input, output) in rows {
        for (o, output) in output.iter_mut().enumerate() {
            let mut sum = S::Accumulator::from(requantize.bias[o]);
            for (i, &x) in input.iter().enumerate() {
                let weight = weights.get(o * in_features + i);
                sum = S::accumulate(sum, (x.integer() - requantize.input_zero_point) * weight);
            }
            *output = finish_as::<S, T>(requantize, o, sum);
        }
    }
}

/// An accumulator, rescaled to the output of channel `channel`.
#[inline(always)]
pub fn finish<S: Storage>(requantize: &Requantize, channel: usize, sum: S::Accumulator) -> S {
    finish_as::<S, S>(requantize, channel, sum)
}

/// An accumulator of inputs of type `S`, rescaled to the output of channel `channel`, of type `T`.
#[inline(always)]
pub fn finish_as<S: Storage, T: Storage>(
    requantize: &Requantize,
    channel: usize,
    sum: S::Accumulator,
) -> T {
    let scaled = S::rescale(requantize.multiplier(channel), sum);
    T::from_integer(requantize.clamp.apply(scaled.wrapping_add(requantize.output_zero_point)))
}
