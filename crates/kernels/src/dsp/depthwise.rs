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
    let zeros = &*zeros;
    let mut taps = Taps::new(count, zeros);
    let mut pixels = output.chunks_mut(g.channels.max(1));
    for y in 0..g.output[0] {
        for x in 0..g.output[1] {
            let mut tap = 0;
            for tap_y in 0..kernel_h {
                let row = g.window.input(0, y, tap_y, g.input[0]);
                for tap_x in 0..kernel_w {
                    let column = g.window.input(1, x, tap_x, g.input[1]);
                    let pixel = row.zip(column).map_or(zeros, |(row, column)| {
                        let place = (row * g.input[1] + column) * g.channels;
                        input.get(place..place + g.channels).unwrap_or(zeros)
                    });
                    taps.set(tap, pixel);
                    tap += 1;
                }
            }
            let Some(output) = pixels.next() else { return };
            channels::<BITS>(&taps, count, g.channels, weights, requantize, output);
        }
    }
}

/// All channels of a pixel.
fn channels<const BITS: usize>(
    taps: &Taps,
    count: usize,
    channels: usize,
    weights: &[u32],
    requantize: &Requantize,
    output: &mut [i8],
) {
    let scale = if BITS == 8 { 0 } else { 16 - BITS };
    let words = match BITS {
        8 => 2 * count.div_ceil(2),
        4 => count.div_ceil(2),
        _ => count.div_ceil(4),
    };
    let mut weights = weights.chunks_exact(words.max(1));
    let mut channel = 0;
    while channel < channels {
        // The last block may begin in the one before.
        let first = channel.min(channels.saturating_sub(4));
        let mut sums = [[0; 4]; CHANNELS / 4];
        let mut end = first;
        for sums in &mut sums {
            if end != first && end + 4 > channels {
                break;
            }
            let weights = weights.next().unwrap_or(&[]);
            *sums = taps.block::<BITS>(weights, end).map(|sum| sum >> scale);
            end += 4;
        }
        let output = output.get_mut(first..end).unwrap_or(&mut []);
        finish(requantize, first, sums.as_flattened(), output);
        channel = end;
    }
}
