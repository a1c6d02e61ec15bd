// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Operations of two values that broadcasting brings together: of each axis, one may have a single
//! step where the other has many, as numpy's rules have it.
//!
//! Each has a form that writes over its first input, for first inputs that do not repeat. Zero
//! points are those of `a`, `b` and the output.

use super::Storage;
use super::elementwise::{product, sum};
use super::softmax::reciprocal_of_one_plus;
use crate::multiplier::{Multiplier, divide_by_power_of_two, high_product};
use crate::params::{AddParams, Clamp, PreluParams, Strides};

/// [`add`](super::add) of values that repeat along any axes.
pub fn add_strided<S: Storage>(
    params: &AddParams,
    zero_points: [i32; 3],
    clamp: Clamp,
    strides: &Strides,
    a: &[S],
    b: &[S],
    output: &mut [S],
) {
    meet(strides, a, b, output, |x, y| sum(params, zero_points, clamp, x, y));
}

/// [`add_strided`] with the sum in the place of `a`.
pub fn add_strided_in_place<S: Storage>(
    params: &AddParams,
    zero_points: [i32; 3],
    clamp: Clamp,
    strides: &Strides,
    a: &mut [S],
    b: &[S],
) {
    meet_in_place(strides, a, b, |x, y| sum(params, zero_points, clamp, x, y));
}

/// [`mul`](super::mul) of values that repeat along any axes.
pub fn mul_strided<S: Storage>(
    multiplier: Multiplier,
    zero_points: [i32; 3],
    clamp: Clamp,
    strides: &Strides,
    a: &[S],
    b: &[S],
    output: &mut [S],
) {
    meet(strides, a, b, output, |x, y| product(multiplier, zero_points, clamp, x, y));
}

/// [`mul_strided`] with the product in the place of `a`.
pub fn mul_strided_in_place<S: Storage>(
    multiplier: Multiplier,
    zero_points: [i32; 3],
    clamp: Clamp,
    strides: &Strides,
    a: &mut [S],
    b: &[S],
) {
    meet_in_place(strides, a, b, |x, y| product(multiplier, zero_points, clamp, x, y));
}

/// The difference `a - b`, rounded as [`add`](super::add) rounds sums.
pub fn sub<S: Storage>(
    params: &AddParams,
    zero_points: [i32; 3],
    clamp: Clamp,
    strides: &Strides,
    a: &[S],
    b: &[S],
    output: &mut [S],
) {
    meet(strides, a, b, output, |x, y| difference(params, zero_points, clamp, x, y));
}

/// [`sub`] with the difference in the place of `a`.
pub fn sub_in_place<S: Storage>(
    params: &AddParams,
    zero_points: [i32; 3],
    clamp: Clamp,
    strides: &Strides,
    a: &mut [S],
    b: &[S],
) {
    meet_in_place(strides, a, b, |x, y| difference(params, zero_points, clamp, x, y));
}

/// The quotient `a / b`, by the reciprocal of `b` in 31 bits as TensorFlow Lite computes it.
///
/// `multiplier` is `scale_a / (scale_b * scale_output)`. With `x` and `y` the integers less their
/// zero points and `y` positive (otherwise both change their sign), `y = (1 + f) * 2^e`, and
/// `headroom` the left shifts that `x` stands,
///
/// `q = ((x << headroom) * (1 / (1 + f)) * multiplier) / 2^(e + headroom)`,
///
/// where both products are rounded at bit 31 and the division by the power of two is rounded half
/// away from zero. The quotient of anything and 0 is the bound on the side of `x`, that of 0 and 0
/// is 0.
pub fn div<S: Storage>(
    multiplier: Multiplier,
    zero_points: [i32; 3],
    clamp: Clamp,
    strides: &Strides,
    a: &[S],
    b: &[S],
    output: &mut [S],
) {
    meet(strides, a, b, output, |x, y| quotient(multiplier, zero_points, clamp, x, y));
}

/// [`div`] with the quotient in the place of `a`.
pub fn div_in_place<S: Storage>(
    multiplier: Multiplier,
    zero_points: [i32; 3],
    clamp: Clamp,
    strides: &Strides,
    a: &mut [S],
    b: &[S],
) {
    meet_in_place(strides, a, b, |x, y| quotient(multiplier, zero_points, clamp, x, y));
}

/// `a` where it is not negative, otherwise `a * b`: a rectifier with slopes.
pub fn prelu<S: Storage>(
    params: &PreluParams,
    zero_points: [i32; 3],
    clamp: Clamp,
    strides: &Strides,
    a: &[S],
    b: &[S],
    output: &mut [S],
) {
    meet(strides, a, b, output, |x, y| rectified(params, zero_points, clamp, x, y));
}

