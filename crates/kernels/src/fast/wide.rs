// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Layers with 16-bit inputs, and transposed convolutions: dot products that the compiler makes of instructions.
//!
//! Weights come widened to `i16`, in the order of the reference. Inputs are gathered into `halves` of the scratch
//! with the zero point taken off.

use super::lanes::{Lanes, Work};
use super::{Instructions, Scratch, ScratchLen};
use crate::geometry::{ConvGeometry, TransposeConvGeometry};
use crate::params::Requantize;
use crate::reference::{Storage, finish, finish_as};

const fn halves(halves: usize) -> ScratchLen {
    ScratchLen { bytes: 0, halves, sums: 0, places: 0 }
}

/// The scratch that [`wide_conv2d`] needs.
pub const fn wide_conv2d_scratch(geometry: &ConvGeometry) -> ScratchLen {
    halves(geometry.weights_per_channel() * geometry.groups)
}

/// See [`reference::conv2d`](crate::reference::conv2d).
pub fn wide_conv2d<S: Storage>(
    instructions: Instructions,
    geometry: &ConvGeometry,
    input: &[S],
    weights: &[i16],
    requantize: &Requantize,
    scratch: Scratch,
    output: &mut [S],
) {
    let layer = Layer { weights, requantize, scratch: scratch.halves };
    instructions.run(Call { layer, input, output, run: Conv2d(geometry) });
}

/// What all of these layers have.
struct Layer<'a> {
    weights: &'a [i16],
    requantize: &'a Requantize<'a>,
    scratch: &'a mut [i16],
}

/// A kind of layer.
trait Kind<S, T> {
    fn run(self, layer: Layer, input: &[S], output: &mut [T]);
}

struct Call<'a, S, T, K> {
    layer: Layer<'a>,
    input: &'a [S],
    output: &'a mut [T],
    run: K,
}

impl<S, T, K: Kind<S, T>> Work for Call<'_, S, T, K> {
    #[inline(always)]
    fn run<L: Lanes>(self, _lanes: L) {
        self.run.run(self.layer, self.input, self.output);
    }
}

struct Conv2d<'a>(&'a ConvGeometry);

impl<S: Storage> Kind<S, S> for Conv2d<'_> {
    #[inline(always)]
    fn run(self, layer: Layer, input: &[S], output: &mut [S]) {
        let Layer { weights, requantize, scratch } = layer;
        let g = self.0;
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
}

/// The scratch that [`wide_fully_connected`] needs.
pub const fn wide_fully_connected_scratch(in_features: usize) -> ScratchLen {
    halves(in_features)
}

/// See [`reference::fully_connected`](crate::reference::fully_connected); `features` are those of the input and of
/// the output.
pub fn wide_fully_connected<S: Storage, T: Storage>(
    instructions: Instructions,
    features: [usize; 2],
    input: &[S],
    weights: &[i16],
    requantize: &Requantize,
    scratch: Scratch,
    output: &mut [T],
) {
    let layer = Layer { weights, requantize, scratch: scratch.halves };
    instructions.run(Call { layer, input, output, run: FullyConnected(features) });
}

struct FullyConnected([usize; 2]);

impl<S: Storage, T: Storage> Kind<S, T> for FullyConnected {
    #[inline(always)]
    fn run(self, layer: Layer, input: &[S], output: &mut [T]) {
        let Layer { weights, requantize, scratch } = layer;
        let [in_features, out_features] = self.0;
        for (input, output) in input.chunks(in_features).zip(output.chunks_mut(out_features)) {
            widen(input, requantize.input_zero_point, scratch);
            dot_rows::<S, T>(scratch, weights, requantize, 0, output);
        }
    }
}

/// The scratch that [`transpose_conv2d`] needs.
pub const fn transpose_conv2d_scratch(geometry: &TransposeConvGeometry) -> ScratchLen {
    halves(geometry.input[0] * geometry.input[1] * geometry.in_channels)
}

/// See [`reference::transpose_conv2d`](crate::reference::transpose_conv2d).
pub fn transpose_conv2d<S: Storage>(
    instructions: Instructions,
    geometry: &TransposeConvGeometry,
    input: &[S],
    weights: &[i16],
    requantize: &Requantize,
    scratch: Scratch,
    output: &mut [S],
) {
    let layer = Layer { weights, requantize, scratch: scratch.halves };
    instructions.run(Call { layer, input, output, run: TransposeConv2d(geometry) });
}

struct TransposeConv2d<'a>(&'a TransposeConvGeometry);

impl<S: Storage> Kind<S, S> for TransposeConv2d<'_> {
    #[inline(always)]
    fn run(self, layer: Layer, input: &[S], output: &mut [S]) {
        let Layer { weights, requantize, scratch } = layer;
        let g = self.0;
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
                    let (tap_y, row) =
                        (rows.tap + i * rows.tap_step, rows.input - i * rows.input_step);
                    for j in 0..columns.count {
                        let tap_x = columns.tap + j * columns.tap_step;
                        let column = columns.input - j * columns.input_step;
                        let tap = tap_y * g.window.kernel[1] + tap_x;
                        let place =
                            (row * g.input[1] + column) * g.in_channels + o / filters * depth;
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
}

/// Gathers what the window at `pixel` covers, group by group, with zeros for the padding.
#[inline(always)]
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

#[inline(always)]
fn widen<S: Storage>(input: &[S], zero_point: i32, output: &mut [i16]) {
    for (output, &x) in output.iter_mut().zip(input) {
        *output = (x.integer() - zero_point) as i16;
    }
}

/// One output for each row of `weights`; the first is channel `first_channel`.
#[inline(always)]
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
