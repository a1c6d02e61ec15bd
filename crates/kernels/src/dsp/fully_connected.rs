// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Fully connected layer: four filters at a time.

use super::finish::finish;
use super::instructions::dot_wide;
use super::patch::{excess, expand, pairs};
use super::{CHANNELS, PackedWords, filter_len, per_word};
use crate::params::Requantize;
use crate::reference::Storage;
use crate::rows::{rows, rows_mut};

/// Bytes of scratch that [`fully_connected`] needs for weights in `storage` bits: the padded inputs
/// of a row as 16-bit elements.
pub const fn fully_connected_scratch_len(in_features: usize, storage: u8) -> usize {
    2 * filter_len(in_features, storage)
}

/// See [`reference::fully_connected`](crate::reference::fully_connected).
#[inline(always)]
pub fn fully_connected<T: Storage>(
    in_features: usize,
    out_features: usize,
    input: &[i8],
    weights: PackedWords,
    requantize: &Requantize,
    scratch: &mut [i8],
    output: &mut [T],
) {
    for (input, output) in rows(input, in_features).zip(rows_mut(output, out_features)) {
        match weights.storage {
            2 => row::<T, 2>(input, weights.words, requantize, scratch, output),
            3 => row::<T, 3>(input, weights.words, requantize, scratch, output),
            4 => row::<T, 4>(input, weights.words, requantize, scratch, output),
            _ => row::<T, 8>(input, weights.words, requantize, scratch, output),
        }
    }
}

fn row<T: Storage, const BITS: usize>(
    input: &[i8],
    weights: &[u32],
    requantize: &Requantize,
    scratch: &mut [i8],
    output: &mut [T],
) {
    let length = filter_len(input.len(), BITS as u8);
    let words = length / per_word(BITS);
    let Some(patch) = scratch.as_chunks_mut().0.get_mut(..length) else { return };
    let Some((elements, padding)) = patch.split_at_mut_checked(input.len()) else { return };
    expand(input, requantize.input_zero_point, elements);
    padding.fill([0; 2]);
    let patch = pairs(patch);
    let start = [-excess::<BITS>(patch); 4];
    let mut weights = weights.chunks_exact(words.max(1));
    for (block, output) in output.chunks_mut(CHANNELS).enumerate() {
        let mut sums = [[0; 4]; CHANNELS / 4];
        for sums in sums.iter_mut().take(output.len().div_ceil(4)) {
            let first = weights.next().unwrap_or(&[]);
            // Where no second pair is left, the first is computed twice.
            let second = weights.next().unwrap_or(first);
            *sums = dot_wide::<BITS>([first, second], patch, start);
        }
        finish(requantize, block * CHANNELS, sums.as_flattened(), output);
    }
}
