// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! The instructions of the DSP extension, and the inner loops on them, in portable form.

use core::array::from_fn;
use core::ops::Range;

use super::depthwise::MAX_TAPS;
use super::{Pair, per_word, word};

fn halves(x: u32) -> [i32; 2] {
    [i32::from(x as i16), i32::from((x >> 16) as i16)]
}

/// `sum` + low(a) * low(b) + high(a) * high(b)
pub fn smlad(a: u32, b: u32, sum: i32) -> i32 {
    let ([a0, a1], [b0, b1]) = (halves(a), halves(b));
    sum.wrapping_add((a0 * b0).wrapping_add(a1 * b1))
}

/// Adds bytes 0 and 2 of `x` to the elements of `pair`.
pub fn add_even_bytes(pair: u32, x: u32) -> u32 {
    let low = pair.wrapping_add(x as i8 as u32) & 0xFFFF;
    let high = (pair >> 16).wrapping_add((x >> 16) as i8 as u32) << 16;
    low | high
}

/// Adds bytes 1 and 3 of `x` to the elements of `pair`.
pub fn add_odd_bytes(pair: u32, x: u32) -> u32 {
    add_even_bytes(pair, x >> 8)
}

/// The low half of `a`, and above it the low half of `b`.
pub fn low_halves(a: u32, b: u32) -> u32 {
    (a & 0xFFFF) | (b << 16)
}

/// The high half of `a`, and above it the high half of `b`.
pub fn high_halves(a: u32, b: u32) -> u32 {
    (a >> 16) | (b & 0xFFFF_0000)
}

/// `a * b / 2^32`, rounded half up.
pub fn high_word(a: i32, b: i32) -> i32 {
    ((i64::from(a) * i64::from(b) + (1 << 31)) >> 32) as i32
}

/// `x / 2^shift`, rounded down, for a shift of 0..=31.
pub fn shift_right(x: i32, shift: i32) -> i32 {
    x >> (shift & 31)
}

/// `x` within 8 bits.
pub fn saturated(x: i32) -> i32 {
    x.clamp(-128, 127)
}

/// The weights a, b that `words` hold for the `i`-th pair of elements.
fn weights_of<const BITS: usize>(words: &[u32], i: usize) -> [u32; 2] {
    let word = |index: usize| words.get(index).copied().unwrap_or(0);
    if BITS == 8 {
        return [add_even_bytes(0, word(i)), add_odd_bytes(0, word(i))];
    }
    let mask = ((1 << BITS) - 1) * 0x0001_0001;
    [2 * i, 2 * i + 1]
        .map(|field| (word(field / per_word(BITS)) >> (field % per_word(BITS) * BITS)) & mask)
}

/// Multiplies pairs of filters of `words` words each, which stand back to back in `weights`, by two
/// patches. The sums of a patch begin with its `start`; there are as many as pairs.
pub fn dots<const BITS: usize>(
    weights: &[u32],
    words: usize,
    patches: [&[Pair]; 2],
    [start0, start1]: [i32; 2],
    [sums0, sums1]: [&mut [[i32; 2]]; 2],
) {
    for (i, (sums0, sums1)) in sums0.iter_mut().zip(sums1).enumerate() {
        let weights = weights.get(i * words..(i + 1) * words).unwrap_or(&[]);
        let start = [start0, start0, start1, start1];
        let [a0, b0, a1, b1] = dot::<BITS>(weights, patches, start);
        *sums0 = [a0, b0];
        *sums1 = [a1, b1];
    }
}

/// Adds two filters over two patches to the sums a0, b0, a1, b1.
fn dot<const BITS: usize>(weights: &[u32], patches: [&[Pair]; 2], sums: [i32; 4]) -> [i32; 4] {
    let [mut a0, mut b0, mut a1, mut b1] = sums;
    let pairs = weights.len() * per_word(BITS) / 2;
    let [first, second] = patches;
    for (i, (&x, &y)) in first.iter().zip(second).take(pairs).enumerate() {
        let [a, b] = weights_of::<BITS>(weights, i);
        a0 = smlad(a, word(x), a0);
        b0 = smlad(b, word(x), b0);
        a1 = smlad(a, word(y), a1);
        b1 = smlad(b, word(y), b1);
    }
    [a0, b0, a1, b1]
}

