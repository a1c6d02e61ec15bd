// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Outputs from sums of products.

use super::instructions::{high_word, saturated, shift_right};
use crate::multiplier::Multiplier;
use crate::params::Requantize;
use crate::reference::Storage;

/// Outputs of the channels from `first` on from their sums of products: what
/// [`reference`](mod@crate::reference) does, for accumulators that stay within 32 bits when they are shifted to
/// the left by one more than the multiplier's exponent says.
#[inline(never)]
pub fn finish<T: Storage>(requantize: &Requantize, first: usize, sums: &[i32], output: &mut [T]) {
    let zero_point = requantize.output_zero_point;
    let clamp = requantize.clamp;
    let biases = requantize.bias.get(first..).unwrap_or(&[]);
    let outputs = output.iter_mut().zip(sums).zip(biases);
    if let [multiplier] = *requantize.multipliers {
        for ((output, &sum), &bias) in outputs {
            let scaled = rescaled(sum.wrapping_add(bias), multiplier, zero_point);
            *output = T::from_integer(clamp.apply(scaled));
        }
        return;
    }
    let multipliers = requantize.multipliers.get(first..).unwrap_or(&[]);
    let outputs = outputs.zip(multipliers);
    if !T::WIDE && (clamp.min, clamp.max) == (-128, 127) {
        for (((output, &sum), &bias), &multiplier) in outputs {
            let scaled = rescaled(sum.wrapping_add(bias), multiplier, zero_point);
            *output = T::from_integer(saturated(scaled));
        }
    } else {
        for (((output, &sum), &bias), &multiplier) in outputs {
            let scaled = rescaled(sum.wrapping_add(bias), multiplier, zero_point);
            *output = T::from_integer(clamp.apply(scaled));
        }
    }
}

/// [`Multiplier::apply`], plus a zero point.
///
/// Doubled, an accumulator's first rounding is that of the high word; the second rounding is done in
/// two shifts with the zero point in between.
#[inline(always)]
fn rescaled(x: i32, multiplier: Multiplier, zero_point: i32) -> i32 {
    if multiplier.exponent < 0 {
        let high = high_word(x.wrapping_shl(1), multiplier.quantized);
        let away = high.wrapping_add(high >> 31);
        let half = shift_right(away, !multiplier.exponent);
        return half.wrapping_add(2 * zero_point + 1) >> 1;
    }
    let shifted = x.wrapping_shl((multiplier.exponent + 1) as u32);
    high_word(shifted, multiplier.quantized).wrapping_add(zero_point)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..Default::default() })]

        #[test]
        fn accumulators_are_rescaled_as_by_the_multiplier(
            quantized in 1_i32 << 30..=i32::MAX,
            exponent in -31_i32..8,
            x in any::<i32>(),
            halvings in 0_i32..31,
            zero_point in -128..=127,
        ) {
            let x = x >> (exponent.max(0) + 1 + halvings).min(31);
            let multiplier = Multiplier { quantized, exponent };
            prop_assert_eq!(rescaled(x, multiplier, zero_point), multiplier.apply(x) + zero_point);
        }
    }
}
