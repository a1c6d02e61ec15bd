//! The integer arithmetic against independent statements of it.

use burn_ptq_kernels::grid::{Grid, round_half_away, signed_range, weight_range};
use burn_ptq_kernels::multiplier::{MAX_EXPONENT, Multiplier, divide_by_power_of_two};
use burn_ptq_kernels::packing::{PackedWeights, pack, packed_len, storage_bits};
use burn_ptq_kernels::params::{AddParams, Clamp, GateFunction, GateParams};
use burn_ptq_kernels::reference::{
    add, log_softmax, log_softmax_exponentials, log_softmax_integer_bits, softmax, softmax_params,
};
use proptest::prelude::*;

/// A multiplier and an accumulator that its left shift keeps within 32 bits.
fn scaled(exponents: std::ops::Range<i32>) -> impl Strategy<Value = (Multiplier, i32)> {
    (1_i32 << 30..=i32::MAX, exponents, any::<i32>()).prop_map(|(quantized, exponent, x)| {
        (Multiplier { quantized, exponent }, x >> exponent.max(0))
    })
}

/// Rounding of `numerator / 2^shift`, half away from zero, by quotient and remainder.
fn divide_half_away(numerator: i128, shift: u32) -> i128 {
    let divisor = 1_i128 << shift;
    let magnitude = numerator.abs();
    let rounded = magnitude / divisor + i128::from(2 * (magnitude % divisor) >= divisor);
    rounded * numerator.signum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..Default::default() })]

    #[test]
    fn rounding_is_the_nearest_integer_with_ties_away_from_zero(bits in any::<u32>()) {
        let x = f32::from_bits(bits);
        // f64 holds every i32 and every half between two of them.
        let expected = f64::from(x).round().clamp(f64::from(i32::MIN), f64::from(i32::MAX)) as i32;
        prop_assert_eq!(round_half_away(x), expected);
    }

    #[test]
    fn halves_round_away_from_zero(whole in 0..1_i32 << 22) {
        let tie = whole as f32 + 0.5;
        prop_assert_eq!(round_half_away(tie), whole + 1);
        prop_assert_eq!(round_half_away(-tie), -(whole + 1));
        prop_assert_eq!(round_half_away(tie.next_down()), whole);
        prop_assert_eq!(round_half_away(-tie.next_down()), -whole);
    }

    #[test]
    fn integers_of_a_grid_survive_a_round_trip(
        bits in 2_u8..=16, zero in 0.0_f32..=1.0, scale in 1e-6_f32..1e3, at in 0.0_f32..=1.0,
    ) {
        let (min, max) = signed_range(bits, false);
        let within = |share: f32| min + (share * (max - min) as f32) as i32;
        let grid = Grid { scale, zero_point: within(zero), min, max };
        prop_assert_eq!(grid.quantize(grid.dequantize(within(at))), within(at));
        prop_assert_eq!(grid.quantize(f32::INFINITY), max);
        prop_assert_eq!(grid.quantize(f32::NEG_INFINITY), min);
        prop_assert_eq!(grid.quantize(f32::NAN), grid.zero_point);
    }

    #[test]
    fn quantization_is_to_the_nearest_value(scale in 1e-4_f32..1e2, x in -2e4_f32..2e4) {
        let grid = Grid { scale, zero_point: -7, min: -32768, max: 32767 };
        let real = f64::from(x / scale);
        prop_assume!((-32_000.0..32_000.0).contains(&real));
        let error = (f64::from(grid.quantize(x) + 7) - real).abs();
        prop_assert!(error <= 0.5);
    }

    #[test]
    fn a_multiplier_is_its_real_factor_to_31_bits(
        significand in 0.5_f64..1.0, exponent in -31..=MAX_EXPONENT,
    ) {
        let real = significand * f64::from(exponent).exp2();
        let Some(multiplier) = Multiplier::from_real(real) else {
            // Only the rounding up to the next power of two can leave the range.
            prop_assert!(exponent == MAX_EXPONENT && significand > 1.0 - 1e-9);
            return Ok(());
        };
        prop_assert!((1_i64 << 30..1 << 31).contains(&i64::from(multiplier.quantized)));
        let found = f64::from(multiplier.quantized) * f64::from(multiplier.exponent - 31).exp2();
        let step = f64::from(multiplier.exponent - 31).exp2();
        prop_assert!((found - real).abs() <= 0.5 * step);
    }

    #[test]
    fn requantizing_rounds_twice((multiplier, x) in scaled(-31..MAX_EXPONENT + 1)) {
        // The high half of the doubled product, half up; then the right shift, half away.
        let product = (i128::from(x) << multiplier.exponent.max(0)) * i128::from(multiplier.quantized);
        let high = (product + (1 << 30)).div_euclid(1 << 31);
        let right = (-multiplier.exponent).max(0) as u32;
        prop_assert_eq!(i128::from(multiplier.apply(x)), divide_half_away(high, right));
    }

    #[test]
    fn requantizing_once_is_to_the_nearest_integer((multiplier, x) in scaled(-12..0)) {
        let once = multiplier.rounding_once();
        let x = x >> 8;
        let factor = f64::from(multiplier.quantized) * f64::from(multiplier.exponent - 31).exp2();
        // Half a step, and what the shorter significand loses.
        let bound = 0.5 + f64::from(x.abs()) * 0.5_f64.powi(32);
        prop_assert!((f64::from(once.apply(x)) - f64::from(x) * factor).abs() <= bound);
    }

    #[test]
    fn requantizing_is_within_a_step_of_the_real_product((multiplier, x) in scaled(-31..MAX_EXPONENT + 1)) {
        let factor = f64::from(multiplier.quantized) * f64::from(multiplier.exponent - 31).exp2();
        prop_assert!((f64::from(multiplier.apply(x)) - f64::from(x) * factor).abs() <= 1.0);
    }

    #[test]
    fn wide_requantizing_rounds_once(
        quantized in 1_i32 << 30..=i32::MAX, exponent in -31..=14_i32, x in any::<i64>(),
    ) {
        let multiplier = Multiplier { quantized, exponent };
        // Neither the product nor the result overflows.
        let x = x >> (17 + (exponent + 16).max(0));
        // 15 bits of the significand, saturated; half up.
        let reduced = ((i128::from(quantized) + (1 << 15)) >> 16).min(0x7FFF);
        let shift = 15 - exponent;
        let exact = (i128::from(x) * reduced + (1_i128 << (shift - 1))) >> shift;
        prop_assert_eq!(i128::from(multiplier.apply_wide(x)), exact);
    }

    #[test]
    fn sums_of_16_bits_on_one_grid_are_exact_and_saturate(
        scale in 1e-30_f32..1e30, a in any::<i16>(), b in any::<i16>(),
    ) {
        let params = AddParams::new(scale, scale, scale, true).expect("equal scales");
        let clamp = Clamp { min: i32::from(i16::MIN), max: i32::from(i16::MAX) };
        let ends = [i16::MIN, i16::MIN + 1, -1, 0, 1, i16::MAX - 1, i16::MAX];
        for x in [a, b].into_iter().chain(ends) {
            for y in [a, b].into_iter().chain(ends) {
                let mut sum = [0];
                add(&params, [0; 3], clamp, &[x], &[y], &mut sum);
                prop_assert_eq!(sum[0], x.saturating_add(y));
            }
        }
    }

    #[test]
    fn gates_are_for_powers_of_two_and_their_own_output(
        scale in 1e-12_f32..1e3, power in -40..=10_i32, tanh in any::<bool>(),
    ) {
        let function = if tanh { GateFunction::Tanh } else { GateFunction::Sigmoid };
        let of = |scale: f32| Grid { scale, zero_point: 0, min: -32768, max: 32767 };
        let output = of(GateParams::OUTPUT_SCALE);
        let exact = 2.0_f32.powi(power);
        let params = GateParams::new(function, of(exact), output);
        prop_assert_eq!(params.is_some(), (-30..=2).contains(&power));
        if let Some(params) = params {
            prop_assert!(params.is_valid());
            let moved = f64::from(params.multiplier) / f64::from(1_u32 << params.shift);
            prop_assert_eq!(moved, 3.0 * 4096.0 * f64::from(exact));
        }
        let is_power = scale.to_bits().trailing_zeros() >= 23;
        prop_assert_eq!(GateParams::new(function, of(scale), output).is_some(), is_power);
        for other in [of(GateParams::OUTPUT_SCALE * 2.0), Grid { max: 127, ..output }] {
            prop_assert_eq!(GateParams::new(function, of(exact), other), None);
        }
        let moved = Grid { zero_point: 1, ..of(GateParams::INPUT_SCALE) };
        prop_assert_eq!(GateParams::new(function, moved, output), None);
        for scale in [-exact, 0.0, f32::NAN, f32::INFINITY, f32::from_bits(1)] {
            prop_assert_eq!(GateParams::new(function, of(scale), output), None);
        }
    }

    #[test]
    fn a_right_shift_rounds_half_away(x in any::<i32>(), exponent in 0_u32..=31) {
        let expected = divide_half_away(i128::from(x), exponent);
        prop_assert_eq!(i128::from(divide_by_power_of_two(x, exponent)), expected);
    }

    #[test]
    fn packed_weights_are_read_back(
        bits in 2_u8..=8, shares in prop::collection::vec(0.0_f32..=1.0, 0..70), part in any::<[u8; 2]>(),
    ) {
        let (min, max) = weight_range(bits);
        let values: Vec<i8> =
            shares.iter().map(|share| (min as f32 + share * (max - min) as f32) as i8).collect();
        let storage = storage_bits(bits);
        let mut bytes = vec![0xA5; packed_len(values.len(), storage)];
        pack(&values, storage, &mut bytes);
        let packed = PackedWeights { bytes: &bytes, storage };
        for (index, &value) in values.iter().enumerate() {
            prop_assert_eq!(packed.get(index), i32::from(value));
        }
        prop_assert!(8 * bytes.len() < values.len() * usize::from(storage) + 8);
        let first = usize::from(part[0]) % (values.len() + 1);
        let mut some = vec![0; usize::from(part[1]) % (values.len() - first + 1)];
        packed.unpack(first, &mut some);
        prop_assert_eq!(&some[..], &values[first..first + some.len()]);
    }

    #[test]
    fn softmax_is_within_a_step_of_the_real_one(
        row in prop::collection::vec(any::<i8>(), 1..300), scale in 1e-3_f32..0.5,
    ) {
        let (multiplier, diff_min) = softmax_params(scale).expect("an ordinary scale");
        let mut output = vec![0; row.len()];
        softmax(row.len(), multiplier, diff_min, &row, &mut output);
        for (found, real) in output.iter().zip(real_softmax(&row, scale)) {
            let expected = (256.0 * real - 128.0).clamp(-128.0, 127.0);
            prop_assert!((f64::from(*found) - expected).abs() <= 1.0, "{found} for {expected}");
        }
    }

    #[test]
    fn log_softmax_is_within_a_step_of_the_real_one(
        row in prop::collection::vec(any::<i8>(), 1..300), scale in 1e-3_f32..0.5, bits in 4_u32..=12,
    ) {
        // Logits as coarse as the output's steps make its whole range count.
        let scale = scale * (1_u32 << (bits - 4)) as f32;
        let step = f64::from(1_u32 << bits) / 256.0;
        let exponentials = log_softmax_exponentials(scale);
        let multiplier = Multiplier::from_real(f64::from(scale) / step).expect("representable");
        let mut output = vec![0; row.len()];
        log_softmax(row.len(), &exponentials, multiplier, bits, &row, &mut output);
        for (found, real) in output.iter().zip(real_log_softmax(&row, scale)) {
            let expected = (real / step + 127.0).clamp(-128.0, 127.0);
            // The one rounding, and half a step of the multiplier's and the table's own.
            prop_assert!((f64::from(*found) - expected).abs() <= 1.0, "{found} for {expected}");
        }
    }

    #[test]
    fn log_softmax_of_any_integer_bits_is_defined(
        row in prop::collection::vec(any::<i8>(), 1..300), scale in 1e-3_f32..1e9, bits in 4_u32..=30,
    ) {
        let step = f64::from(1_u32 << bits) / 256.0;
        prop_assert_eq!(log_softmax_integer_bits(step as f32), Some(bits));
        let scale = scale.min(100.0 * (1_u32 << (bits - 4)) as f32);
        let multiplier = Multiplier::from_real(f64::from(scale) / step).expect("representable");
        let mut output = vec![0; row.len()];
        let exponentials = log_softmax_exponentials(scale);
        log_softmax(row.len(), &exponentials, multiplier, bits, &row, &mut output);
        for (found, real) in output.iter().zip(real_log_softmax(&row, scale)) {
            let expected = (real / step + 127.0).clamp(-128.0, 127.0);
            prop_assert!((f64::from(*found) - expected).abs() <= 1.0, "{found} for {expected}");
        }
    }
}

