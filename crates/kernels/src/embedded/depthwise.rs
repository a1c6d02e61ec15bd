// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Depthwise convolution: a block of channels at a time.

use super::dot::Weight;
use crate::geometry::DepthwiseGeometry;
use crate::packing::PackedWeights;
use crate::params::Requantize;
use crate::reference::{Storage, finish};

/// Output channels that are decoded and multiplied at once.
pub const CHANNELS: usize = 16;

/// Elements of scratch that [`depthwise_conv2d`] needs for weights in `storage` bits.
pub const fn depthwise_conv2d_scratch_len(geometry: &DepthwiseGeometry, storage: u8) -> usize {
    let channels = geometry.out_channels();
    let channels = if channels < CHANNELS { channels } else { CHANNELS };
    let [height, width] = geometry.window.kernel;
    if storage == 8 { 0 } else { channels * height * width }
}

/// See [`reference::depthwise_conv2d`](crate::reference::depthwise_conv2d).
pub fn depthwise_conv2d<S: Storage>(
    geometry: &DepthwiseGeometry,
    input: &[S],
    weights: PackedWeights,
    requantize: &Requantize,
    scratch: &mut [i8],
    output: &mut [S],
) {
    let channels = geometry.out_channels();
    let taps = geometry.window.kernel[0] * geometry.window.kernel[1];
    for first in (0..channels).step_by(CHANNELS) {
        let count = (channels - first).min(CHANNELS);
        if weights.storage == 8 {
            let bytes = weights.bytes.get(first..).unwrap_or(&[]);
            let block = Block { weights: bytes, step: channels, first, count };
            block.run(geometry, input, requantize, output);
        } else {
            let rows = scratch.get_mut(..taps * count).unwrap_or(&mut []);
            for (tap, row) in rows.chunks_exact_mut(count.max(1)).enumerate() {
                weights.unpack(tap * channels + first, row);
            }
            let block = Block { weights: &*rows, step: count, first, count };
            block.run(geometry, input, requantize, output);
        }
    }
}

/// At most [`CHANNELS`] output channels.
struct Block<'a, W> {
    weights: &'a [W],
    /// From one tap's weights to the next one's.
    step: usize,
    first: usize,
    count: usize,
}

impl<W: Weight> Block<'_, W> {
    fn run<S: Storage>(
        &self,
        g: &DepthwiseGeometry,
        input: &[S],
        requantize: &Requantize,
        output: &mut [S],
    ) {
        let bias = requantize.bias.get(self.first..).unwrap_or(&[]);
        let mut pixels = output.chunks_mut(g.out_channels().max(1));
        for y in 0..g.output[0] {
            for x in 0..g.output[1] {
                let mut sums = [S::Accumulator::from(0); CHANNELS];
                for (sum, &bias) in sums.iter_mut().zip(bias) {
                    *sum = bias.into();
                }
                self.pixel(g, input, requantize.input_zero_point, [y, x], &mut sums);
                let Some(output) = pixels.next().and_then(|pixel| pixel.get_mut(self.first..))
                else {
                    return;
                };
                for (i, (output, sum)) in output.iter_mut().zip(sums).take(self.count).enumerate() {
                    *output = finish(requantize, self.first + i, sum);
                }
            }
        }
    }

    fn pixel<S: Storage>(
        &self,
        g: &DepthwiseGeometry,
        input: &[S],
        zero_point: i32,
        [y, x]: [usize; 2],
        sums: &mut [S::Accumulator; CHANNELS],
    ) {
        for tap_y in g.window.taps(0, y, g.input[0]) {
            let row = g.window.input(0, y, tap_y, g.input[0]).unwrap_or(0);
            for tap_x in g.window.taps(1, x, g.input[1]) {
                let column = g.window.input(1, x, tap_x, g.input[1]).unwrap_or(0);
                let tap = tap_y * g.window.kernel[1] + tap_x;
                let weights = self.weights.get(tap * self.step..).unwrap_or(&[]);
                let place = (row * g.input[1] + column) * g.channels;
                let pixel = input.get(place..place + g.channels).unwrap_or(&[]);
                if g.multiplier == 1 {
                    let inputs = pixel.get(self.first..).unwrap_or(&[]).iter();
                    self.accumulate(sums, inputs, zero_point, weights);
                } else {
                    let first = self.first.checked_div(g.multiplier).unwrap_or(0);
                    let skipped = self.first - first * g.multiplier;
                    let inputs = pixel.get(first..).unwrap_or(&[]).iter();
                    let repeated = inputs.flat_map(|x| core::iter::repeat_n(x, g.multiplier));
                    self.accumulate(sums, repeated.skip(skipped), zero_point, weights);
                }
            }
        }
    }

    #[inline(always)]
    fn accumulate<'x, S: Storage + 'x>(
        &self,
        sums: &mut [S::Accumulator; CHANNELS],
        inputs: impl Iterator<Item = &'x S>,
        zero_point: i32,
        weights: &[W],
    ) {
        let weights = weights.get(..self.count).unwrap_or(&[]);
        for ((sum, w), x) in sums.iter_mut().zip(weights).zip(inputs) {
            *sum = S::accumulate(*sum, (x.integer() - zero_point).wrapping_mul(w.integer()));
        }
    }
}
