// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Convolution and fully connected layer of 8-bit inputs: tiles of some outputs by some lines of channels.
//!
//! An output is the sum of products with *segments*, neighbours in the image that meet neighbours among the weights
//! of a channel: a row of the kernel, or a tap where taps are apart or other groups lie between them. A segment ends
//! with a whole word; what its last word reads beyond it meets weights of zero.

use super::image::Image;
use super::lanes::{Channels, LANES, Lanes, On, Weights, Work};
use super::{Instructions, Points, Scratch, ScratchLen, finish};
use crate::geometry::{ConvGeometry, Window};
use crate::params::Requantize;
use crate::reference::Storage;

/// A fully connected layer as a convolution.
pub const fn as_convolution(rows: usize, in_features: usize, out_features: usize) -> ConvGeometry {
    ConvGeometry {
        input: [1, rows],
        output: [1, rows],
        in_channels: in_features,
        out_channels: out_features,
        groups: 1,
        window: Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], pad: [0, 0] },
    }
}

/// How a layer is cut up.
#[derive(Clone, Copy)]
struct Cut {
    image: Image,
    /// Segments in a row of the kernel.
    segments: usize,
    /// Weights of a segment.
    len: usize,
    /// Words of a segment.
    words: usize,
    /// Segments of an output.
    count: usize,
    /// Lines of channels in a group.
    lines: usize,
}

impl Cut {
    #[inline(always)]
    fn new(g: &ConvGeometry, depth: usize) -> Self {
        let image = Image::new(g.window, g.output, g.in_channels);
        let [rows, columns] = g.window.kernel;
        let joined = g.groups == 1 && image.is_dense();
        let segments = if joined { 1 } else { columns };
        let len = g.inputs_per_group() * if joined { columns } else { 1 };
        let lines = g.filters_per_group().div_ceil(LANES);
        Self { image, segments, len, words: len.div_ceil(depth), count: rows * segments, lines }
    }

    /// Words of an output.
    fn depth(&self) -> usize {
        self.count * self.words
    }
}

/// The lines of weights and of channels that [`prepare_conv2d`] fills.
pub fn conv2d_lines(instructions: Instructions, g: &ConvGeometry) -> (usize, usize) {
    let cut = Cut::new(g, instructions.depth());
    (g.groups * cut.lines * cut.depth(), g.groups * cut.lines)
}

/// Brings weights in the order of the reference, unpacked, biases and multipliers into the order of [`conv2d`].
pub fn prepare_conv2d(
    instructions: Instructions,
    geometry: &ConvGeometry,
    weights: &[i8],
    requantize: &Requantize,
    lines: &mut [Weights],
    channels: &mut [Channels],
) {
    instructions.run(Prepare { geometry, weights, requantize, lines, channels });
}

struct Prepare<'a> {
    geometry: &'a ConvGeometry,
    weights: &'a [i8],
    requantize: &'a Requantize<'a>,
    lines: &'a mut [Weights],
    channels: &'a mut [Channels],
}

impl Work for Prepare<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, _lanes: L) {
        let Self { geometry: g, weights, requantize, lines, channels } = self;
        let cut = Cut::new(g, L::DEPTH);
        let filters = g.filters_per_group();
        let excess = L::excess(requantize.input_zero_point);
        let blocks = lines.chunks_exact_mut(cut.depth().max(1)).zip(channels);
        for (block, (lines, channels)) in blocks.enumerate() {
            *channels = Channels::NONE;
            lines.fill(Weights::ZERO);
            let (group, first) = (block / cut.lines, block % cut.lines * LANES);
            for lane in 0..LANES.min(filters - first) {
                let channel = group * filters + first + lane;
                let filter = channel * g.weights_per_channel();
                let mut sum = 0_i32;
                for (index, line) in lines.iter_mut().enumerate() {
                    let (segment, word) = (index / cut.words, index % cut.words);
                    let weight = |i: usize| {
                        let place = word * L::DEPTH + i;
                        let inside = place < cut.len;
                        if inside {
                            i32::from(weights[filter + segment * cut.len + place])
                        } else {
                            0
                        }
                    };
                    line.0[lane] = L::weights(weight);
                    sum += (0..L::DEPTH).map(weight).sum::<i32>();
                }
                let bias = requantize.bias[channel];
                channels.bias.0[lane] = bias.wrapping_sub(excess.wrapping_mul(sum));
                channels.scale.set(lane, requantize.multiplier(channel));
            }
        }
    }
}