#[test]
fn log_softmax_has_integer_bits_for_the_scales_of_its_grids_alone() {
    assert_eq!(log_softmax_integer_bits(16.0 / 256.0), Some(4));
    assert_eq!(log_softmax_integer_bits(32.0 / 256.0), Some(5));
    for scale in [8.0 / 256.0, 17.0 / 256.0, 0.0, -0.0625, f32::NAN, f32::INFINITY] {
        assert_eq!(log_softmax_integer_bits(scale), None, "{scale}");
    }
}

fn real_log_softmax(row: &[i8], scale: f32) -> Vec<f64> {
    let max = f64::from(row.iter().copied().max().unwrap_or_default());
    let below = |x: i8| (f64::from(x) - max) * f64::from(scale);
    let logarithm = row.iter().map(|&x| below(x).exp()).sum::<f64>().ln();
    row.iter().map(|&x| below(x) - logarithm).collect()
}

fn real_softmax(row: &[i8], scale: f32) -> Vec<f64> {
    let powers: Vec<f64> = row.iter().map(|&x| (f64::from(x) * f64::from(scale)).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

#[test]
fn long_rows_of_equal_maxima_have_defined_shares() {
    let (multiplier, diff_min) = softmax_params(0.1).expect("an ordinary scale");
    for depth in [255, 256, 511, 512, 4095, 4096] {
        let mut output = vec![0; depth];
        softmax(depth, multiplier, diff_min, &vec![127; depth], &mut output);
        let expected = (256.0 / depth as f64 - 128.0).round() as i8;
        assert!(output.iter().all(|share| share.abs_diff(expected) <= 1), "{depth}: {}", output[0]);
    }
}
