// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Convolution and fully connected layer: four filters at a time.

use super::dot::{Weight, add_products};
use crate::geometry::{ConvGeometry, Window};
use crate::packing::{PackedWeights, field, joined};
use crate::params::Requantize;
use crate::reference::{Storage, finish};

/// Filters that are decoded and multiplied at once.
pub const FILTERS: usize = 4;

/// Elements of scratch that [`conv2d`] needs for weights in `storage` bits.
pub const fn conv2d_scratch_len(geometry: &ConvGeometry, storage: u8) -> usize {
    let filters = geometry.filters_per_group();
    let filters = if filters < FILTERS { filters } else { FILTERS };
    if storage == 8 { 0 } else { filters * geometry.weights_per_channel() }
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
    let g = geometry;
    let (filters, length) = (g.filters_per_group(), g.weights_per_channel());
    for group in 0..g.groups {
        for first in (0..filters).step_by(FILTERS) {
            let block = Block {
                group,
                first: group * filters + first,
                count: (filters - first).min(FILTERS),
            };
            let (start, len) = (block.first * length, block.count * length);
            if weights.storage == 8 {
                let rows = weights.bytes.get(start..start + len).unwrap_or(&[]);
                run_block(g, &block, rows, input, requantize, output);
            } else {
                let rows = scratch.get_mut(..len).unwrap_or(&mut []);
                weights.unpack(start, rows);
                run_block(g, &block, &*rows, input, requantize, output);
            }
        }
    }
}

/// See [`reference::fully_connected`](crate::reference::fully_connected). `scratch` holds
/// [`conv2d_scratch_len`] elements of the 1x1 convolution that it is; none for a single row of a
/// multiple of eight 8-bit inputs.
pub fn fully_connected<S: Storage>(
    in_features: usize,
    out_features: usize,
    input: &[S],
    weights: PackedWeights,
    requantize: &Requantize,
    scratch: &mut [i8],
    output: &mut [S],
) {
    let rows = input.len().checked_div(in_features).unwrap_or(0);
    if rows == 1 && in_features.is_multiple_of(8) && !S::WIDE {
        match weights.storage {
            2 => return row::<S, 2, 1, 4>(input, weights.bytes, requantize, output),
            3 => return row::<S, 3, 3, 8>(input, weights.bytes, requantize, output),
            4 => return row::<S, 4, 1, 2>(input, weights.bytes, requantize, output),
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
    conv2d(&geometry, input, weights, requantize, scratch, output);
}

/// A single row of inputs, which would not make up for decoding filters: they are multiplied as they
/// are packed, `FIELDS` weights of `BITS` bits in `BYTES` bytes, two filters at a time.
fn row<S: Storage, const BITS: usize, const BYTES: usize, const FIELDS: usize>(
    input: &[S],
    weights: &[u8],
    requantize: &Requantize,
    output: &mut [S],
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
            *output = finish(requantize, 2 * pair + i, S::accumulate(bias.into(), sum));
        }
    }
}

/// Filters that are computed at once.
struct Block {
    group: usize,
    /// The first output channel.
    first: usize,
    count: usize,
}

/// The outputs of a block of filters, whose weights stand back to back in `weights`.
fn run_block<S: Storage, W: Weight>(
    g: &ConvGeometry,
    block: &Block,
    weights: &[W],
    input: &[S],
    requantize: &Requantize,
    output: &mut [S],
) {
    let length = g.weights_per_channel();
    // A block of fewer filters computes its last one several times.
    let filters: [&[W]; FILTERS] = core::array::from_fn(|i| {
        let start = i.min(block.count - 1) * length;
        weights.get(start..start + length).unwrap_or(&[])
    });
    let bias = requantize.bias.get(block.first..).unwrap_or(&[]);
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
            let mut sums = [S::Accumulator::from(0); FILTERS];
            for (sum, &bias) in sums.iter_mut().zip(bias) {
                *sum = bias.into();
            }
            for tap_y in rows.clone() {
                let row = g.window.input(0, y, tap_y, g.input[0]).unwrap_or(0);
                let mut tap_x = columns.start;
                while tap_x < columns.end {
                    let column = g.window.input(1, x, tap_x, g.input[1]).unwrap_or(0);
                    let place = (row * g.input[1] + column) * g.in_channels + block.group * depth;
                    let run = input.get(place..place + run_len).unwrap_or(&[]);
                    let start = (tap_y * g.window.kernel[1] + tap_x) * depth;
                    let part = filters.map(|filter| filter.get(start..).unwrap_or(&[]));
                    add_products(run, zero_point, part, &mut sums);
                    tap_x += step;
                }
            }
            let Some(output) = pixels.next().and_then(|pixel| pixel.get_mut(block.first..)) else {
                return;
            };
            for (i, (output, sum)) in output.iter_mut().zip(sums).take(block.count).enumerate() {
                *output = finish(requantize, block.first + i, sum);
            }
        }
    }
}