/// The scratch that [`conv2d`] needs.
pub fn conv2d_scratch(instructions: Instructions, geometry: &ConvGeometry) -> ScratchLen {
    let depth = instructions.depth();
    let cut = Cut::new(geometry, depth);
    // The last word may reach beyond the image.
    let inputs = cut.image.len() + depth;
    let places = cut.count + cut.image.outputs;
    match instructions.takes_bytes() {
        true => ScratchLen { bytes: inputs, places, ..ScratchLen::default() },
        false => ScratchLen { halves: inputs, places, ..ScratchLen::default() },
    }
}

/// See [`reference::conv2d`](crate::reference::conv2d) and
/// [`reference::fully_connected`](crate::reference::fully_connected), for 8-bit inputs. Weights and
/// channels are those of [`prepare_conv2d`], of the same layer with any rows of inputs.
#[expect(clippy::too_many_arguments, reason = "a kernel")]
pub fn conv2d<T: Storage>(
    instructions: Instructions,
    geometry: &ConvGeometry,
    input: &[i8],
    weights: &[Weights],
    channels: &[Channels],
    points: Points,
    scratch: Scratch,
    output: &mut [T],
) {
    instructions.run(Conv2d { geometry, input, weights, channels, points, scratch, output });
}

struct Conv2d<'a, T> {
    geometry: &'a ConvGeometry,
    input: &'a [i8],
    weights: &'a [Weights],
    channels: &'a [Channels],
    points: Points,
    scratch: Scratch<'a>,
    output: &'a mut [T],
}

impl<T: Storage> Work for Conv2d<'_, T> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { geometry: g, input, weights, channels, points, scratch, output } = self;
        let cut = Cut::new(g, L::DEPTH);
        let Scratch { bytes, halves, places, .. } = scratch;
        let zero_point = points.input_zero_point;
        let image = L::inputs(bytes, halves);
        cut.image.fill(
            input,
            g.input,
            1,
            L::padding(zero_point),
            #[inline(always)]
            |x| L::input(x, zero_point),
            image,
        );
        let (segments, places) = places.split_at_mut(cut.count);
        for (segment, place) in segments.iter_mut().enumerate() {
            *place = cut.image.tap(segment / cut.segments, segment % cut.segments);
        }
        cut.image.places(places);
        let mut tiles = Tiles {
            cut,
            stride: g.out_channels,
            points,
            image,
            segments,
            places,
            first_input: 0,
            weights,
            channels,
            output,
            first_channel: 0,
            end_channel: 0,
        };
        let depth = cut.depth();
        for group in 0..g.groups {
            tiles.first_input = group * g.inputs_per_group();
            let (first, end) = (group * g.filters_per_group(), (group + 1) * g.filters_per_group());
            let mut line = 0;
            while line < cut.lines {
                let block = group * cut.lines + line;
                tiles.weights = &weights[block * depth..];
                tiles.channels = &channels[block..];
                tiles.first_channel = first + line * LANES;
                // A single output needs some sums that do not wait for each other.
                let most = if cut.image.outputs == 1 { 4 } else { L::SUMS.div_ceil(6) };
                let count = match (cut.lines - line).min(most) {
                    4.. => 4,
                    2.. => 2,
                    _ => 1,
                };
                line += count;
                tiles.end_channel = end.min(first + line * LANES);
                match count {
                    4 => tiles.lines::<L, 4>(lanes),
                    2 => tiles.lines::<L, 2>(lanes),
                    _ => tiles.lines::<L, 1>(lanes),
                }
            }
        }
    }
}

