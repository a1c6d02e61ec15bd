// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Convolution: two filters over two output pixels at a time.

use super::finish::finish;
use super::instructions::dots;
use super::patch::{excess, gather, pairs};
use super::{CHANNELS, PackedWords, Pair, filter_len, per_word};
use crate::geometry::ConvGeometry;
use crate::params::Requantize;

/// Bytes of scratch that [`conv2d`] needs for weights in `storage` bits: the padded inputs of two
/// output pixels as 16-bit elements.
pub const fn conv2d_scratch_len(geometry: &ConvGeometry, storage: u8) -> usize {
    4 * filter_len(geometry.weights_per_channel(), storage)
}

/// See [`reference::conv2d`](crate::reference::conv2d).
#[inline(always)]
pub fn conv2d(
    geometry: &ConvGeometry,
    input: &[i8],
    weights: PackedWords,
    requantize: &Requantize,
    scratch: &mut [i8],
    output: &mut [i8],
) {
    match weights.storage {
        2 => run::<2>(geometry, input, weights.words, requantize, scratch, output),
        3 => run::<3>(geometry, input, weights.words, requantize, scratch, output),
        4 => run::<4>(geometry, input, weights.words, requantize, scratch, output),
        _ => run::<8>(geometry, input, weights.words, requantize, scratch, output),
    }
}

fn run<const BITS: usize>(
    g: &ConvGeometry,
    input: &[i8],
    weights: &[u32],
    requantize: &Requantize,
    scratch: &mut [i8],
    output: &mut [i8],
) {
    let filters = g.filters_per_group();
    let length = filter_len(g.weights_per_channel(), BITS as u8);
    let words = length / per_word(BITS);
    let group_words = filters.div_ceil(2) * words;
    let zero_point = requantize.input_zero_point;
    let patches = scratch.as_chunks_mut().0.split_at_mut_checked(length);
    let Some((first, second)) = patches else { return };
    let second = second.get_mut(..length).unwrap_or(&mut []);
    for index in 0..g.groups {
        let weights = weights.get(index * group_words..).unwrap_or(&[]);
        let group = Group { weights, words, channel: index * filters, filters };
        let mut sums = [[[0; 2]; CHANNELS / 2]; 2];
        let [mut y, mut x] = [0; 2];
        let mut gather_next = |patch: &mut [_]| {
            gather(g, index, input, zero_point, [y, x], patch);
            x += 1;
            if x == g.output[1] {
                [y, x] = [y + 1, 0];
            }
        };
        for pixels in output.chunks_mut((2 * g.out_channels).max(1)) {
            let Some((out0, out1)) = pixels.split_at_mut_checked(g.out_channels) else { return };
            gather_next(&mut *first);
            let patch0 = pairs(first);
            // The second of an odd last pixel has no outputs.
            let patch1 = if out1.is_empty() {
                patch0
            } else {
                gather_next(&mut *second);
                pairs(second)
            };
            group.pixels::<BITS>([patch0, patch1], requantize, &mut sums, [out0, out1]);
        }
    }
}

/// A group of filters.
struct Group<'a> {
    weights: &'a [u32],
    /// Words of a pair of filters.
    words: usize,
    /// Its first output channel.
    channel: usize,
    filters: usize,
}

impl Group<'_> {
    fn pixels<const BITS: usize>(
        &self,
        patches: [&[Pair]; 2],
        requantize: &Requantize,
        [sums0, sums1]: &mut [[[i32; 2]; CHANNELS / 2]; 2],
        [out0, out1]: [&mut [i8]; 2],
    ) {
        let start = patches.map(|patch| -excess::<BITS>(patch));
        let (mut weights, mut first) = (self.weights, 0);
        while first < self.filters {
            let count = (self.filters - first).min(CHANNELS);
            let pairs = count.div_ceil(2);
            let [of0, of1] =
                [&mut *sums0, &mut *sums1].map(|sums| sums.get_mut(..pairs).unwrap_or(&mut []));
            dots::<BITS>(weights, self.words, patches, start, [of0, of1]);
            weights = weights.get(pairs * self.words..).unwrap_or(&[]);
            let channel = self.channel + first;
            for (sums, out) in [(&*sums0, &mut *out0), (&*sums1, &mut *out1)] {
                let out = out.get_mut(channel..channel + count).unwrap_or(&mut []);
                finish(requantize, channel, sums.as_flattened(), out);
            }
            first += count;
        }
    }
}
