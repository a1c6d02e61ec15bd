// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Depthwise convolution of 8-bit inputs: two taps of a line of channels at a time.

use super::image::Image;
use super::lanes::{Channels, LANES, Lanes, On, Weights, Work};
use super::{Instructions, Points, Scratch, ScratchLen, finish};
use crate::geometry::DepthwiseGeometry;
use crate::params::Requantize;

/// Taps, and lines of channels.
const fn extents(g: &DepthwiseGeometry) -> (usize, usize) {
    (g.window.kernel[0] * g.window.kernel[1], g.out_channels().div_ceil(LANES))
}

/// The lines of weights and of channels that [`prepare_depthwise_conv2d`] fills.
pub const fn depthwise_conv2d_lines(g: &DepthwiseGeometry) -> (usize, usize) {
    let (taps, lines) = extents(g);
    (lines * taps.div_ceil(2), lines)
}

/// Brings weights in the order of the reference, unpacked, biases and multipliers into the order of
/// [`depthwise_conv2d`].
pub fn prepare_depthwise_conv2d(
    instructions: Instructions,
    geometry: &DepthwiseGeometry,
    weights: &[i8],
    requantize: &Requantize,
    lines: &mut [Weights],
    channels: &mut [Channels],
) {
    instructions.run(Prepare { geometry, weights, requantize, lines, channels });
}

struct Prepare<'a> {
    geometry: &'a DepthwiseGeometry,
    weights: &'a [i8],
    requantize: &'a Requantize<'a>,
    lines: &'a mut [Weights],
    channels: &'a mut [Channels],
}

impl Work for Prepare<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, _lanes: L) {
        let Self { geometry, weights, requantize, lines, channels } = self;
        let ((taps, _), out) = (extents(geometry), geometry.out_channels());
        let weight = |tap: usize, channel: usize| match tap < taps && channel < out {
            true => i32::from(weights[tap * out + channel]),
            false => 0,
        };
        let blocks = lines.chunks_exact_mut(taps.div_ceil(2).max(1)).zip(channels);
        for (block, (lines, channels)) in blocks.enumerate() {
            *channels = Channels::NONE;
            for lane in 0..LANES {
                let channel = block * LANES + L::PAIR_ORDER[lane];
                for (pair, line) in lines.iter_mut().enumerate() {
                    let [low, high] = [0, 1].map(|i| weight(2 * pair + i, channel));
                    line.0[lane] = [low as i16, high as i16];
                }
                let channel = block * LANES + lane;
                if channel < out {
                    channels.bias.0[lane] = requantize.bias[channel];
                    channels.scale.set(lane, requantize.multiplier(channel));
                }
            }
        }
    }
}

/// The image of a layer: every input channel as often as it has outputs.
const fn image(g: &DepthwiseGeometry) -> Image {
    Image::new(g.window, g.output, g.out_channels())
}

/// The scratch that [`depthwise_conv2d`] needs.
pub const fn depthwise_conv2d_scratch(g: &DepthwiseGeometry) -> ScratchLen {
    // The last line may reach beyond the image; an odd tap is paired with the first.
    let (image, taps) = (image(g), 2 * extents(g).0.div_ceil(2));
    let (halves, places) = (image.len() + LANES, taps + image.outputs);
    ScratchLen { bytes: 0, halves, sums: 0, places }
}

/// See [`reference::depthwise_conv2d`](crate::reference::depthwise_conv2d), for 8-bit activations.
/// Weights and channels are those of [`prepare_depthwise_conv2d`], of the same layer with any rows of inputs.
#[expect(clippy::too_many_arguments, reason = "a kernel")]
pub fn depthwise_conv2d(
    instructions: Instructions,
    geometry: &DepthwiseGeometry,
    input: &[i8],
    weights: &[Weights],
    channels: &[Channels],
    points: Points,
    scratch: Scratch,
    output: &mut [i8],
) {
    instructions.run(Depthwise { geometry, input, weights, channels, points, scratch, output });
}

struct Depthwise<'a> {
    geometry: &'a DepthwiseGeometry,
    input: &'a [i8],
    weights: &'a [Weights],
    channels: &'a [Channels],
    points: Points,
    scratch: Scratch<'a>,
    output: &'a mut [i8],
}