/// All outputs of some lines of channels.
struct Tiles<'a, I, T> {
    cut: Cut,
    /// Channels of all groups.
    stride: usize,
    points: Points,
    image: &'a [I],
    segments: &'a [usize],
    /// Where the windows of outputs begin.
    places: &'a [usize],
    first_input: usize,
    weights: &'a [Weights],
    channels: &'a [Channels],
    output: &'a mut [T],
    first_channel: usize,
    /// One after the last channel.
    end_channel: usize,
}

impl<I: Copy, T: Storage> Tiles<'_, I, T> {
    /// Makes `V` lines, with as many outputs at a time as registers hold, all tiles alike.
    #[inline(always)]
    fn lines<L: Lanes<Input = I>, const V: usize>(&mut self, lanes: L) {
        let (outputs, most) = (self.cut.image.outputs, L::SUMS / V);
        let tiles = outputs.div_ceil(most.max(1)).max(1);
        match outputs.div_ceil(tiles) {
            9.. if most >= 12 => lanes.run(Tile::<I, T, 12, V>(self)),
            7.. if most >= 8 => lanes.run(Tile::<I, T, 8, V>(self)),
            5.. if most >= 6 => lanes.run(Tile::<I, T, 6, V>(self)),
            4.. if most >= 4 => lanes.run(Tile::<I, T, 4, V>(self)),
            3.. if most >= 3 => lanes.run(Tile::<I, T, 3, V>(self)),
            2.. if most >= 2 => lanes.run(Tile::<I, T, 2, V>(self)),
            _ => lanes.run(Tile::<I, T, 1, V>(self)),
        }
    }
}

/// `P` outputs by `V` lines of channels at a time.
struct Tile<'t, 'a, I, T, const P: usize, const V: usize>(&'t mut Tiles<'a, I, T>);

impl<L: Lanes, T: Storage, const P: usize, const V: usize> On<L>
    for Tile<'_, '_, L::Input, T, P, V>
{
    #[inline(always)]
    fn run(self, lanes: L) {
        let tiles = self.0;
        let outputs = tiles.cut.image.outputs;
        let mut first = 0;
        while first < outputs {
            // The last tile may make its last output several times.
            let mut places = [0; P];
            for (i, place) in places.iter_mut().enumerate() {
                *place = tiles.places[(first + i).min(outputs - 1)] + tiles.first_input;
            }
            let sums = tiles.sums::<L, P, V>(lanes, &places);
            for (p, &sums) in sums.iter().enumerate().take(outputs - first) {
                let row = (first + p) * tiles.stride;
                let output = &mut tiles.output[row + tiles.first_channel..row + tiles.end_channel];
                finish(lanes, sums, tiles.channels, tiles.points, output);
            }
            first += P;
        }
    }
}

impl<I: Copy, T: Storage> Tiles<'_, I, T> {
    /// The sums of outputs whose windows begin at `places`.
    #[inline(always)]
    fn sums<L: Lanes<Input = I>, const P: usize, const V: usize>(
        &self,
        lanes: L,
        places: &[usize; P],
    ) -> [[L::Ints; V]; P] {
        let (words, depth) = (self.cut.words, self.cut.depth());
        let mut sums = [[lanes.splat(0); V]; P];
        for v in 0..V {
            let bias = lanes.load(&self.channels[v].bias);
            for sums in &mut sums {
                sums[v] = bias;
            }
        }
        let mut first = 0;
        for segment in self.segments {
            let mut rows: [&[L::Word]; P] = [&[]; P];
            for (row, place) in rows.iter_mut().zip(places) {
                *row = &L::words(&self.image[place + segment..][..words * L::DEPTH])[..words];
            }
            let mut weights: [&[Weights]; V] = [&[]; V];
            for (v, weights) in weights.iter_mut().enumerate() {
                *weights = &self.weights[v * depth + first..][..words];
            }
            first += words;
            for word in 0..words {
                let mut line = [lanes.load_weights(&Weights::ZERO); V];
                for v in 0..V {
                    line[v] = lanes.load_weights(&weights[v][word]);
                }
                for p in 0..P {
                    let input = lanes.splat_word(rows[p][word]);
                    for v in 0..V {
                        sums[p][v] = lanes.dot(sums[p][v], input, line[v]);
                    }
                }
            }
        }
        sums
    }
}
