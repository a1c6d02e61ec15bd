// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Tables of 8-bit activation functions, as TensorFlow Lite Micro computes the functions.
//!
//! Each holds the output for each input from -128 to 127; `None` where a multiplier cannot be represented.

use super::softmax::{
    exp_of_negative, input_radius, one_minus_over_one_plus, reciprocal_of_one_plus,
};
use crate::grid::{Grid, round_half_away};
use crate::multiplier::{Multiplier, divide_by_power_of_two, saturating_shift};

/// Integer bits of what sigmoid and tangent take.
const INTEGER_BITS: u32 = 4;

/// The output of `f` for each integer less the zero point of `input`.
fn table(input: Grid, f: impl Fn(i32) -> i32) -> [i8; 256] {
    core::array::from_fn(|i| f(i as i32 - 128 - input.zero_point).clamp(-128, 127) as i8)
}

/// What takes integers of a grid to Q4.27, and the magnitude from which on it saturates.
fn arguments(input: Grid) -> Option<(Multiplier, i32)> {
    let real = f64::from(input.scale) * f64::from(1_u32 << (31 - INTEGER_BITS));
    let multiplier = Multiplier::from_real(real).filter(|multiplier| multiplier.exponent >= 0)?;
    Some((multiplier, input_radius(INTEGER_BITS, multiplier)))
}

/// The sigmoid `1 / (1 + exp(-x))`; output scale 1/256, zero point -128.
pub fn sigmoid_table8(input: Grid) -> Option<[i8; 256]> {
    let (multiplier, radius) = arguments(input)?;
    Some(table(input, |x| {
        if x <= -radius {
            return -128;
        }
        if x >= radius {
            return 127;
        }
        let x = multiplier.apply(x);
        let positive = reciprocal_of_one_plus(exp_of_negative::<INTEGER_BITS>(-x.abs()));
        let sigmoid = match x {
            0 => 1 << 30,
            1.. => positive,
            _ => i32::MAX - positive,
        };
        divide_by_power_of_two(sigmoid, 23) - 128
    }))
}

/// The hyperbolic tangent; output scale 1/128, zero point 0.
pub fn tanh_table8(input: Grid) -> Option<[i8; 256]> {
    let (multiplier, radius) = arguments(input)?;
    Some(table(input, |x| {
        if x <= -radius {
            return -128;
        }
        if x >= radius {
            return 127;
        }
        let x = multiplier.apply(x);
        // The same bits with an integer bit more are twice the number.
        let exponential = exp_of_negative::<{ INTEGER_BITS + 1 }>(-x.abs());
        let magnitude = one_minus_over_one_plus(exponential);
        let tanh = match x {
            0 => 0,
            1.. => magnitude,
            _ => -magnitude,
        };
        divide_by_power_of_two(tanh, 24)
    }))
}

/// `x` where it is not negative, otherwise `slope * x`.
pub fn leaky_relu_table8(input: Grid, slope: f32, output: Grid) -> Option<[i8; 256]> {
    // The quotients are those of 32-bit floats.
    let negative = Multiplier::from_real(f64::from(input.scale * slope / output.scale))?;
    let positive = Multiplier::from_real(f64::from(input.scale / output.scale))?;
    Some(table(input, |x| {
        let multiplier = if x >= 0 { positive } else { negative };
        multiplier.apply(x).saturating_add(output.zero_point)
    }))
}

/// The magnitude of `x`.
pub fn abs_table8(input: Grid, output: Grid) -> Option<[i8; 256]> {
    let moved = match input.scale == output.scale {
        true => None,
        false => Some(Multiplier::from_real(f64::from(input.scale / output.scale))?),
    };
    Some(table(input, |x| {
        let magnitude = moved.map_or(x.abs(), |multiplier| multiplier.apply(x.abs()));
        magnitude.saturating_add(output.zero_point)
    }))
}

/// Any function of floats, whose results are multiplied with the reciprocal of the output's scale.
pub fn function_table8(f: impl Fn(f32) -> f32, input: Grid, output: Grid) -> [i8; 256] {
    let inverse = 1.0 / output.scale;
    let rounded = |x: i32| round_half_away(f(input.scale * x as f32) * inverse);
    table(input, |x| rounded(x).saturating_add(output.zero_point))
}

