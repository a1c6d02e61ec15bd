// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Normalization of groups of elements by their mean and variance, or by their root mean square.
//!
//! With `d = x - zero_point`, sums over the `n` elements of a group are exact integers:
//! - centered (layer, instance and group normalization), `N = n d - sum d` and
//!   `V = n sum d^2 - (sum d)^2`, so that `(d - mean) / deviation = N / sqrt(V)`;
//! - otherwise (root mean square and L2 normalization), `N = d` and `V = sum d^2`.
//!
//! The output is `N / sqrt(W) * multiplier` with `W = V * 2^fraction + epsilon`. The root comes from
//! [`inverse_root`], which errs by less than 2^-19 of it; its product with the multiplier keeps 27
//! bits, and is applied with a single rounding, half up. Without scales and shifts the result is the
//! output. With them it is an intermediate of 27 bits or fewer, times a 16-bit scale, plus a shift in
//! 1/256 of a step, and rounded half up: within a step of the rounded real result.
//!
//! TensorFlow Lite Micro's `L2_NORMALIZATION`, which is not centered, has no epsilon and a power of two
//! as its multiplier, rounds twice: so does an operation of that kind.

use super::Storage;
use crate::geometry::NormalizeGeometry;
use crate::multiplier::{Multiplier, divide_by_power_of_two, high_product, saturating_shift};
use crate::params::{Clamp, NormalizeParams};

/// Fraction bits of shifts.
pub const SHIFT_BITS: u32 = 8;

/// Scales and shifts of normalized elements.
#[derive(Clone, Copy, Debug)]
pub struct ScalesAndShifts<'a> {
    /// What results are multiplied with.
    pub scales: &'a [i16],
    /// What is added then, in 1/256 of a step of the output.
    pub shifts: &'a [i32],
    /// Fraction bits of products of results and scales; at least 8.
    pub fraction: u32,
}

/// Normalizes every group.
///
/// `zero_points` are those of the input and the output.
pub fn normalize<S: Storage>(
    geometry: &NormalizeGeometry,
    params: &NormalizeParams,
    affine: Option<ScalesAndShifts>,
    zero_points: [i32; 2],
    clamp: Clamp,
    input: &[S],
    output: &mut [S],
) {
    let g = geometry;
    let place = NormalizeGeometry::place;
    let difference = |at: usize| input.get(at).map_or(0, |x| x.integer() - zero_points[0]);
    let n = g.elements() as i64;
    let twice = !params.center && params.epsilon == 0 && params.multiplier.quantized == 1 << 30;
    for group in 0..g.groups {
        let (mut sum, mut squares) = (0_i64, 0_i64);
        for i in 0..g.outer {
            for j in 0..g.inner {
                let d = difference(place(g.steps, group, i, j));
                sum = sum.wrapping_add(i64::from(d));
                squares = squares.wrapping_add(i64::from(d) * i64::from(d));
            }
        }
        let variation = match params.center {
            true => n.wrapping_mul(squares).wrapping_sub(sum.wrapping_mul(sum)),
            false => squares,
        };
        let widened = (variation as u64) << (params.fraction & 63);
        let factor = inverse_root(widened.wrapping_add(params.epsilon)).times(params.multiplier);
        for i in 0..g.outer {
            for j in 0..g.inner {
                let at = place(g.steps, group, i, j);
                let d = difference(at);
                let deviation = match params.center {
                    true => n.wrapping_mul(i64::from(d)).wrapping_sub(sum) as i32,
                    false => d,
                };
                let result = rescaled(factor, deviation, twice);
                let rounded = match affine {
                    None => result,
                    Some(affine) => {
                        let own = place(g.parameters, group, i, j);
                        let scale = affine.scales.get(own).map_or(0, |&s| i64::from(s));
                        let shift = affine.shifts.get(own).map_or(0, |&s| i64::from(s));
                        let fraction = affine.fraction & 31;
                        let moved = shift << fraction.wrapping_sub(SHIFT_BITS);
                        let half = (1_i64 << fraction) >> 1;
                        (result * scale + moved + half) >> fraction
                    }
                };
                let moved = rounded + i64::from(zero_points[1]);
                let clamped = moved.max(i64::from(clamp.min)).min(i64::from(clamp.max));
                if let Some(output) = output.get_mut(at) {
                    *output = S::from_integer(clamped as i32);
                }
            }
        }
    }
}

/// `x` times `factor`, rounded once, half up, or twice as TensorFlow Lite does.
#[inline(always)]
fn rescaled(factor: Multiplier, x: i32, twice: bool) -> i64 {
    if twice {
        return i64::from(factor.apply(x));
    }
    let shift = (31 - factor.exponent) as u32 & 63;
    (i64::from(x) * i64::from(factor.quantized) + ((1_i64 << shift) >> 1)) >> shift
}

/// `1 / sqrt(x)`, as TensorFlow Lite computes it: five steps of Newton's method from 1, for `x` scaled
/// into 1/4..1. It errs by less than 2^-19 of the result. For 0 it is that of 1.
///
/// The multiplier is not normalized: its quantized value has 28 to 31 bits.
pub fn inverse_root(x: u64) -> Multiplier {
    const HALF_OF_ROOT_OF_2: i32 = 1_518_500_250;
    const ONE_AND_A_HALF: i32 = (1 << 28) + (1 << 27);
    if x <= 1 {
        return Multiplier { quantized: i32::MAX, exponent: 0 };
    }
    let mut shift = 11_i32;
    let mut x = x;
    while x >= 1 << 29 {
        x >>= 2;
        shift += 1;
    }
    let x = x as u32;
    let pairs = ((x.leading_zeros() - 1) / 2) - 1;
    shift -= pairs as i32;
    let half_input = ((x << (2 * pairs)) >> 1) as i32;
    let half_input = divide_by_power_of_two(half_input, 1);
    // Numbers with 28 fraction bits.
    let mut y = 1_i32 << 28;
    for _ in 0..5 {
        let cube = saturating_shift(high_product(high_product(y, y), y), 6);
        let next = high_product(ONE_AND_A_HALF, y).wrapping_sub(high_product(half_input, cube));
        y = saturating_shift(next, 3);
    }
    let quantized = high_product(y, HALF_OF_ROOT_OF_2);
    match u32::try_from(-shift) {
        Ok(left) => Multiplier { quantized: quantized.wrapping_shl(left), exponent: 0 },
        Err(_) => Multiplier { quantized, exponent: -shift },
    }
}