/// Adds two pairs of filters over one patch to the sums a0, b0, a1, b1.
pub fn dot_wide<const BITS: usize>(
    weights: [&[u32]; 2],
    patch: &[Pair],
    [a0, b0, a1, b1]: [i32; 4],
) -> [i32; 4] {
    let [first, second] = weights;
    let [a0, b0, ..] = dot::<BITS>(first, [patch; 2], [a0, b0, 0, 0]);
    let [a1, b1, ..] = dot::<BITS>(second, [patch; 2], [a1, b1, 0, 0]);
    [a0, b0, a1, b1]
}

/// What the window of a depthwise convolution covers: the channels of each tap.
pub struct Taps<'a> {
    pixels: [&'a [i8]; MAX_TAPS + 3],
    zeros: &'a [i8],
    count: usize,
}

impl<'a> Taps<'a> {
    /// `count` taps of as many channels as `zeros` has, which stands for the padding.
    pub fn new(count: usize, zeros: &'a [i8]) -> Self {
        Self { pixels: [zeros; MAX_TAPS + 3], zeros, count: count.min(MAX_TAPS) }
    }

    /// Lets `taps` read the padding.
    pub fn pad(&mut self, taps: Range<usize>) {
        self.pixels.get_mut(taps).unwrap_or(&mut []).fill(self.zeros);
    }

    /// Lets `taps` read pixels of `input`, which begin every `step` elements.
    pub fn set(&mut self, taps: Range<usize>, input: &'a [i8], step: usize) {
        for (i, place) in self.pixels.get_mut(taps).unwrap_or(&mut []).iter_mut().enumerate() {
            *place = input.get(i * step..).unwrap_or(self.zeros);
        }
    }

    /// The sums of products of blocks of four channels, from `first` on.
    pub fn blocks<const BITS: usize>(&self, weights: &[u32], first: usize, sums: &mut [[i32; 4]]) {
        let words = weights.len().min(match BITS {
            8 => 2 * self.count.div_ceil(2),
            4 => self.count.div_ceil(2),
            _ => self.count.div_ceil(4),
        });
        let scale = if BITS == 8 { 0 } else { 16 - BITS };
        for (i, sums) in sums.iter_mut().enumerate() {
            let weights = weights.get(i * words..).unwrap_or(&[]);
            *sums = self.block::<BITS>(weights, first + 4 * i).map(|sum| sum >> scale);
        }
    }

    /// The sums of products of channels `first` to `first + 3`; below 8 bits they are scaled by
    /// 2^(16 - BITS).
    fn block<const BITS: usize>(&self, weights: &[u32], first: usize) -> [i32; 4] {
        let mask = (0xFFFF_u32 << (16 - BITS) & 0xFFFF) * 0x0001_0001;
        let load = |pixel: &[i8]| {
            pixel.get(first..).and_then(|channels| channels.first_chunk()).map_or(0, |&x| word(x))
        };
        let mut sums = [0; 4];
        for pair in 0..self.count.div_ceil(2) {
            let tap = |tap: usize| self.pixels.get(tap).map_or(0, |pixel| load(pixel));
            let (s, t) = (tap(2 * pair), tap(2 * pair + 1));
            let x = [low_halves(s, t), high_halves(s, t)];
            let sum: [i32; 4] = from_fn(|c| {
                let bytes = x[c / 2] >> (8 * (c % 2));
                let elements = add_even_bytes(0, bytes);
                let w = match BITS {
                    8 => {
                        let word = weights.get(2 * pair + c / 2).copied().unwrap_or(0);
                        add_even_bytes(0, word >> (8 * (c % 2)))
                    }
                    4 => (weights.get(pair).copied().unwrap_or(0) << (12 - 4 * c)) & mask,
                    _ => {
                        let word = weights.get(pair / 2).copied().unwrap_or(0);
                        (word << (14 - 8 * (pair % 2) - 2 * c)) & mask
                    }
                };
                smlad(elements, w, sums[c])
            });
            sums = sum;
        }
        sums
    }
}
