// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Transposed convolution: four filters at a time, over the taps that meet an input.

use super::FILTERS;
use super::dot::{Weight, add_products};
use crate::geometry::TransposeConvGeometry;
use crate::packing::PackedWeights;
use crate::params::Requantize;
use crate::reference::{Storage, finish};

/// Elements of scratch that [`transpose_conv2d`] needs for weights in `storage` bits.
pub const fn transpose_conv2d_scratch_len(geometry: &TransposeConvGeometry, storage: u8) -> usize {
    let filters = geometry.filters_per_group();
    let filters = if filters < FILTERS { filters } else { FILTERS };
    if storage == 8 { 0 } else { filters * geometry.weights_per_channel() }
}

/// See [`reference::transpose_conv2d`](crate::reference::transpose_conv2d).
pub fn transpose_conv2d<S: Storage>(
    geometry: &TransposeConvGeometry,
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

/// Filters that are computed at once.
struct Block {
    group: usize,
    /// The first output channel.
    first: usize,
    count: usize,
}

/// The outputs of a block of filters, whose weights stand back to back in `weights`.
fn run_block<S: Storage, W: Weight>(
    g: &TransposeConvGeometry,
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
    let mut pixels = output.chunks_mut(g.out_channels.max(1));
    for y in 0..g.output[0] {
        let rows = g.taps(0, y);
        for x in 0..g.output[1] {
            let columns = g.taps(1, x);
            let mut sums = [S::Accumulator::from(0); FILTERS];
            for (sum, &bias) in sums.iter_mut().zip(bias) {
                *sum = bias.into();
            }
            let (mut tap_y, mut row) = (rows.tap, rows.input);
            for _ in 0..rows.count {
                let (mut tap_x, mut column) = (columns.tap, columns.input);
                for _ in 0..columns.count {
                    let place = (row * g.input[1] + column) * g.in_channels + block.group * depth;
                    let run = input.get(place..place + depth).unwrap_or(&[]);
                    let start = (tap_y * g.window.kernel[1] + tap_x) * depth;
                    let part = filters.map(|filter| filter.get(start..).unwrap_or(&[]));
                    add_products(run, zero_point, part, &mut sums);
                    tap_x += columns.tap_step;
                    // Behind the last tap it may fall below 0, and is not read.
                    column = column.wrapping_sub(columns.input_step);
                }
                tap_y += rows.tap_step;
                row = row.wrapping_sub(rows.input_step);
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
