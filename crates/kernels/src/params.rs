// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Parameters of the integer operations that are not shapes or weights, and how they are derived
//! from scales.

#[cfg(feature = "serde")]
use serde::{Deserialize, Serialize};

use crate::multiplier::Multiplier;

/// Bounds of an output: the grid's own, tightened by a fused ReLU or clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
pub struct Clamp {
    /// Smallest output.
    pub min: i32,
    /// Largest output.
    pub max: i32,
}

impl Clamp {
    /// Clamps `x`; without the panic of [`Ord::clamp`], since the bounds are in order.
    #[inline(always)]
    pub fn apply(self, x: i32) -> i32 {
        x.max(self.min).min(self.max)
    }
}

/// What turns the accumulators of a weighted operation into outputs.
#[derive(Clone, Copy, Debug)]
pub struct Requantize<'a> {
    /// Zero point of the input (0 for 16-bit activations).
    pub input_zero_point: i32,
    /// Zero point of the output (0 for 16-bit activations).
    pub output_zero_point: i32,
    /// One bias an output channel, at scale `input * weight`.
    pub bias: &'a [i32],
    /// One multiplier an output channel, or a single one for all.
    pub multipliers: &'a [Multiplier],
    /// Bounds of the output.
    pub clamp: Clamp,
}

impl Requantize<'_> {
    /// The multiplier of output channel `channel`.
    #[inline(always)]
    pub fn multiplier(&self, channel: usize) -> Multiplier {
        let index = if self.multipliers.len() == 1 { 0 } else { channel };
        self.multipliers.get(index).copied().unwrap_or(Multiplier::ZERO)
    }
}

/// Multipliers of an element-wise addition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
pub struct AddParams {
    /// Left shift of both inputs before they are rescaled: 20 for 8-bit, 15 for 16-bit activations.
    pub left_shift: u32,
    /// Rescales the first input to twice the larger input scale.
    pub a: Multiplier,
    /// Rescales the second input to twice the larger input scale.
    pub b: Multiplier,
    /// Rescales the sum to the output.
    pub output: Multiplier,
}

impl AddParams {
    /// Derives the multipliers from f32 scales as TensorFlow Lite does; `wide` for 16-bit
    /// activations. `None` if a ratio of the scales cannot be represented.
    pub fn new(a: f32, b: f32, output: f32, wide: bool) -> Option<Self> {
        let left_shift = if wide { 15 } else { 20 };
        // The larger scale is picked in f32 and doubled in f64, as TFLM's CalculateOpDataAdd does.
        let twice_larger = 2.0 * f64::from(if a > b { a } else { b });
        let output_ratio = twice_larger / (f64::from(1_u32 << left_shift) * f64::from(output));
        Some(Self {
            left_shift,
            a: Multiplier::from_real(f64::from(a) / twice_larger)?,
            b: Multiplier::from_real(f64::from(b) / twice_larger)?,
            output: Multiplier::from_real(output_ratio)?,
        })
    }
}
