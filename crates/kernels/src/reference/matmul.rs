// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Products of matrices of two activations.

use super::Storage;
use crate::geometry::MatMulGeometry;
use crate::multiplier::Multiplier;
use crate::params::Clamp;

/// The products `sum_k (a[n, i, k] - za) * (b[n, k, j] - zb)`, rescaled, of each pair of matrices.
///
/// `zero_points` are those of `a`, `b` and the output. Sums of 8-bit elements have 32 bits and round
/// twice, those of 16-bit elements 64 bits and round once, as in a fully connected layer: the
/// arithmetic is that of TensorFlow Lite Micro's `BATCH_MATMUL`.
pub fn batch_matmul<S: Storage>(
    geometry: &MatMulGeometry,
    multiplier: Multiplier,
    zero_points: [i32; 3],
    clamp: Clamp,
    a: &[S],
    b: &[S],
    output: &mut [S],
) {
    let g = geometry;
    let element = |values: &[S], place: usize, zero_point: i32| {
        values.get(place).map_or(0, |x| x.integer() - zero_point)
    };
    for n in 0..g.batch {
        for i in 0..g.rows {
            for j in 0..g.columns {
                let mut from = [n * g.a[0] + i * g.a[1], n * g.b[0] + j * g.b[2]];
                let mut sum = S::Accumulator::from(0);
                for _ in 0..g.inner {
                    let product = element(a, from[0], zero_points[0]).wrapping_mul(element(
                        b,
                        from[1],
                        zero_points[1],
                    ));
                    sum = S::accumulate(sum, product);
                    from = [from[0] + g.a[2], from[1] + g.b[1]];
                }
                let scaled = S::rescale(multiplier, sum).wrapping_add(zero_points[2]);
                let place = n * g.output[0] + i * g.output[1] + j * g.output[2];
                if let Some(output) = output.get_mut(place) {
                    *output = S::from_integer(clamp.apply(scaled));
                }
            }
        }
    }
}
