//! Sum, product and change of grid.

use super::Storage;
use crate::multiplier::Multiplier;
use crate::params::{AddParams, Clamp};

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
    let scaled = |x: S, zero_point: i32, multiplier: Multiplier| {
        multiplier.apply((x.into() - zero_point).wrapping_shl(params.left_shift))
    };
    for (i, (output, &x)) in output.iter_mut().zip(a).enumerate() {
        let left = scaled(x, zero_points[0], params.a);
        let right = scaled(b[i % b.len()], zero_points[1], params.b);
        let sum = params.output.apply(left.wrapping_add(right));
        *output = S::from_integer(clamp.apply(sum.wrapping_add(zero_points[2])));
    }
}

/// The product of two values; `b` repeats where it is shorter than `a`.
///
/// `zero_points` are those of `a`, `b` and the output.
pub fn mul<S: Storage>(
    multiplier: Multiplier,
    zero_points: [i32; 3],
    clamp: Clamp,
    a: &[S],
    b: &[S],
    output: &mut [S],
) {
    for (i, (output, &x)) in output.iter_mut().zip(a).enumerate() {
        let (x, y): (i32, i32) = (x.into(), b[i % b.len()].into());
        let product = multiplier.apply((x - zero_points[0]).wrapping_mul(y - zero_points[1]));
        *output = S::from_integer(clamp.apply(product.wrapping_add(zero_points[2])));
    }
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
        let moved = multiplier.apply(x.into() - zero_points[0]);
        *output = T::from_integer(clamp.apply(moved.wrapping_add(zero_points[1])));
    }
}
