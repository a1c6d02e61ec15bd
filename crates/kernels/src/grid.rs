// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Quantization grids: from real values to integers and back.

#[cfg(feature = "serde")]
use serde::{Deserialize, Serialize};

/// The affine grid of an activation: `real = (integer - zero_point) * scale`, with
/// `min <= integer <= max`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
pub struct Grid {
    /// The distance between two neighbouring representable values; positive and finite.
    pub scale: f32,
    /// The integer that stands for 0.0, within `min..=max`.
    pub zero_point: i32,
    /// The smallest integer.
    pub min: i32,
    /// The largest integer.
    pub max: i32,
}

impl Grid {
    /// Quantizes `x`: divides by the scale, rounds half away from zero, adds the zero point and
    /// saturates. NaN becomes the zero point.
    #[inline(always)]
    pub fn quantize(self, x: f32) -> i32 {
        let rounded = round_half_away(x / self.scale);
        rounded.saturating_add(self.zero_point).clamp(self.min, self.max)
    }

    /// The real value of an integer of this grid.
    #[inline(always)]
    pub fn dequantize(self, q: i32) -> f32 {
        (q - self.zero_point) as f32 * self.scale
    }

    /// `dequantize(quantize(x))`.
    #[inline(always)]
    pub fn fake_quantize(self, x: f32) -> f32 {
        self.dequantize(self.quantize(x))
    }
}

/// Rounds to the nearest integer, ties away from zero, saturating to `i32`; NaN becomes 0.
#[inline(always)]
pub fn round_half_away(x: f32) -> i32 {
    let truncated = x as i32;
    // Exact: below 2^23 both are multiples of the unit in the last place of x; above it x is an
    // integer already, and a saturated value is past every grid.
    let fraction = x - truncated as f32;
    if fraction >= 0.5 {
        truncated.saturating_add(1)
    } else if fraction <= -0.5 {
        truncated.saturating_sub(1)
    } else {
        truncated
    }
}

/// The smallest and largest integer of a signed grid of `bits`: `-2^(bits-1) ..= 2^(bits-1) - 1`,
/// or without the lowest value if `narrow`.
pub const fn signed_range(bits: u8, narrow: bool) -> (i32, i32) {
    let half = 1_i32 << (bits - 1);
    (-half + narrow as i32, half - 1)
}

/// The smallest and largest weight of `bits` bits: -127..=127 for 8 bits, as TensorFlow Lite
/// demands, and the full signed range below.
pub const fn weight_range(bits: u8) -> (i32, i32) {
    signed_range(bits, bits == 8)
}