/// `x * relu6(x + 3) / 6` in 16-bit numbers; `None` too where the output's scale is so fine that the result
/// would have to be shifted to the left.
pub fn hard_swish_table8(input: Grid, output: Grid) -> Option<[i8; 256]> {
    // Inputs get 7 bits more; 3 is 2^15 then.
    let fine = (1.0 / 128.0) * input.scale;
    let of = |scale: f32| Multiplier::from_real(f64::from(fine / scale));
    let outward = of(output.scale).filter(|multiplier| multiplier.exponent <= 0)?;
    let gate = of(3.0 / 32768.0)?;
    Some(table(input, |x| {
        let x = x << 7;
        let scaled = rounded_high_product(x, high_half(outward));
        let mut share = x;
        if gate.exponent > 0 {
            share = shifted(share, gate.exponent as u32 - 1);
        }
        share = rounded_high_product(share, high_half(gate));
        if gate.exponent > 0 {
            share = shifted(share, 1);
        }
        if gate.exponent < 0 {
            share = divide_by_power_of_two(share, gate.exponent.unsigned_abs());
        }
        let share = (share + (1 << 15)) >> 1;
        let product = (share * scaled) / (1 << 15);
        divide_by_power_of_two(product, outward.exponent.unsigned_abs()) + output.zero_point
    }))
}

/// The upper 16 bits of a multiplier, rounded half up.
fn high_half(multiplier: Multiplier) -> i32 {
    (multiplier.quantized.saturating_add(1 << 15) >> 16).min(i32::from(i16::MAX))
}

/// `a * b / 2^15` of 16-bit numbers, rounded half away from zero.
fn rounded_high_product(a: i32, b: i32) -> i32 {
    let product = a * b;
    let nudge = if product >= 0 { 1 << 14 } else { 1 - (1 << 14) };
    ((product + nudge) / (1 << 15)).min(i32::from(i16::MAX))
}

/// `x * 2^exponent`, saturated at 16 bits.
fn shifted(x: i32, exponent: u32) -> i32 {
    saturating_shift(x, exponent.min(31)).max(i32::from(i16::MIN)).min(i32::from(i16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(scale: f32, zero_point: i32) -> Grid {
        Grid { scale, zero_point, min: -128, max: 127 }
    }

    /// The largest distance of a table from a function, in steps of its output.
    fn distance(table: [i8; 256], f: fn(f64) -> f64, input: Grid, output: Grid) -> f64 {
        let real = |i: usize| f64::from(input.dequantize(i as i32 - 128));
        let step = |i: usize| {
            let exact = f(real(i)) / f64::from(output.scale) + f64::from(output.zero_point);
            (f64::from(table[i]) - exact.clamp(-128.0, 127.0)).abs()
        };
        (0..256).map(step).fold(0.0, f64::max)
    }

    #[test]
    fn tables_follow_their_functions() {
        for (scale, zero_point) in [(0.05, 3), (0.1, -128), (0.003, 127), (0.4, 0)] {
            let input = grid(scale, zero_point);
            let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
            let found = sigmoid_table8(input).unwrap();
            assert!(distance(found, sigmoid, input, grid(1.0 / 256.0, -128)) < 0.51);
            let found = tanh_table8(input).unwrap();
            assert!(distance(found, f64::tanh, input, grid(1.0 / 128.0, 0)) < 0.51);
            let output = grid(scale * 1.1, -20);
            let swish = |x: f64| x * (x + 3.0).clamp(0.0, 6.0) / 6.0;
            let found = hard_swish_table8(input, output).unwrap();
            assert!(distance(found, swish, input, output) < 1.6);
            let leaky = |x: f64| if x < 0.0 { 0.25 * x } else { x };
            let found = leaky_relu_table8(input, 0.25, output).unwrap();
            // A multiplier below 1/4 rounds to quarters first.
            assert!(distance(found, leaky, input, output) < 0.63);
            assert!(distance(abs_table8(input, output).unwrap(), f64::abs, input, output) < 0.51);
            let elu = |x: f32| if x < 0.0 { f64::from(x).exp() as f32 - 1.0 } else { x };
            let exact = |x: f64| if x < 0.0 { x.exp() - 1.0 } else { x };
            assert!(distance(function_table8(elu, input, output), exact, input, output) < 0.51);
        }
    }
}
