// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! The operations for speed; every function gives the bits of its twin in
//! [`reference`](mod@crate::reference).
//!
//! Weights come widened to `i16`, in the order of the twin: the caller unpacks them once. Inputs
//! are gathered into a scratch slice of `i16` with the zero point taken off, so that the inner
//! loops are plain dot products.

use crate::geometry::{ConvGeometry, DepthwiseGeometry, TransposeConvGeometry};
use crate::params::Requantize;
use crate::reference::{Storage, finish, finish_as};

/// Elements of scratch that [`conv2d`] needs.
pub const fn conv2d_scratch_len(geometry: &ConvGeometry) -> usize {
    geometry.weights_per_channel() * geometry.groups
}

/// See [`reference::conv2d`](crate::reference::conv2d). `scratch` holds
/// [`conv2d_scratch_len`] elements.
pub fn conv2d<S: Storage>(
    geometry: &ConvGeometry,
    input: &[S],
    weights: &[i16],
    requantize: &Requantize,
    scratch: &mut [i16],
    output: &mut [S],
) {
    let g = geometry;
    let (filters, filter_len) = (g.out_channels / g.groups, g.weights_per_channel());
    let pixels = output.chunks_mut(g.out_channels).take(g.output[0] * g.output[1]);
    for (pixel, output) in pixels.enumerate() {
        gather(g, input, pixel, requantize.input_zero_point, scratch);
        let groups = output.chunks_mut(filters).zip(scratch.chunks(filter_len));
        for (group, (output, patch)) in groups.enumerate() {
            let weights = &weights[group * filters * filter_len..];
            dot_rows::<S, S>(patch, weights, requantize, group * filters, output);
        }
    }
}

/// Elements of scratch that [`fully_connected`] needs.
pub const fn fully_connected_scratch_len(in_features: usize) -> usize {
    in_features
}

/// See [`reference::fully_connected`](crate::reference::fully_connected). `scratch` holds
/// [`fully_connected_scratch_len`] elements.
pub fn fully_connected<S: Storage, T: Storage>(
    in_features: usize,
    out_features: usize,
    input: &[S],
    weights: &[i16],
    requantize: &Requantize,
    scratch: &mut [i16],
    output: &mut [T],
) {
    for (input, output) in input.chunks(in_features).zip(output.chunks_mut(out_features)) {
        widen(input, requantize.input_zero_point, scratch);
        dot_rows::<S, T>(scratch, weights, requantize, 0, output);
    }
}

/// Elements of scratch that [`depthwise_conv2d`] needs.
pub const fn depthwise_conv2d_scratch_len(geometry: &DepthwiseGeometry) -> usize {
    geometry.out_channels()
}

/// See [`reference::depthwise_conv2d`](crate::reference::depthwise_conv2d), for 8-bit activations.
/// `scratch` holds [`depthwise_conv2d_scratch_len`] elements.
pub fn depthwise_conv2d(
    geometry: &DepthwiseGeometry,
    input: &[i8],
    weights: &[i16],
    requantize: &Requantize,
    scratch: &mut [i32],
    output: &mut [i8],
) {
    let g = geometry;
    let out_channels = g.out_channels();
    let zero_point = requantize.input_zero_point;
    let pixels = output.chunks_mut(out_channels).take(g.output[0] * g.output[1]);
    for (pixel, output) in pixels.enumerate() {
        let (y, x) = (pixel / g.output[1], pixel % g.output[1]);
        scratch.copy_from_slice(requantize.bias);
        for tap_y in 0..g.window.kernel[0] {
            let Some(row) = g.window.input(0, y, tap_y, g.input[0]) else { continue };
            for tap_x in 0..g.window.kernel[1] {
                let Some(column) = g.window.input(1, x, tap_x, g.input[1]) else { continue };
                let input = &input[(row * g.input[1] + column) * g.channels..][..g.channels];
                let tap = tap_y * g.window.kernel[1] + tap_x;
                let weights = &weights[tap * out_channels..][..out_channels];
                if g.multiplier == 1 {
                    for ((sum, &x), &w) in scratch.iter_mut().zip(input).zip(weights) {
                        *sum += (i32::from(x) - zero_point) * i32::from(w);
                    }
                } else {
                    let blocks = scratch.chunks_mut(g.multiplier).zip(weights.chunks(g.multiplier));
                    for (&x, (sums, weights)) in input.iter().zip(blocks) {
                        for (sum, &w) in sums.iter_mut().zip(weights) {
                            *sum += (i32::from(x) - zero_point) * i32::from(w);
                        }
                    }
                }
            }
        }
        for (channel, (output, &sum)) in output.iter_mut().zip(scratch.iter()).enumerate() {
            *output = finish(requantize, channel, sum);
        }
    }
}