impl Work for Depthwise<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { geometry: g, input, weights, channels, points, scratch, output } = self;
        let (image, (taps, _), stride) = (image(g), extents(g), g.out_channels());
        let Scratch { halves, places, .. } = scratch;
        let zero_point = points.input_zero_point as i16;
        image.fill(
            input,
            g.input,
            g.multiplier,
            0,
            #[inline(always)]
            |x| i16::from(x).wrapping_sub(zero_point),
            halves,
        );
        let pairs = taps.div_ceil(2);
        let (tap_places, places) = places.split_at_mut(2 * pairs);
        for (tap, place) in tap_places.iter_mut().enumerate() {
            let columns = g.window.kernel[1];
            *place = if tap < taps { image.tap(tap / columns, tap % columns) } else { 0 };
        }
        image.places(places);
        let (mut line, lines) = (0, channels.len());
        let mut own = Lines {
            inputs: &*halves,
            taps: tap_places.as_chunks().0,
            places: &*places,
            weights,
            channels,
            points,
            stride,
            output,
            first: 0,
        };
        while line < lines {
            own.first = line * LANES;
            own.weights = &weights[line * pairs..];
            own.channels = &channels[line..];
            match lines - line {
                4.. => lanes.run(Tile::<2, 4>(&mut own)),
                2.. => lanes.run(Tile::<4, 2>(&mut own)),
                _ => lanes.run(Tile::<4, 1>(&mut own)),
            }
            line += match lines - line {
                4.. => 4,
                2.. => 2,
                _ => 1,
            };
        }
    }
}

/// Some lines of channels.
struct Lines<'a> {
    inputs: &'a [i16],
    /// Where pairs of taps lie.
    taps: &'a [[usize; 2]],
    /// Where the windows of outputs begin.
    places: &'a [usize],
    weights: &'a [Weights],
    channels: &'a [Channels],
    points: Points,
    /// Channels of all lines.
    stride: usize,
    output: &'a mut [i8],
    /// The first channel.
    first: usize,
}

/// `P` outputs by `V` lines of channels at a time.
struct Tile<'t, 'a, const P: usize, const V: usize>(&'t mut Lines<'a>);

impl<L: Lanes, const P: usize, const V: usize> On<L> for Tile<'_, '_, P, V> {
    #[inline(always)]
    fn run(self, lanes: L) {
        let Lines { inputs, taps, places, weights, channels, points, stride, .. } = *self.0;
        let (outputs, pairs) = (places.len(), taps.len());
        let end = stride.min(self.0.first + V * LANES);
        let mut rows: [&[Weights]; V] = [&[]; V];
        for (v, row) in rows.iter_mut().enumerate() {
            *row = &weights[v * pairs..][..pairs];
        }
        let mut first = 0;
        while first < outputs {
            // The last ones may be made several times.
            let mut origins = [0; P];
            for (i, origin) in origins.iter_mut().enumerate() {
                *origin = places[(first + i).min(outputs - 1)] + self.0.first;
            }
            let mut sums = [[lanes.splat(0); V]; P];
            for (pair, places) in taps.iter().enumerate() {
                let mut own = [lanes.load_weights(&Weights::ZERO); V];
                for v in 0..V {
                    own[v] = lanes.load_weights(&rows[v][pair]);
                }
                for p in 0..P {
                    let a: &[[i16; LANES]; V] = lines(inputs, origins[p] + places[0]);
                    let b: &[[i16; LANES]; V] = lines(inputs, origins[p] + places[1]);
                    for v in 0..V {
                        sums[p][v] = lanes.dot_pairs(sums[p][v], [&a[v], &b[v]], own[v]);
                    }
                }
            }
            for (p, sums) in sums.iter_mut().enumerate().take(outputs - first) {
                for v in 0..V {
                    let bias = lanes.load(&channels[v].bias);
                    sums[v] = lanes.add(lanes.in_order(sums[v]), bias);
                }
                let row = (first + p) * stride;
                let output = &mut self.0.output[row + self.0.first..row + end];
                finish(lanes, *sums, channels, points, output);
            }
            first += P;
        }
    }
}

/// `V` lines of inputs.
#[inline(always)]
fn lines<const V: usize>(inputs: &[i16], place: usize) -> &[[i16; LANES]; V] {
    let (lines, _) = inputs[place..].as_chunks::<LANES>();
    match lines.first_chunk() {
        Some(lines) => lines,
        None => &[[0; LANES]; V],
    }
}
