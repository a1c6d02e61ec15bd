// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Convolution and fully connected layer: four filters at a time.

use super::blocks::{Block, BlockKernel, FILTERS, Filters, for_each_block, scratch_len};
use super::dot::{Weight, add_products};
use crate::geometry::{ConvGeometry, Window};
use crate::packing::{PackedWeights, field, joined};
use crate::params::Requantize;
use crate::reference::{Storage, finish_as};

/// Elements of scratch that [`conv2d`] needs for weights in `storage` bits.
pub const fn conv2d_scratch_len(geometry: &ConvGeometry, storage: u8) -> usize {
    scratch_len(geometry.filters_per_group(), geometry.weights_per_channel(), storage)
}

/// See [`reference::conv2d`](crate::reference::conv2d).
pub fn conv2d<S: Storage>(
    geometry: &ConvGeometry,
    input: &[S],
    weights: PackedWeights,
    requantize: &Requantize,
    scratch: &mut [i8],
    output: &mut [S],
) {
    pixels::<S, S>(geometry, input, weights, requantize, scratch, output);
}

/// [`conv2d`] with outputs of another type than the inputs.
fn pixels<S: Storage, T: Storage>(
    geometry: &ConvGeometry,
    input: &[S],
    weights: PackedWeights,
    requantize: &Requantize,
    scratch: &mut [i8],
    output: &mut [T],
) {
    let filters = Filters {
        groups: geometry.groups,
        per_group: geometry.filters_per_group(),
        length: geometry.weights_per_channel(),
    };
    let mut kernel = Conv2d { geometry, input, requantize, output };
    for_each_block(&filters, weights, scratch, &mut kernel);
}

/// See [`reference::fully_connected`](crate::reference::fully_connected). `scratch` holds
/// [`conv2d_scratch_len`] elements of the 1x1 convolution that it is; none for a single row of a
/// multiple of eight 8-bit inputs.
pub fn fully_connected<S: Storage, T: Storage>(
    in_features: usize,
    out_features: usize,
    input: &[S],
    weights: PackedWeights,
    requantize: &Requantize,
    scratch: &mut [i8],
    output: &mut [T],
) {
    let rows = input.len().checked_div(in_features).unwrap_or(0);
    if rows == 1 && in_features.is_multiple_of(8) && !S::WIDE {
        match weights.storage {
            2 => return row::<S, T, 2, 1, 4>(input, weights.bytes, requantize, output),
            3 => return row::<S, T, 3, 3, 8>(input, weights.bytes, requantize, output),
            4 => return row::<S, T, 4, 1, 2>(input, weights.bytes, requantize, output),
            _ => {}
        }
    }
    let geometry = ConvGeometry {
        input: [rows, 1],
        output: [rows, 1],
        in_channels: in_features,
        out_channels: out_features,
        groups: 1,
        window: Window { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pad: [0; 2] },
    };
    pixels::<S, T>(&geometry, input, weights, requantize, scratch, output);
}

/// A single row of inputs, which would not make up for decoding filters: they are multiplied as they
/// are packed, `FIELDS` weights of `BITS` bits in `BYTES` bytes, two filters at a time.
fn row<S: Storage, T: Storage, const BITS: usize, const BYTES: usize, const FIELDS: usize>(
    input: &[S],
    weights: &[u8],
    requantize: &Requantize,
    output: &mut [T],
) {
    let bytes = input.len() / FIELDS * BYTES;
    let mut filters = weights.chunks_exact(bytes.max(1));
    let mut bias = requantize.bias.iter();
    for (pair, outputs) in output.chunks_mut(2).enumerate() {
        let first = filters.next().unwrap_or(&[]);
        // Where no second filter is left, the first is computed twice.
        let second = filters.next().unwrap_or(first);
        let groups = first.as_chunks::<BYTES>().0.iter().zip(second.as_chunks::<BYTES>().0);
        let [mut a, mut b] = [0_i32; 2];
        for (inputs, (first, second)) in input.as_chunks::<FIELDS>().0.iter().zip(groups) {
            let (first, second) = (joined(first), joined(second));
            for (place, x) in inputs.iter().enumerate() {
                let x = x.integer() - requantize.input_zero_point;
                a = a.wrapping_add(x.wrapping_mul(field::<BITS>(first, place)));
                b = b.wrapping_add(x.wrapping_mul(field::<BITS>(second, place)));
            }
        }
        for (i, (output, sum)) in outputs.iter_mut().zip([a, b]).enumerate() {
            let bias = bias.next().copied().unwrap_or(0);
            let sum = S::accumulate(bias.into(), sum);
            *output = finish_as::<S, T>(requantize, 2 * pair + i, sum);
        }
    }
}

struct Conv2d<'a, S, T> {
    geometry: &'a ConvGeometry,
    input: &'a [S],
    requantize: &'a Requantize<'a>,
    output: &'a mut [T],
}

impl<S: Storage, T: Storage> BlockKernel for Conv2d<'_, S, T> {
    fn run<W: Weight>(&mut self, block: &Block, filters: [&[W]; FILTERS]) {
        let &mut Self { geometry: g, input, requantize, ref mut output } = self;
        let zero_point = requantize.input_zero_point;
        let depth = g.inputs_per_group();
        // Where the taps of a kernel row are neighbours in the input, the row is one run.
        let joined = g.groups == 1 && g.window.dilation[1] == 1;
        let mut pixels = output.chunks_mut(g.out_channels.max(1));
        for y in 0..g.output[0] {
            let rows = g.window.taps(0, y, g.input[0]);
            for x in 0..g.output[1] {
                let columns = g.window.taps(1, x, g.input[1]);
                let step = if joined { columns.len() } else { 1 };
                let run_len = step * depth;
                let mut sums = block.biases::<S>(requantize);
                for tap_y in rows.clone() {
                    let row = g.window.input(0, y, tap_y, g.input[0]).unwrap_or(0);
                    let mut tap_x = columns.start;
                    while tap_x < columns.end {
                        let column = g.window.input(1, x, tap_x, g.input[1]).unwrap_or(0);
                        let place =
                            (row * g.input[1] + column) * g.in_channels + block.group * depth;
                        let run = input.get(place..place + run_len).unwrap_or(&[]);
                        let start = (tap_y * g.window.kernel[1] + tap_x) * depth;
                        let part = filters.map(|filter| filter.get(start..).unwrap_or(&[]));
                        add_products(run, zero_point, part, &mut sums);
                        tap_x += step;
                    }
                }
                let Some(pixel) = pixels.next() else { return };
                block.write::<S, T>(requantize, sums, pixel);
            }
        }
    }
}