/// Elements of scratch that [`transpose_conv2d`] needs.
pub const fn transpose_conv2d_scratch_len(geometry: &TransposeConvGeometry) -> usize {
    geometry.input[0] * geometry.input[1] * geometry.in_channels
}

/// See [`reference::transpose_conv2d`](crate::reference::transpose_conv2d). `scratch` holds
/// [`transpose_conv2d_scratch_len`] elements.
pub fn transpose_conv2d<S: Storage>(
    geometry: &TransposeConvGeometry,
    input: &[S],
    weights: &[i16],
    requantize: &Requantize,
    scratch: &mut [i16],
    output: &mut [S],
) {
    let g = geometry;
    let (depth, filters) = (g.in_channels / g.groups, g.out_channels / g.groups);
    let filter_len = g.weights_per_channel();
    widen(input, requantize.input_zero_point, scratch);
    let pixels = output.chunks_mut(g.out_channels).take(g.output[0] * g.output[1]);
    for (pixel, output) in pixels.enumerate() {
        let rows = g.taps(0, pixel / g.output[1]);
        let columns = g.taps(1, pixel % g.output[1]);
        for (o, output) in output.iter_mut().enumerate() {
            let mut sum = S::Accumulator::from(requantize.bias[o]);
            let filter = &weights[o * filter_len..][..filter_len];
            for i in 0..rows.count {
                let (tap_y, row) = (rows.tap + i * rows.tap_step, rows.input - i * rows.input_step);
                for j in 0..columns.count {
                    let tap_x = columns.tap + j * columns.tap_step;
                    let column = columns.input - j * columns.input_step;
                    let tap = tap_y * g.window.kernel[1] + tap_x;
                    let place = (row * g.input[1] + column) * g.in_channels + o / filters * depth;
                    let (x, w) = (&scratch[place..][..depth], &filter[tap * depth..][..depth]);
                    // 32-bit sums of 16-bit by 8-bit products stay exact over 256 terms.
                    for (x, w) in x.chunks(256).zip(w.chunks(256)) {
                        sum = S::accumulate(sum, dot(x, w));
                    }
                }
            }
            *output = finish(requantize, o, sum);
        }
    }
}

/// Gathers what the window at `pixel` covers, group by group, with zeros for the padding.
fn gather<S: Storage>(
    g: &ConvGeometry,
    input: &[S],
    pixel: usize,
    zero_point: i32,
    scratch: &mut [i16],
) {
    let (y, x) = (pixel / g.output[1], pixel % g.output[1]);
    let (per_group, filter_len) = (g.in_channels / g.groups, g.weights_per_channel());
    for tap_y in 0..g.window.kernel[0] {
        let row = g.window.input(0, y, tap_y, g.input[0]);
        for tap_x in 0..g.window.kernel[1] {
            let column = g.window.input(1, x, tap_x, g.input[1]);
            let place = (tap_y * g.window.kernel[1] + tap_x) * per_group;
            for group in 0..g.groups {
                let patch = &mut scratch[group * filter_len + place..][..per_group];
                match (row, column) {
                    (Some(row), Some(column)) => {
                        let first = (row * g.input[1] + column) * g.in_channels + group * per_group;
                        widen(&input[first..first + per_group], zero_point, patch);
                    }
                    _ => patch.fill(0),
                }
            }
        }
    }
}

fn widen<S: Storage>(input: &[S], zero_point: i32, output: &mut [i16]) {
    for (output, &x) in output.iter_mut().zip(input) {
        *output = (x.integer() - zero_point) as i16;
    }
}

/// One output for each row of `weights`; the first is channel `first_channel`.
fn dot_rows<S: Storage, T: Storage>(
    patch: &[i16],
    weights: &[i16],
    requantize: &Requantize,
    first_channel: usize,
    output: &mut [T],
) {
    for (i, (output, row)) in output.iter_mut().zip(weights.chunks_exact(patch.len())).enumerate() {
        let channel = first_channel + i;
        let mut sum = S::Accumulator::from(requantize.bias[channel]);
        if S::WIDE {
            // 32-bit sums of 16-bit by 8-bit products stay exact over 256 terms.
            for (patch, row) in patch.chunks(256).zip(row.chunks(256)) {
                sum = S::accumulate(sum, dot(patch, row));
            }
        } else {
            sum = S::accumulate(sum, dot(patch, row));
        }
        *output = finish_as::<S, T>(requantize, channel, sum);
    }
}

/// The compiler turns this form into multiply-add instructions on pairs of 16-bit elements.
#[inline(always)]
fn dot(a: &[i16], b: &[i16]) -> i32 {
    a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum()
}
