// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! The logarithm of softmax, without a division.
//!
//! `ln softmax(x_i) = (x_i - max) - ln sum exp(x_j - max)`: the exponentials come from a table of
//! all 256 differences, the logarithm from repeated squaring.
//!
//! Outputs are `round((x_i - max) * scale / step - ln sum / step) + 127` with `step = 2^b / 256`, where
//! `b`, the integer bits of the output, is 4 in TensorFlow Lite: outputs end at -16. Each further bit
//! doubles the step and the lowest output.

use crate::multiplier::Multiplier;
use crate::rows::{rows, rows_mut};

/// Integer bits of the output that have a grid: the fewest are those of TensorFlow Lite.
const INTEGER_BITS: core::ops::RangeInclusive<u32> = 4..=30;
/// Fraction bits of the exponentials.
const EXP_BITS: u32 = 20;
/// Fraction bits of the two terms before the last rounding.
const TERM_BITS: u32 = 12;
/// `ln 2` in Q0.16.
const LN_2: i64 = 45_426;

/// `exp(-d * scale)` in Q0.20 for every difference `d` of 8-bit inputs of scale `scale`.
pub fn log_softmax_exponentials(scale: f32) -> [u32; 256] {
    // Repeated multiplication in f64 is exact to far more than 20 bits, and `core` has no exp.
    let step = exp_of_negative(f64::from(scale));
    let mut power = 1.0;
    core::array::from_fn(|_| {
        let entry = (power * f64::from(1_u32 << EXP_BITS) + 0.5) as u32;
        power *= step;
        entry
    })
}

/// The integer bits of outputs of scale `scale`, if there are any with that scale.
pub fn log_softmax_integer_bits(scale: f32) -> Option<u32> {
    INTEGER_BITS.into_iter().find(|&bits| (1_u32 << bits) as f32 / 256.0 == scale)
}

/// `exp(-x)` for `x >= 0`: the series of a small part of `x`, squared up again.
fn exp_of_negative(x: f64) -> f64 {
    let halvings = 10;
    let small = -x.min(700.0) / f64::from(1_u32 << halvings);
    let mut sum = 1.0;
    let mut term = 1.0;
    for n in 1..=16 {
        term *= small / f64::from(n);
        sum += term;
    }
    for _ in 0..halvings {
        sum *= sum;
    }
    sum
}

/// The logarithm of the softmax of each row of `depth` elements; output scale
/// `2^integer_bits / 256`, zero point 127. `input_multiplier` rescales inputs to that scale.
pub fn log_softmax(
    depth: usize,
    exponentials: &[u32],
    input_multiplier: Multiplier,
    integer_bits: u32,
    input: &[i8],
    output: &mut [i8],
) {
    for (input, output) in rows(input, depth).zip(rows_mut(output, depth)) {
        let max = i32::from(input.iter().copied().max().unwrap_or(0));
        let below = |x: i8| max - i32::from(x);
        let exponential = |x: i8| exponentials.get(below(x) as usize).copied().unwrap_or(0);
        let sum: u64 = input.iter().map(|&x| u64::from(exponential(x))).sum();
        // In steps of 1/16 with 12 fraction bits: 16 * ln in Q12 is ln in Q16; then in wider steps.
        let widening = integer_bits.saturating_sub(*INTEGER_BITS.start()).min(31);
        let logarithm = (ln_of_sum(sum) + (1 << widening >> 1)) >> widening;
        for (output, &x) in output.iter_mut().zip(input) {
            let difference = i64::from(input_multiplier.apply(-below(x) << TERM_BITS));
            let rounded = (difference - logarithm + (1 << (TERM_BITS - 1))) >> TERM_BITS;
            *output = (rounded + 127).clamp(-128, 127) as i8;
        }
    }
}

/// `ln(sum / 2^20)` in Q16, for `sum >= 2^20`.
fn ln_of_sum(sum: u64) -> i64 {
    let integer = 63 - sum.leading_zeros();
    // The significand in [1, 2) as Q1.31; every squaring yields one bit of the binary logarithm.
    let mut significand = (sum << (63 - integer)) >> 32;
    let mut log2 = i64::from(integer - EXP_BITS);
    for _ in 0..16 {
        significand = (significand * significand) >> 31;
        log2 *= 2;
        if significand >= 1 << 32 {
            significand >>= 1;
            log2 += 1;
        }
    }
    (log2 * LN_2 + (1 << 15)) >> 16
}
