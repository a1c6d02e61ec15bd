// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Sigmoid and hyperbolic tangent of 16 bits, as TensorFlow Lite Micro's LSTM computes them.
//!
//! Both interpolate one table of the sigmoid, since `tanh(x) = 2 * sigmoid(2 * x) - 1`, and mirror what it
//! says of positive inputs. These are `Logistic` and `Tanh` of its `reference_integer_ops`, for 16 bits.

use super::Storage;
use crate::params::{GateFunction, GateParams};

/// Applies the gate to every element.
///
/// With `u = (x * multiplier + 2^(shift - 1)) >> shift`, in steps of `2^-12 / 3` (without the half where the
/// shift is 0), and `f` the table, between whose entries it interpolates, the sigmoid is
/// `f(|u| / 2^9)` and the tangent `2 * f(|u| / 2^8) - 1`, both in Q0.15. Of a negative `u`, the sigmoid is 1
/// less that, the tangent the negative of that. Magnitudes past the last but one entry give the largest output.
pub fn gate16<S: Storage>(params: GateParams, input: &[S], output: &mut [S]) {
    for (output, &x) in output.iter_mut().zip(input) {
        *output = gated(params, x);
    }
}

/// [`gate16`] with the outputs in the place of the inputs.
pub fn gate16_in_place<S: Storage>(params: GateParams, values: &mut [S]) {
    for value in values {
        *value = gated(params, *value);
    }
}

#[inline(always)]
fn gated<S: Storage>(params: GateParams, x: S) -> S {
    let half = (1_i32 << params.shift) >> 1;
    let moved = x.integer().wrapping_mul(params.multiplier).wrapping_add(half) >> params.shift;
    S::from_integer(match params.function {
        GateFunction::Sigmoid => sigmoid(moved),
        GateFunction::Tanh => tanh(moved),
    })
}

/// The sigmoid in Q0.15 of `x` in steps of `2^-12 / 3`.
#[inline(always)]
fn sigmoid(x: i32) -> i32 {
    // In Q0.25: an entry has 16 bits, the place between two of them 9.
    let magnitude = interpolated::<9>(x.unsigned_abs(), 0x7FFF << 10);
    let half = 1 << 9;
    let rounded = if x >= 0 { magnitude + half } else { (1 << 25) - magnitude + half - 1 };
    (rounded >> 10) as i32
}

/// The hyperbolic tangent in Q0.15 of `x` in steps of `2^-12 / 3`.
#[inline(always)]
fn tanh(x: i32) -> i32 {
    // In Q0.24; the half of the sigmoid is the zero of the tangent.
    let magnitude = interpolated::<8>(x.unsigned_abs(), 0xFFFF << 8) as i32 - (1 << 23);
    let half = 1 << 7;
    let rounded = if x >= 0 { magnitude + half } else { half - 1 - magnitude };
    rounded >> 8
}

/// The table at `x / 2^BITS`, with as many bits more as `BITS`; `last` from the last entry on.
#[inline(always)]
fn interpolated<const BITS: u32>(x: u32, last: u32) -> u32 {
    let place = (x >> BITS) as usize;
    let (Some(&from), Some(&to)) = (SIGMOID.get(place), SIGMOID.get(place + 1)) else {
        return last;
    };
    let (from, to) = (u32::from(from), u32::from(to));
    (from << BITS) + (x & ((1 << BITS) - 1)) * (to - from)
}

/// The table of [`gate16`]: for each `i` the sigmoid `s` of `i / 24` in Q0.16, rounded to nearest, and 65535 at
/// the end.
///
/// Chords lie below the curve, by as much as `s * (1 - s) * (2 * s - 1) / 8` times the square of a step in
/// the middle: half of that is added to each entry, so that the largest error is halved.
pub fn sigmoid_table() -> &'static [u16; 256] {
    &SIGMOID
}

/// The compiler computes it.
static SIGMOID: [u16; 256] = table();

const fn table() -> [u16; 256] {
    let mut table = [u16::MAX; 256];
    // exp(-1 / 24) by its series, whose next term is below 2^-100.
    let (mut step, mut term, mut count) = (1.0_f64, 1.0_f64, 1);
    while count < 16 {
        term /= -24.0 * count as f64;
        step += term;
        count += 1;
    }
    let (mut exponential, mut i) = (1.0_f64, 0);
    while i < table.len() - 1 {
        let s = 1.0 / (1.0 + exponential);
        let raised = s + s * (1.0 - s) * (2.0 * s - 1.0) / (16.0 * 24.0 * 24.0);
        table[i] = (65536.0 * raised + 0.5) as u16;
        exponential *= step;
        i += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    const CELL: [i32; 3] = [-3, 0, 3];

    fn every_output(function: GateFunction, left: i32) -> Vec<i16> {
        let (multiplier, shift) = if left < 0 { (3, left.unsigned_abs()) } else { (3 << left, 0) };
        let inputs: Vec<i16> = (i16::MIN..=i16::MAX).collect();
        let mut outputs = inputs.clone();
        gate16(GateParams { function, multiplier, shift }, &inputs, &mut outputs);
        outputs
    }

    #[test]
    fn the_table_is_that_of_tensorflow_lite_micro() {
        // The first entry, some between, and the sums of all entries and of all times their places.
        let [sum, moment] = [0, 1].map(|power| {
            let terms = SIGMOID.iter().enumerate().map(|(i, &y)| i.pow(power) * usize::from(y));
            terms.sum::<usize>()
        });
        assert_eq!(
            [SIGMOID[0], SIGMOID[33], SIGMOID[128], SIGMOID[255]],
            [32768, 52311, 65221, 65535]
        );
        assert_eq!([sum, moment], [15670629, 2108062945]);
    }

    #[test]
    fn gates_never_fall() {
        for function in [GateFunction::Sigmoid, GateFunction::Tanh] {
            for left in CELL {
                assert!(every_output(function, left).is_sorted(), "{function:?} {left}");
            }
        }
    }

    #[test]
    fn gates_are_close_to_their_functions() {
        for left in CELL {
            let scale = 2.0_f64.powi(left - 12);
            let sigmoid = every_output(GateFunction::Sigmoid, left);
            let tanh = every_output(GateFunction::Tanh, left);
            for (i, x) in (i16::MIN..=i16::MAX).enumerate() {
                let real = f64::from(x) * scale;
                let exact = [32768.0 / (1.0 + (-real).exp()), 32768.0 * real.tanh()];
                let found = [sigmoid[i], tanh[i]].map(f64::from);
                assert!((exact[0] - found[0]).abs() < 2.0, "sigmoid {real} {found:?} {exact:?}");
                assert!((exact[1] - found[1]).abs() < 6.0, "tanh {real} {found:?} {exact:?}");
            }
        }
    }
}
