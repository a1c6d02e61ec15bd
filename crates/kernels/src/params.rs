// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Parameters of the integer operations that are not shapes or weights, and how they are derived
//! from scales.

#[cfg(feature = "serde")]
use serde::{Deserialize, Serialize};

use crate::grid::Grid;
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

/// Multipliers of a rectifier with slopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
pub struct PreluParams {
    /// `scale_input / scale_output`, for inputs of at least 0.
    pub positive: Multiplier,
    /// `scale_input * scale_slope / scale_output`, for negative inputs.
    pub negative: Multiplier,
}

impl PreluParams {
    /// Derives the multipliers from f32 scales as TensorFlow Lite does; `None` if a ratio of the
    /// scales cannot be represented.
    pub fn new(input: f32, slope: f32, output: f32) -> Option<Self> {
        Some(Self {
            positive: Multiplier::from_real(f64::from(input) / f64::from(output))?,
            negative: Multiplier::of_scales(input, slope, output)?,
        })
    }
}

/// Where two values of three axes meet: element `(i, j, k)` of the output is made of element
/// `i * a[0] + j * a[1] + k * a[2]` of the first, and likewise of the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strides {
    /// The extents of the output.
    pub extents: [usize; 3],
    /// The steps of the first input; 0 where it repeats.
    pub a: [usize; 3],
    /// The steps of the second input; 0 where it repeats.
    pub b: [usize; 3],
}

impl Strides {
    /// Of inputs of these extents, which are equal or 1 on each axis.
    pub const fn of_shapes(a: [usize; 3], b: [usize; 3]) -> Self {
        let mut extents = a;
        let mut axis = 0;
        while axis < 3 {
            if b[axis] > extents[axis] {
                extents[axis] = b[axis];
            }
            axis += 1;
        }
        Self { extents, a: steps(a), b: steps(b) }
    }
}

