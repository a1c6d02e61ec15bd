// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Reductions over any axes: sums and means, norms, extremes.

use super::Storage;
use crate::multiplier::Multiplier;
use crate::params::{Clamp, Reduction};

/// Fraction bits of the root that [`Reduction::RootOfSquares`] rescales.
pub const ROOT_BITS: u32 = 8;

/// Reduces `reduced` elements to one, for each of `outer` runs of them and each of `inner` elements
/// between two of them: memory is `[outer, reduced, inner]`.
///
/// With `d = x - zero_points[0]`, the output is `multiplier * f(d) + zero_points[1]`, where `f` is the
/// largest or smallest `d`, or the sum of `d`, of `|d|` or of `d * d`, or the root of the latter. The
/// largest, smallest and sums of `d` and `|d|` have 32 bits and are rescaled with double rounding, as
/// TensorFlow Lite Micro rescales `SUM` and `MEAN`; so is the root, `floor(sqrt(sum * 2^16))` with 8
/// fraction bits. Sums of squares are rescaled as accumulators of their storage type.
pub fn reduce<S: Storage>(
    reduction: Reduction,
    [reduced, inner]: [usize; 2],
    multiplier: Multiplier,
    zero_points: [i32; 2],
    clamp: Clamp,
    input: &[S],
    output: &mut [S],
) {
    let run = reduced.saturating_mul(inner);
    let mut place = 0;
    let mut within = 0;
    for output in output.iter_mut() {
        let differences = (0..reduced).map(|k| {
            let at = place + within + k * inner;
            input.get(at).map_or(0, |x| x.integer() - zero_points[0])
        });
        let value = match reduction {
            Reduction::Max => multiplier.apply(differences.max().unwrap_or(0)),
            Reduction::Min => multiplier.apply(differences.min().unwrap_or(0)),
            Reduction::Sum => multiplier.apply(differences.fold(0, i32::wrapping_add)),
            Reduction::SumOfMagnitudes => {
                multiplier.apply(differences.fold(0, |sum: i32, d| sum.wrapping_add(d.abs())))
            }
            Reduction::SumOfSquares => {
                let square = |sum, d: i32| S::accumulate(sum, d.wrapping_mul(d));
                S::rescale(multiplier, differences.fold(S::Accumulator::from(0), square))
            }
            Reduction::RootOfSquares => {
                let sum = differences.fold(0, |sum: u64, d| sum + u64::from((d * d) as u32));
                multiplier.apply(root(sum << (2 * ROOT_BITS)) as i32)
            }
        };
        *output = S::from_integer(clamp.apply(value.wrapping_add(zero_points[1])));
        within += 1;
        if within == inner {
            within = 0;
            place += run;
        }
    }
}

/// The largest integer whose square is at most `x`.
pub fn root(x: u64) -> u32 {
    let mut rest = x;
    let mut root = 0_u64;
    let mut bit = 1_u64 << 62;
    while bit > 0 {
        if rest >= root + bit {
            rest -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
        bit >>= 2;
    }
    root as u32
}
