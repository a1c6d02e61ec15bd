// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Softmax in gemmlowp's fixed-point arithmetic.

use crate::multiplier::{Multiplier, divide_by_power_of_two, high_product, saturating_shift};
use crate::rows::{rows, rows_mut};

/// Bits left of the binary point of the exponential's argument.
const DIFFERENCE_INTEGER_BITS: u32 = 5;
/// Bits left of the binary point of the sum of exponentials.
const SUM_INTEGER_BITS: u32 = 12;

/// The rescaling of differences of inputs of scale `scale`, and the difference below which an
/// exponential counts as zero.
///
/// Scales above 15 act like 15: already one step is a factor of less than 1e-6 then.
pub fn softmax_params(scale: f32) -> Option<(Multiplier, i32)> {
    let fraction_bits = 31 - DIFFERENCE_INTEGER_BITS;
    let real = f64::from(scale.min(15.0)) * f64::from(1_u32 << fraction_bits);
    let multiplier = Multiplier::from_real(real).filter(|m| m.exponent >= 0)?;
    Some((multiplier, -input_radius(DIFFERENCE_INTEGER_BITS, multiplier)))
}

/// The magnitude from which on inputs, rescaled by `multiplier` to numbers of so many integer bits, leave
/// these; the exponent is not negative.
pub(super) fn input_radius(integer_bits: u32, multiplier: Multiplier) -> i32 {
    let largest = f64::from((1_u32 << integer_bits) - 1) * f64::from(1_u32 << (31 - integer_bits))
        / f64::from(1_u32 << multiplier.exponent);
    // Truncation is the floor of a positive number; past 255 no 8-bit difference reaches it.
    largest.min(f64::from(i32::MAX)) as i32
}

/// Softmax of each row of `depth` elements; output scale 1/256, zero point -128.
pub fn softmax(
    depth: usize,
    input_multiplier: Multiplier,
    diff_min: i32,
    input: &[i8],
    output: &mut [i8],
) {
    for (input, output) in rows(input, depth).zip(rows_mut(output, depth)) {
        let max = input.iter().copied().max().unwrap_or(0);
        let exponential = |x: i8| {
            let difference = i32::from(x) - i32::from(max);
            (difference >= diff_min).then(|| {
                exp_of_negative::<DIFFERENCE_INTEGER_BITS>(input_multiplier.apply(difference))
            })
        };
        let mut sum = 0_i32;
        for exp in input.iter().filter_map(|&x| exponential(x)) {
            sum = sum.wrapping_add(divide_by_power_of_two(exp, SUM_INTEGER_BITS));
        }
        // sum = (1 + fraction) * 2^(bits over the unit)
        let headroom = (sum as u32).leading_zeros();
        let bits_over_unit = SUM_INTEGER_BITS as i32 - headroom as i32;
        let fraction = (((sum as u32) << headroom).wrapping_sub(1 << 31)) as i32;
        let scale = reciprocal_of_one_plus(fraction);
        let shift = (bits_over_unit + 31 - 8) as u32;
        for (output, &x) in output.iter_mut().zip(input) {
            // Past a shift of 31 every share is below half a step.
            let share = match exponential(x) {
                Some(exp) if shift < 32 => divide_by_power_of_two(high_product(scale, exp), shift),
                _ => 0,
            };
            *output = (share - 128).clamp(-128, 127) as i8;
        }
    }
}

/// `exp(x)` in Q0.31, for `x <= 0` with so many integer bits, at most 5.
pub(super) fn exp_of_negative<const INTEGER_BITS: u32>(x: i32) -> i32 {
    /// `exp(-2^i)` in Q0.31 for `i` of -2..=4.
    const POWERS: [i32; 7] =
        [1_672_461_947, 1_302_514_674, 790_015_084, 290_630_308, 39_332_535, 720_401, 242];
    let quarter = 1 << (29 - INTEGER_BITS);
    if x == 0 {
        return i32::MAX;
    }
    // x = within - remainder, where within lies in [-1/4, 0) and remainder is a multiple of 1/4.
    let within = (x & (quarter - 1)) - quarter;
    let remainder = within.wrapping_sub(x);
    let mut result = exp_of_quarter(within << INTEGER_BITS);
    for (i, power) in POWERS.into_iter().take(INTEGER_BITS as usize + 2).enumerate() {
        if remainder & (quarter << i) != 0 {
            result = high_product(result, power);
        }
    }
    result
}

/// `exp(x)` in Q0.31, for `x` in Q0.31 between -1/4 and 0: Taylor's series about -1/8.
fn exp_of_quarter(x: i32) -> i32 {
    const EXP_OF_MINUS_EIGHTH: i32 = 1_895_147_668;
    const THIRD: i32 = 715_827_883;
    let y = x + (1 << 28);
    let y2 = high_product(y, y);
    let y3 = high_product(y2, y);
    let y4 = high_product(y2, y2);
    let higher = high_product(divide_by_power_of_two(y4, 2) + y3, THIRD) + y2;
    let series = y + divide_by_power_of_two(higher, 1);
    EXP_OF_MINUS_EIGHTH + high_product(EXP_OF_MINUS_EIGHTH, series)
}

/// `1 / (1 + x)` in Q0.31, for `x` in Q0.31 between 0 and 1.
pub(super) fn reciprocal_of_one_plus(x: i32) -> i32 {
    saturating_shift(twice_reciprocal_of_one_plus(x), 1)
}

/// `(1 - x) / (1 + x)` in Q0.31, for `x` in Q0.31 between 0 and 1.
pub(super) fn one_minus_over_one_plus(x: i32) -> i32 {
    saturating_shift(twice_reciprocal_of_one_plus(x).wrapping_sub(1 << 29), 2)
}

/// `2 / (1 + x)` in Q2.29, for `x` in Q0.31 between 0 and 1: three steps of Newton's method.
fn twice_reciprocal_of_one_plus(x: i32) -> i32 {
    const C48_OVER_17: i32 = 1_515_870_810;
    const C_MINUS_32_OVER_17: i32 = -1_010_580_540;
    let half_denominator = ((i64::from(x) + i64::from(i32::MAX) + 1) / 2) as i32;
    let mut y = C48_OVER_17 + high_product(half_denominator, C_MINUS_32_OVER_17);
    for _ in 0..3 {
        let error = (1 << 29) - high_product(half_denominator, y);
        y = y.wrapping_add(saturating_shift(high_product(y, error), 2));
    }
    y
}
