// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Depthwise convolution: four channels and two taps at a time.

use super::finish::finish;
use super::instructions::Taps;
use super::{CHANNELS, PackedWords};
use crate::geometry::DepthwiseGeometry;
use crate::params::Requantize;

/// Taps of the largest kernel that [`depthwise_conv2d`] takes.
pub const MAX_TAPS: usize = 64;

/// Bytes of scratch that [`depthwise_conv2d`] needs: one a channel.
pub const fn depthwise_conv2d_scratch_len(geometry: &DepthwiseGeometry) -> usize {
    geometry.channels
}

/// See [`reference::depthwise_conv2d`](crate::reference::depthwise_conv2d). The geometry has a
/// multiplier of 1, at least four channels and at most [`MAX_TAPS`] taps.
#[inline(always)]
pub fn depthwise_conv2d(
    geometry: &DepthwiseGeometry,
    input: &[i8],
    weights: PackedWords,
    requantize: &Requantize,
    scratch: &mut [i8],
    output: &mut [i8],
) {
    match weights.storage {
        2 => run::<2>(geometry, input, weights.words, requantize, scratch, output),
        4 => run::<4>(geometry, input, weights.words, requantize, scratch, output),
        _ => run::<8>(geometry, input, weights.words, requantize, scratch, output),
    }
}

fn run<const BITS: usize>(
    g: &DepthwiseGeometry,
    input: &[i8],
    weights: &[u32],
    requantize: &Requantize,
    scratch: &mut [i8],
    output: &mut [i8],
) {
    let [kernel_h, kernel_w] = g.window.kernel;
    let count = kernel_h * kernel_w;
    // The padding holds the zero point, which the biases account for.
    let zeros = scratch.get_mut(..g.channels).unwrap_or(&mut []);
    zeros.fill(requantize.input_zero_point as i8);
    let mut taps = Taps::new(count, &*zeros);
    let mut sums = [[0; 4]; CHANNELS / 4];
    let mut pixels = output.chunks_mut(g.channels.max(1));
    for y in 0..g.output[0] {
        let (rows, top) = (g.window.taps(0, y, g.input[0]), g.window.origin(0, y));
        for x in 0..g.output[1] {
            let (columns, left) = (g.window.taps(1, x, g.input[1]), g.window.origin(1, x));
            let column = left.wrapping_add(columns.start * g.window.dilation[1]);
            let step = g.window.dilation[1] * g.channels;
            let mut tap = 0;
            for tap_y in 0..kernel_h {
                let end = tap + kernel_w;
                if rows.contains(&tap_y) && !columns.is_empty() {
                    let row = top.wrapping_add(tap_y * g.window.dilation[0]);
                    let place = (row * g.input[1] + column) * g.channels;
                    let inside = tap + columns.start..tap + columns.end;
                    if inside.start > tap {
                        taps.pad(tap..inside.start);
                    }
                    if inside.end < end {
                        taps.pad(inside.end..end);
                    }
                    taps.set(inside, input.get(place..).unwrap_or(&[]), step);
                } else {
                    taps.pad(tap..end);
                }
                tap = end;
            }
            let Some(output) = pixels.next() else { return };
            channels::<BITS>(&taps, count, weights, requantize, &mut sums, output);
        }
    }
}

/// All channels of a pixel.
fn channels<const BITS: usize>(
    taps: &Taps,
    count: usize,
    weights: &[u32],
    requantize: &Requantize,
    sums: &mut [[i32; 4]; CHANNELS / 4],
    output: &mut [i8],
) {
    let words = match BITS {
        8 => 2 * count.div_ceil(2),
        4 => count.div_ceil(2),
        _ => count.div_ceil(4),
    };
    let channels = output.len();
    let (mut channel, mut word) = (0, 0);
    while channel < channels {
        // The last block may begin in the one before.
        let first = channel.min(channels.saturating_sub(4));
        let blocks = ((channels - first) / 4).clamp(1, CHANNELS / 4);
        let end = first + 4 * blocks;
        let sums = sums.get_mut(..blocks).unwrap_or(&mut []);
        taps.blocks::<BITS>(weights.get(word..).unwrap_or(&[]), first, sums);
        let output = output.get_mut(first..end).unwrap_or(&mut []);
        finish(requantize, first, sums.as_flattened(), output);
        word += blocks * words;
        channel = end;
    }
}
