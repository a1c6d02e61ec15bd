// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Blocks of filters: what convolutions decode and multiply at once.

use super::dot::Weight;
use crate::packing::PackedWeights;
use crate::params::Requantize;
use crate::reference::{Storage, finish_as};

/// Filters that are decoded and multiplied at once.
pub const FILTERS: usize = 4;

/// Elements of scratch for `filters` of `length` weights in `storage` bits, of which a block is
/// decoded at once.
pub(super) const fn scratch_len(filters: usize, length: usize, storage: u8) -> usize {
    let filters = if filters < FILTERS { filters } else { FILTERS };
    if storage == 8 { 0 } else { filters * length }
}

/// Groups of filters, each as many weights long.
pub(super) struct Filters {
    pub groups: usize,
    pub per_group: usize,
    pub length: usize,
}

/// At most [`FILTERS`] filters of a group.
pub(super) struct Block {
    pub group: usize,
    /// The first output channel.
    first: usize,
    count: usize,
}

/// Computes the outputs of blocks.
pub(super) trait BlockKernel {
    /// Computes those of `block`; a block of fewer filters has its last one several times.
    fn run<W: Weight>(&mut self, block: &Block, filters: [&[W]; FILTERS]);
}

/// Runs `kernel` on every block; weights below 8 bits are decoded into `scratch` before.
#[inline(always)]
pub(super) fn for_each_block(
    filters: &Filters,
    weights: PackedWeights,
    scratch: &mut [i8],
    kernel: &mut impl BlockKernel,
) {
    let &Filters { groups, per_group, length } = filters;
    for group in 0..groups {
        for first in (0..per_group).step_by(FILTERS) {
            let block = Block {
                group,
                first: group * per_group + first,
                count: (per_group - first).min(FILTERS),
            };
            let (start, len) = (block.first * length, block.count * length);
            if weights.storage == 8 {
                let rows = weights.bytes.get(start..start + len).unwrap_or(&[]);
                kernel.run(&block, block.filters(rows, length));
            } else {
                let rows = scratch.get_mut(..len).unwrap_or(&mut []);
                weights.unpack(start, rows);
                kernel.run(&block, block.filters(&*rows, length));
            }
        }
    }
}

impl Block {
    /// The filters that stand back to back in `weights`.
    #[inline(always)]
    fn filters<'w, W>(&self, weights: &'w [W], length: usize) -> [&'w [W]; FILTERS] {
        core::array::from_fn(|i| {
            let start = i.min(self.count - 1) * length;
            weights.get(start..start + length).unwrap_or(&[])
        })
    }

    /// The sums before any product: the biases.
    #[inline(always)]
    pub fn biases<S: Storage>(&self, requantize: &Requantize) -> [S::Accumulator; FILTERS] {
        let mut sums = [S::Accumulator::from(0); FILTERS];
        let bias = requantize.bias.get(self.first..).unwrap_or(&[]);
        for (sum, &bias) in sums.iter_mut().zip(bias) {
            *sum = bias.into();
        }
        sums
    }

    /// Writes what `sums` give to the channels of a pixel.
    #[inline(always)]
    pub fn write<S: Storage, T: Storage>(
        &self,
        requantize: &Requantize,
        sums: [S::Accumulator; FILTERS],
        pixel: &mut [T],
    ) {
        let channels = pixel.get_mut(self.first..).unwrap_or(&mut []);
        for (i, (output, sum)) in channels.iter_mut().zip(sums).take(self.count).enumerate() {
            *output = finish_as::<S, T>(requantize, self.first + i, sum);
        }
    }
}
