// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Sum, product and change of grid. Each has a form that writes over its first input.

use super::Storage;
use crate::multiplier::Multiplier;
use crate::params::{AddParams, Clamp};
use crate::rows::{rows, rows_mut};

/// The sum of two values on different grids. `b` repeats where it is shorter than `a`: it holds one
/// element a channel, or a single one.
///
/// `zero_points` are those of `a`, `b` and the output.
pub fn add<S: Storage>(
    params: &AddParams,
    zero_points: [i32; 3],
    clamp: Clamp,
    a: &[S],
    b: &[S],
    output: &mut [S],
) {
    combine(a, b, output, |x, y| sum(params, zero_points, clamp, x, y));
}

/// [`add`] with the sum in the place of `a`.
pub fn add_in_place<S: Storage>(
    params: &AddParams,
    zero_points: [i32; 3],
    clamp: Clamp,
    a: &mut [S],
    b: &[S],
) {
    combine_in_place(a, b, |x, y| sum(params, zero_points, clamp, x, y));
}

/// The product of two values; `b` repeats where it is shorter than `a`.
///
/// `zero_points` are those of `a`, `b` and the output. The output may have another type: that of two gates of
/// 16 bits is a hidden state of 8.
pub fn mul<S: Storage, T: Storage>(
    multiplier: Multiplier,
    zero_points: [i32; 3],
    clamp: Clamp,
    a: &[S],
    b: &[S],
    output: &mut [T],
) {
    combine(a, b, output, |x, y| product(multiplier, zero_points, clamp, x, y));
}

/// [`mul`] with the product in the place of `a`.
pub fn mul_in_place<S: Storage>(
    multiplier: Multiplier,
    zero_points: [i32; 3],
    clamp: Clamp,
    a: &mut [S],
    b: &[S],
) {
    combine_in_place(a, b, |x, y| product(multiplier, zero_points, clamp, x, y));
}

/// Moves values to another grid or storage type.
///
/// `zero_points` are those of the input and the output.
pub fn requantize<S: Storage, T: Storage>(
    multiplier: Multiplier,
    zero_points: [i32; 2],
    clamp: Clamp,
    input: &[S],
    output: &mut [T],
) {
    for (output, &x) in output.iter_mut().zip(input) {
        *output = moved(multiplier, zero_points, clamp, x);
    }
}

/// [`requantize`] with the outputs in the place of the inputs.
pub fn requantize_in_place<S: Storage>(
    multiplier: Multiplier,
    zero_points: [i32; 2],
    clamp: Clamp,
    values: &mut [S],
) {
    for value in values {
        *value = moved(multiplier, zero_points, clamp, *value);
    }
}

#[inline(always)]
pub(super) fn sum<S: Storage>(
    params: &AddParams,
    zero_points: [i32; 3],
    clamp: Clamp,
    x: S,
    y: S,
) -> S {
    let scaled = |x: S, zero_point: i32, multiplier: Multiplier| {
        multiplier.apply((x.integer() - zero_point).wrapping_shl(params.left_shift))
    };
    let left = scaled(x, zero_points[0], params.a);
    let right = scaled(y, zero_points[1], params.b);
    let sum = params.output.apply(left.wrapping_add(right));
    S::from_integer(clamp.apply(sum.wrapping_add(zero_points[2])))
}

#[inline(always)]
pub(super) fn product<S: Storage, T: Storage>(
    multiplier: Multiplier,
    zero_points: [i32; 3],
    clamp: Clamp,
    x: S,
    y: S,
) -> T {
    let (x, y) = (x.integer() - zero_points[0], y.integer() - zero_points[1]);
    let product = multiplier.apply(x.wrapping_mul(y));
    T::from_integer(clamp.apply(product.wrapping_add(zero_points[2])))
}

#[inline(always)]
fn moved<S: Storage, T: Storage>(
    multiplier: Multiplier,
    zero_points: [i32; 2],
    clamp: Clamp,
    x: S,
) -> T {
    let moved = multiplier.apply(x.integer() - zero_points[0]);
    T::from_integer(clamp.apply(moved.wrapping_add(zero_points[1])))
}

fn combine<S: Storage, T: Storage>(a: &[S], b: &[S], output: &mut [T], f: impl Fn(S, S) -> T) {
    for (output, a) in rows_mut(output, b.len()).zip(rows(a, b.len())) {
        for ((output, &x), &y) in output.iter_mut().zip(a).zip(b) {
            *output = f(x, y);
        }
    }
}

fn combine_in_place<S: Storage>(a: &mut [S], b: &[S], f: impl Fn(S, S) -> S) {
    for a in rows_mut(a, b.len()) {
        for (x, &y) in a.iter_mut().zip(b) {
            *x = f(*x, y);
        }
    }
}