/// [`prelu`] with the output in the place of `a`.
pub fn prelu_in_place<S: Storage>(
    params: &PreluParams,
    zero_points: [i32; 3],
    clamp: Clamp,
    strides: &Strides,
    a: &mut [S],
    b: &[S],
) {
    meet_in_place(strides, a, b, |x, y| rectified(params, zero_points, clamp, x, y));
}

/// The smaller of two values of one grid, which is the output's too.
pub fn minimum<S: Storage>(strides: &Strides, a: &[S], b: &[S], output: &mut [S]) {
    meet(strides, a, b, output, smaller);
}

/// [`minimum`] with the output in the place of `a`.
pub fn minimum_in_place<S: Storage>(strides: &Strides, a: &mut [S], b: &[S]) {
    meet_in_place(strides, a, b, smaller);
}

/// The larger of two values of one grid, which is the output's too.
pub fn maximum<S: Storage>(strides: &Strides, a: &[S], b: &[S], output: &mut [S]) {
    meet(strides, a, b, output, larger);
}

/// [`maximum`] with the output in the place of `a`.
pub fn maximum_in_place<S: Storage>(strides: &Strides, a: &mut [S], b: &[S]) {
    meet_in_place(strides, a, b, larger);
}

#[inline(always)]
fn difference<S: Storage>(
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
    let difference = params.output.apply(left.wrapping_sub(right));
    S::from_integer(clamp.apply(difference.wrapping_add(zero_points[2])))
}

#[inline(always)]
fn quotient<S: Storage>(
    multiplier: Multiplier,
    zero_points: [i32; 3],
    clamp: Clamp,
    x: S,
    y: S,
) -> S {
    let (x, y) = (x.integer() - zero_points[0], y.integer() - zero_points[1]);
    let (x, y) = if y < 0 { (-x, -y) } else { (x, y) };
    let quotient = if y == 0 {
        match x {
            0 => zero_points[2],
            1.. => clamp.max,
            _ => clamp.min,
        }
    } else {
        let leading = (y as u32).leading_zeros();
        let fraction = ((y as u32) << leading).wrapping_sub(1 << 31) as i32;
        let headroom = if x < 0 {
            ((x.unsigned_abs() << 1).wrapping_sub(1)).leading_zeros()
        } else {
            (x as u32).leading_zeros() - 1
        };
        let inverse = reciprocal_of_one_plus(fraction);
        let exact = high_product(x.wrapping_shl(headroom), inverse);
        let scaled = high_product(exact, multiplier.quantized);
        let shift = (31 - leading as i32) + headroom as i32 - multiplier.exponent;
        // Past 31 every quotient is below half a step.
        let rounded = match u32::try_from(shift) {
            Ok(shift @ 0..=31) => divide_by_power_of_two(scaled, shift),
            _ => 0,
        };
        rounded.wrapping_add(zero_points[2])
    };
    S::from_integer(clamp.apply(quotient))
}

#[inline(always)]
fn rectified<S: Storage>(
    params: &PreluParams,
    zero_points: [i32; 3],
    clamp: Clamp,
    x: S,
    y: S,
) -> S {
    let x = x.integer() - zero_points[0];
    let scaled = if x >= 0 {
        params.positive.apply(x)
    } else {
        params.negative.apply(x.wrapping_mul(y.integer() - zero_points[1]))
    };
    S::from_integer(clamp.apply(scaled.wrapping_add(zero_points[2])))
}

#[inline(always)]
fn smaller<S: Storage>(x: S, y: S) -> S {
    if y.integer() < x.integer() { y } else { x }
}

#[inline(always)]
fn larger<S: Storage>(x: S, y: S) -> S {
    if y.integer() > x.integer() { y } else { x }
}

#[inline(always)]
fn meet<S: Storage>(strides: &Strides, a: &[S], b: &[S], output: &mut [S], f: impl Fn(S, S) -> S) {
    let Strides { extents, a: step_a, b: step_b } = strides;
    let mut output = output.iter_mut();
    for i in 0..extents[0] {
        for j in 0..extents[1] {
            let first_a = i * step_a[0] + j * step_a[1];
            let first_b = i * step_b[0] + j * step_b[1];
            for k in 0..extents[2] {
                let (x, y) = (a.get(first_a + k * step_a[2]), b.get(first_b + k * step_b[2]));
                if let (Some(output), Some(&x), Some(&y)) = (output.next(), x, y) {
                    *output = f(x, y);
                }
            }
        }
    }
}

#[inline(always)]
fn meet_in_place<S: Storage>(strides: &Strides, a: &mut [S], b: &[S], f: impl Fn(S, S) -> S) {
    let Strides { extents, b: step, .. } = strides;
    let mut a = a.iter_mut();
    for i in 0..extents[0] {
        for j in 0..extents[1] {
            let first = i * step[0] + j * step[1];
            for k in 0..extents[2] {
                if let (Some(x), Some(&y)) = (a.next(), b.get(first + k * step[2])) {
                    *x = f(*x, y);
                }
            }
        }
    }
}