/// The steps of an input of `shape`: 0 along axes of one element, which repeats.
const fn steps(shape: [usize; 3]) -> [usize; 3] {
    let full = [shape[1].saturating_mul(shape[2]), shape[2], 1];
    let mut steps = [0; 3];
    let mut axis = 0;
    while axis < 3 {
        if shape[axis] != 1 {
            steps[axis] = full[axis];
        }
        axis += 1;
    }
    steps
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

/// What a gate of a recurrent layer computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
pub enum GateFunction {
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
}

/// A gate of 16 bits in and out; see [`gate16`](crate::reference::gate16).
///
/// An input `x` is moved to steps of `2^-12 / 3`: `(x * multiplier + 2^(shift - 1)) >> shift`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
pub struct GateParams {
    /// What the gate computes.
    pub function: GateFunction,
    /// What inputs are multiplied with, from 1 to [`MAX_MULTIPLIER`](Self::MAX_MULTIPLIER).
    pub multiplier: i32,
    /// The right shift of the product, at most [`MAX_SHIFT`](Self::MAX_SHIFT).
    pub shift: u32,
}

impl GateParams {
    /// The scale of the output, whose zero point is 0: Q0.15.
    pub const OUTPUT_SCALE: f32 = 1.0 / 32768.0;
    /// The scale of inputs that are multiplied by 3 and not shifted: Q3.12.
    pub const INPUT_SCALE: f32 = 1.0 / 4096.0;
    /// The largest multiplier: its product with -2^15, and half of the largest shift more, have 32 bits.
    pub const MAX_MULTIPLIER: i32 = 3 << 14;
    /// The largest shift.
    pub const MAX_SHIFT: u32 = 18;
    /// No output has a larger magnitude.
    pub const MAX_OUTPUT: i32 = 32767;

    /// The gate from one grid to another, as TensorFlow Lite Micro's LSTM derives it; `None` if there is none.
    ///
    /// There is one for input scales that are powers of two, from `2^-30` to `2^2`, and the output scale
    /// [`OUTPUT_SCALE`](Self::OUTPUT_SCALE), both with a zero point of 0, and an output of 16 bits. With the
    /// input scale `2^(n - 12)`, the multiplier is `3 * 2^n`, or 3 and the shift `-n` if `n` is negative.
    pub fn new(function: GateFunction, input: Grid, output: Grid) -> Option<Self> {
        let most = Self::MAX_OUTPUT;
        let fits = (input.zero_point, output.zero_point) == (0, 0)
            && output.scale == Self::OUTPUT_SCALE
            && output.min <= -most
            && output.max == most;
        let steps = input.scale / Self::INPUT_SCALE;
        let bits = steps.to_bits();
        // A power of two has neither a sign nor a fraction.
        if !fits || bits & ((1 << 23) - 1) != 0 || bits >> 31 != 0 {
            return None;
        }
        match (bits >> 23) as i32 - 127 {
            left @ 0..=14 => Some(Self { function, multiplier: 3 << left, shift: 0 }),
            right @ -18..0 => Some(Self { function, multiplier: 3, shift: right.unsigned_abs() }),
            _ => None,
        }
    }

    /// The gate of the operators `LOGISTIC` and `TANH` on inputs of scale `input`; `None` if the scale lies so close to
    /// `2^-12`, or to `2^-11` of a tangent, that platforms differ in taking it for that, or is out of bounds.
    pub fn of_operator(function: GateFunction, input: f32) -> Option<Self> {
        let powers: &[u32] = match function {
            GateFunction::Sigmoid => &[0],
            GateFunction::Tanh => &[0, 1],
        };
        for &left in powers {
            // Within a thousandth in the logarithm counts as equal.
            let distance = (input / Self::INPUT_SCALE / (1 << left) as f32 - 1.0).abs();
            if distance < 0.000_68 {
                return Some(Self { function, multiplier: 3 << left, shift: 0 });
            }
            if distance < 0.000_71 {
                return None;
            }
        }
        let mut multiplier = f64::from(input) * 4096.0 * 3.0;
        let mut shift = 0;
        while multiplier <= 32767.0 / 2.0 && shift <= 30 {
            shift += 1;
            multiplier *= 2.0;
        }
        let own = Self { function, multiplier: multiplier as i32, shift };
        own.is_valid().then_some(own)
    }

    /// Whether multiplier and shift keep products in 32 bits.
    pub const fn is_valid(self) -> bool {
        1 <= self.multiplier
            && self.multiplier <= Self::MAX_MULTIPLIER
            && self.shift <= Self::MAX_SHIFT
    }
}

/// What a reduction makes of its elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
pub enum Reduction {
    /// The largest.
    Max,
    /// The smallest.
    Min,
    /// The sum; a mean, with the count in the multiplier.
    Sum,
    /// The sum of their magnitudes.
    SumOfMagnitudes,
    /// The sum of their squares.
    SumOfSquares,
    /// The root of the sum of their squares.
    RootOfSquares,
}

/// Which elements of a row [`top_k`](crate::reference::top_k) looks for, and what it says of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
pub struct Selection {
    /// The smallest elements instead of the largest.
    pub smallest: bool,
    /// Of equal elements those behind instead of those in front.
    pub last: bool,
    /// The places of elements instead of their values.
    pub indices: bool,
}

/// How elements are normalized; see [`normalize`](crate::reference::normalize).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
pub struct NormalizeParams {
    /// Whether the mean is subtracted.
    pub center: bool,
    /// Fraction bits that the variation gets before `epsilon` is added; an even number.
    pub fraction: u32,
    /// What is added to the variation.
    pub epsilon: u64,
    /// Rescales the quotient of deviation and root.
    pub multiplier: Multiplier,
}

impl NormalizeParams {
    /// Bits that a variation and its epsilon may have together.
    pub const VARIATION_BITS: u32 = 62;
    /// The largest number of fraction bits.
    pub const MAX_FRACTION: u32 = 16;

    /// Fraction bits of variations of groups of `elements` elements of magnitudes up to `magnitude`.
    pub fn fraction_bits(elements: usize, magnitude: u32, center: bool) -> u32 {
        let bits = |x: u64| u64::BITS - x.leading_zeros();
        let magnitude = 2 * bits(u64::from(magnitude));
        let elements = bits(elements as u64) * if center { 2 } else { 1 };
        let free = (Self::VARIATION_BITS - 1).saturating_sub(magnitude + elements);
        free.min(Self::MAX_FRACTION) & !1
    }

    /// The parameters for groups of `elements` elements of magnitudes up to `magnitude` on a grid of
    /// scale `input`, and outputs in steps of `step`.
    ///
    /// `epsilon` is what real squares get, in the mean, and `factor` what the quotient of deviation and
    /// root is multiplied with: the root of the number of elements for a root mean square, else 1.
    /// `None` if the numbers leave the integers that hold them.
    pub fn new(
        elements: usize,
        magnitude: u32,
        input: f32,
        epsilon: f64,
        center: bool,
        factor: f64,
        step: f64,
    ) -> Option<Self> {
        let rescaled =
            |fraction: u32| Multiplier::from_real(factor * (1_u64 << (fraction / 2)) as f64 / step);
        let mut fraction = match epsilon > 0.0 {
            true => Self::fraction_bits(elements, magnitude, center),
            // As TensorFlow Lite has it.
            false => 0,
        };
        // The multiplier takes back half of the fraction bits.
        while fraction > 0 && rescaled(fraction).is_none() {
            fraction -= 2;
        }
        let unit = f64::from(input) * f64::from(input);
        let count = elements as f64;
        let weight = if center { count * count } else { count };
        let largest = (1_u64 << (Self::VARIATION_BITS - 1)) as f64;
        while fraction > 0 && epsilon / unit * weight * (1_u64 << fraction) as f64 >= largest {
            fraction -= 2;
        }
        let exact = epsilon / unit * weight * (1_u64 << fraction) as f64;
        let normalized = |multiplier: &Multiplier| multiplier.quantized >= 1 << 30;
        if exact < largest {
            let multiplier = rescaled(fraction).filter(normalized)?;
            // Something is added where something is asked for: a group of equal elements would
            // differ without it.
            let epsilon = if epsilon > 0.0 { ((exact + 0.5) as u64).max(1) } else { 0 };
            return Some(Self { center, fraction, epsilon, multiplier });
        }
        // Nothing matters beside such an epsilon, which is as large as it may be, and the multiplier
        // the less: by the root of their ratio, from Newton's method.
        let variation = weight * f64::from(magnitude) * f64::from(magnitude);
        if variation > largest / 4096.0 {
            return None;
        }
        let mut root = 1.0;
        for _ in 0..128 {
            root = 0.5 * (root + largest / exact / root);
        }
        let multiplier = Multiplier::from_real(factor * root / step).filter(normalized)?;
        Some(Self { center, fraction: 0, epsilon: largest as u64, multiplier })
    }
}

/// The integer of a scale of normalized elements, in steps of `step`.
pub fn normalization_scale(scale: f32, step: f32) -> i16 {
    let rounded = crate::grid::round_half_away(scale / step);
    rounded.max(-i32::from(i16::MAX)).min(i32::from(i16::MAX)) as i16
}

/// The integer of a shift of normalized elements, in 1/256 of the output's step; `None` if it leaves
/// 32 bits by far.
pub fn normalization_shift(shift: f32, output: f32) -> Option<i32> {
    let steps = shift / output * 256.0;
    (steps.abs() < (1_u32 << 30) as f32).then(|| crate::grid::round_half_away(steps))
}
