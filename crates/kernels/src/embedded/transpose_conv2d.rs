// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Transposed convolution: four filters at a time, over the taps that meet an input.

use super::blocks::{Block, BlockKernel, FILTERS, Filters, for_each_block, scratch_len};
use super::dot::{Weight, add_products};
use crate::geometry::TransposeConvGeometry;
use crate::packing::PackedWeights;
use crate::params::Requantize;
use crate::reference::Storage;

/// Elements of scratch that [`transpose_conv2d`] needs for weights in `storage` bits.
pub const fn transpose_conv2d_scratch_len(geometry: &TransposeConvGeometry, storage: u8) -> usize {
    scratch_len(geometry.filters_per_group(), geometry.weights_per_channel(), storage)
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
    let filters = Filters {
        groups: geometry.groups,
        per_group: geometry.filters_per_group(),
        length: geometry.weights_per_channel(),
    };
    let mut kernel = TransposeConv2d { geometry, input, requantize, output };
    for_each_block(&filters, weights, scratch, &mut kernel);
}

struct TransposeConv2d<'a, S> {
    geometry: &'a TransposeConvGeometry,
    input: &'a [S],
    requantize: &'a Requantize<'a>,
    output: &'a mut [S],
}

impl<S: Storage> BlockKernel for TransposeConv2d<'_, S> {
    fn run<W: Weight>(&mut self, block: &Block, filters: [&[W]; FILTERS]) {
        let &mut Self { geometry: g, input, requantize, ref mut output } = self;
        let zero_point = requantize.input_zero_point;
        let depth = g.inputs_per_group();
        let mut pixels = output.chunks_mut(g.out_channels.max(1));
        for y in 0..g.output[0] {
            let rows = g.taps(0, y);
            for x in 0..g.output[1] {
                let columns = g.taps(1, x);
                let mut sums = block.biases::<S>(requantize);
                let (mut tap_y, mut row) = (rows.tap, rows.input);
                for _ in 0..rows.count {
                    let (mut tap_x, mut column) = (columns.tap, columns.input);
                    for _ in 0..columns.count {
                        let place =
                            (row * g.input[1] + column) * g.in_channels + block.group * depth;
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
                let Some(pixel) = pixels.next() else { return };
                block.write::<S, S>(requantize, sums, pixel);
            }
        }
    }
}
