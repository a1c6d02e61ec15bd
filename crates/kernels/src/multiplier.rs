// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Fixed-point multipliers: derivation from scales, and requantization of accumulators.

#[cfg(feature = "serde")]
use serde::{Deserialize, Serialize};

/// A positive real factor as `quantized * 2^(exponent - 31)`.
///
/// `quantized` lies in `[2^30, 2^31)`, below `2^30` only with an exponent of 0 (see
/// [`rounding_once`](Self::rounding_once)), and both fields are 0 for a factor too small to
/// represent. This is the pair `(multiplier, shift)` of TensorFlow Lite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
pub struct Multiplier {
    /// The significand as a Q0.31 number.
    pub quantized: i32,
    /// The power of two; positive shifts left.
    pub exponent: i32,
}

/// Exponents above this cannot be applied to a 32-bit accumulator without losing all its bits.
pub const MAX_EXPONENT: i32 = 30;

impl Multiplier {
    /// The factor 0.
    pub const ZERO: Self = Self { quantized: 0, exponent: 0 };

    /// Represents the finite, non-negative `real` factor, rounding the significand half away from zero.
    ///
    /// Returns `None` if `real` is negative, not finite, or so large that its exponent exceeds
    /// [`MAX_EXPONENT`].
    pub fn from_real(real: f64) -> Option<Self> {
        if !real.is_finite() || real < 0.0 {
            return None;
        }
        let bits = real.to_bits();
        let biased = (bits >> 52) as i32;
        // Zero and subnormals are far below the smallest representable factor.
        if biased == 0 {
            return Some(Self { quantized: 0, exponent: 0 });
        }
        // frexp: real = significand * 2^exponent with significand in [0.5, 1).
        let mut exponent = biased - 1022;
        let significand = (bits & ((1 << 52) - 1)) | (1 << 52);
        // round(significand * 2^31), where `significand` carries 53 bits.
        let mut quantized = ((significand + (1 << 21)) >> 22) as i64;
        if quantized == 1 << 31 {
            quantized /= 2;
            exponent += 1;
        }
        if exponent < -31 {
            return Some(Self { quantized: 0, exponent: 0 });
        }
        if exponent > MAX_EXPONENT {
            return None;
        }
        Some(Self { quantized: quantized as i32, exponent })
    }

    /// The multiplier of a convolution, depthwise convolution or fully connected layer, per channel or
    /// per tensor: `input * weight / output`, computed in f64 from f32 scales as TensorFlow Lite does. Also that of
    /// all sums and products of TensorFlow Lite Micro's LSTM.
    pub fn of_scales(input: f32, weight: f32, output: f32) -> Option<Self> {
        Self::from_real(f64::from(input) * f64::from(weight) / f64::from(output))
    }

    /// The multiplier of a product of two activations, computed as TensorFlow Lite does: their scales
    /// are multiplied in f32.
    pub fn of_product(a: f32, b: f32, output: f32) -> Option<Self> {
        Self::from_real(f64::from(a * b) / f64::from(output))
    }

    /// The same factor divided by `count`, as TensorFlow Lite draws the count of a mean into its
    /// rescaling.
    pub fn divided_by(self, count: u32) -> Self {
        if count == 0 {
            return Self::ZERO;
        }
        let bits = 31 - count.leading_zeros() as i32;
        let shift = bits.min(31 + self.exponent).max(0);
        let quantized = (i64::from(self.quantized) << shift) / i64::from(count);
        Self { quantized: quantized as i32, exponent: self.exponent - shift }
    }

    /// The product of two factors, with as many bits as `self` has or one more; `other` is normalized.
    #[inline(always)]
    pub fn times(self, other: Self) -> Self {
        let product = (i64::from(self.quantized) * i64::from(other.quantized) + (1 << 29)) >> 30;
        let exponent = self.exponent + other.exponent - 1;
        let (quantized, exponent) = match i32::try_from(product) {
            Ok(quantized) => (quantized, exponent),
            Err(_) => (((product + 1) >> 1) as i32, exponent + 1),
        };
        if exponent < -31 {
            return Self::ZERO;
        }
        Self { quantized, exponent: if exponent > MAX_EXPONENT { MAX_EXPONENT } else { exponent } }
    }

    /// The same factor with the right shift drawn into the significand, so that
    /// [`apply`](Self::apply) rounds once instead of twice.
    ///
    /// At 8 bits the second rounding hardly matters, and TensorFlow Lite has it; where few bits make
    /// small shifts it would move every sixteenth output by a step. The significand keeps at least
    /// 19 bits; factors with larger shifts stay as they are.
    pub const fn rounding_once(self) -> Self {
        const LARGEST_SHIFT: i32 = 12;
        if self.exponent >= 0 || self.exponent < -LARGEST_SHIFT {
            return self;
        }
        let shift = (-self.exponent) as u32;
        let rounded = (self.quantized as i64 + (1_i64 << (shift - 1))) >> shift;
        Self { quantized: rounded as i32, exponent: 0 }
    }

    /// Multiplies a 32-bit accumulator with double rounding.
    ///
    /// The first rounding is half up at bit 31 of the 64-bit product, the second half away from
    /// zero at the right shift. Wraps where TensorFlow Lite's arithmetic would.
    #[inline(always)]
    pub fn apply(self, x: i32) -> i32 {
        let left = if self.exponent > 0 { self.exponent as u32 } else { 0 };
        let right = if self.exponent < 0 { (-self.exponent) as u32 } else { 0 };
        let product = i64::from(x.wrapping_shl(left)) * i64::from(self.quantized);
        let high = ((product + (1 << 30)) >> 31) as i32;
        divide_by_power_of_two(high, right)
    }

    /// Multiplies a 64-bit accumulator with single rounding, the rule for 16-bit activations.
    #[inline(always)]
    pub fn apply_wide(self, x: i64) -> i32 {
        let reduced = if self.quantized < 0x7FFF_0000 {
            i64::from((self.quantized + (1 << 15)) >> 16)
        } else {
            0x7FFF
        };
        let shift = 15 - self.exponent;
        let rounding = 1_i64 << (shift - 1);
        (x.wrapping_mul(reduced).wrapping_add(rounding) >> shift) as i32
    }
}

/// `a * b / 2^31`, rounded half up.
#[inline(always)]
pub fn high_product(a: i32, b: i32) -> i32 {
    ((i64::from(a) * i64::from(b) + (1 << 30)) >> 31) as i32
}

/// `x * 2^exponent`, saturated.
pub(crate) fn saturating_shift(x: i32, exponent: u32) -> i32 {
    (i64::from(x) << exponent).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

/// Divides by `2^exponent`, rounding half away from zero. `exponent` lies in `0..=31`.
#[inline(always)]
pub fn divide_by_power_of_two(x: i32, exponent: u32) -> i32 {
    let mask = ((1_i64 << exponent) - 1) as i32;
    let remainder = x & mask;
    let threshold = (mask >> 1) + i32::from(x < 0);
    (x >> exponent) + i32::from(remainder > threshold)
}
