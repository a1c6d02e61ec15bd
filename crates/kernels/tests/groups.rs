//! Reductions, normalizations and selections against independent statements of them.

use burn_ptq_kernels::geometry::NormalizeGeometry;
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::{
    Clamp, NormalizeParams, Reduction, Selection, normalization_scale, normalization_shift,
};
use burn_ptq_kernels::reference::{
    ScalesAndShifts, Storage, inverse_root, normalize, reduce, root, top_k,
};
use proptest::prelude::*;

/// Real values of a multiplier.
fn real(multiplier: Multiplier) -> f64 {
    f64::from(multiplier.quantized) * f64::from(multiplier.exponent - 31).exp2()
}

/// Normalizes rows of `n` elements, and says what real arithmetic makes of the same integers.
fn both<S: Storage>(case: &Case, input: &[S], bounds: Clamp) -> (Vec<i32>, Vec<f64>) {
    let Case { n, center, epsilon, scale, output, zero_points, .. } = *case;
    let rows = input.len() / n;
    let geometry = NormalizeGeometry {
        groups: rows,
        outer: 1,
        inner: n,
        steps: [n, 0, 1],
        parameters: [0, 0, 1],
    };
    let magnitude = if S::WIDE { 1 << 15 } else { 128 + zero_points[0].unsigned_abs() };
    let factor = if center { 1.0 } else { (n as f64).sqrt() };
    let gamma: Vec<f32> = (0..n).map(|i| ((i * 37) % 19) as f32 / 9.0 - 1.0).collect();
    let beta: Vec<f32> = (0..n).map(|i| ((i * 53) % 23) as f32 / 11.0 - 1.0).collect();
    let scale_step = 1.0 / 32767.0_f32;
    let fraction = 20;
    let unit = match case.affine {
        true => f64::from(output) / f64::from(scale_step) / f64::from(1 << fraction),
        false => f64::from(output),
    };
    let params = NormalizeParams::new(n, magnitude, scale, epsilon, center, factor, unit)
        .expect("usual numbers");
    let scales: Vec<i16> = gamma.iter().map(|&g| normalization_scale(g, scale_step)).collect();
    let shifts: Vec<i32> =
        beta.iter().map(|&b| normalization_shift(b, output).expect("a usual shift")).collect();
    let affine =
        case.affine.then_some(ScalesAndShifts { scales: &scales, shifts: &shifts, fraction });
    let mut found = vec![S::from_integer(0); input.len()];
    normalize(&geometry, &params, affine, zero_points, bounds, input, &mut found);
    let mut expected = Vec::new();
    for row in input.chunks(n) {
        let x: Vec<f64> = row
            .iter()
            .map(|x| f64::from(x.integer() - zero_points[0]) * f64::from(scale))
            .collect();
        let mean = if center { x.iter().sum::<f64>() / n as f64 } else { 0.0 };
        let variance = x.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n as f64;
        for (i, x) in x.iter().enumerate() {
            let root = (variance + epsilon).sqrt();
            let z = if root == 0.0 { 0.0 } else { (x - mean) / root };
            let y = if case.affine { z * f64::from(gamma[i]) + f64::from(beta[i]) } else { z };
            let steps = y / f64::from(output) + f64::from(zero_points[1]);
            expected.push(steps.clamp(bounds.min.into(), bounds.max.into()));
        }
    }
    (found.iter().map(|x| x.integer()).collect(), expected)
}

#[derive(Clone, Debug)]
struct Case {
    n: usize,
    center: bool,
    affine: bool,
    epsilon: f64,
    scale: f32,
    output: f32,
    zero_points: [i32; 2],
}

fn cases(wide: bool) -> impl Strategy<Value = Case> {
    let points = if wide { 0..=0 } else { -128..=127 };
    (
        (1_usize..200, any::<bool>(), any::<bool>()),
        prop_oneof![Just(0.0), Just(1e-5), Just(1e-3), Just(1.0)],
        1e-4_f32..1.0,
        0.5_f32..4.0,
        [points.clone(), points],
    )
        .prop_map(move |((n, center, affine), epsilon, scale, reach, zero_points)| {
            let output = reach / if wide { 1 << 13 } else { 1 << 5 } as f32;
            Case { n, center, affine, epsilon, scale, output, zero_points }
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..Default::default() })]

    #[test]
    fn inverse_roots_err_by_less_than_2_to_the_minus_19(x in 2_u64..1 << 62, shift in 0_u32..60) {
        let x = (x >> shift).max(2);
        let exact = 1.0 / (x as f64).sqrt();
        let error = (real(inverse_root(x)) / exact - 1.0).abs();
        prop_assert!(error < 0.5_f64.powi(19), "{x}: {error}");
    }

    #[test]
    fn roots_are_floors(x in any::<u64>(), shift in 0_u32..64) {
        let x = x >> shift;
        let found = u128::from(root(x));
        prop_assert!(found * found <= u128::from(x) && u128::from(x) < (found + 1) * (found + 1));
    }

    #[test]
    fn products_and_quotients_of_multipliers_keep_their_bits(
        a in 1_i32 << 28..=i32::MAX, b in 1_i32 << 30..=i32::MAX, exponents in [-12_i32..8, -12_i32..8],
        count in 1_u32..100_000,
    ) {
        let [a, b] = [(a, exponents[0]), (b, exponents[1])]
            .map(|(quantized, exponent)| Multiplier { quantized, exponent });
        let error = real(a.times(b)) / (real(a) * real(b)) - 1.0;
        prop_assert!(error.abs() < 0.5_f64.powi(26));
        let error = real(b.divided_by(count)) / (real(b) / f64::from(count)) - 1.0;
        prop_assert!(error.abs() < 0.5_f64.powi(28));
    }

    #[test]
    fn normalized_8_bit_elements_are_within_a_step_of_real_arithmetic(
        case in cases(false), seed in proptest::collection::vec(any::<i8>(), 600),
    ) {
        let input: Vec<i8> = seed.into_iter().cycle().take(case.n * 3).collect();
        let (found, expected) = both(&case, &input, Clamp { min: -128, max: 127 });
        for (found, expected) in found.into_iter().zip(expected) {
            prop_assert!((f64::from(found) - expected).abs() < 0.53, "{found} for {expected}");
        }
    }

    #[test]
    fn normalized_16_bit_elements_are_within_a_step_of_real_arithmetic(
        case in cases(true), seed in proptest::collection::vec(any::<i16>(), 600),
    ) {
        let input: Vec<i16> = seed.into_iter().cycle().take(case.n * 3).collect();
        let (found, expected) = both(&case, &input, Clamp { min: -32768, max: 32767 });
        for (found, expected) in found.into_iter().zip(expected) {
            prop_assert!((f64::from(found) - expected).abs() < 1.0, "{found} for {expected}");
        }
    }

    #[test]
    fn reductions_are_the_nearest_integers_to_real_ones(
        input in proptest::collection::vec(any::<i8>(), 60), zero_point in -128_i32..=127,
        share in 0.2_f64..1.0, which in 0_usize..6,
    ) {
        let reduction = [
            Reduction::Max, Reduction::Min, Reduction::Sum, Reduction::SumOfMagnitudes,
            Reduction::SumOfSquares, Reduction::RootOfSquares,
        ][which];
        let (reduced, inner) = (5, 3);
        let differences = |i: usize, j: usize| -> Vec<f64> {
            (0..reduced)
                .map(|k| f64::from(i32::from(input[(i * reduced + k) * inner + j]) - zero_point))
                .collect()
        };
        let value = |d: Vec<f64>| match reduction {
            Reduction::Max => d.into_iter().fold(f64::MIN, f64::max),
            Reduction::Min => d.into_iter().fold(f64::MAX, f64::min),
            Reduction::Sum => d.into_iter().sum(),
            Reduction::SumOfMagnitudes => d.into_iter().map(f64::abs).sum(),
            Reduction::SumOfSquares => d.into_iter().map(|d| d * d).sum(),
            Reduction::RootOfSquares => d.into_iter().map(|d| d * d).sum::<f64>().sqrt() * 256.0,
        };
        let all = (0..4).flat_map(|i| (0..inner).map(move |j| (i, j)));
        let real: Vec<f64> = all.map(|(i, j)| value(differences(i, j))).collect();
        let largest = real.iter().fold(1.0_f64, |m, x| m.max(x.abs()));
        let factor = 127.0 / largest * share;
        let multiplier = Multiplier::from_real(factor).expect("a usual factor");
        let mut found = [0_i8; 12];
        let (clamp, points) = (Clamp { min: -128, max: 127 }, [zero_point, 0]);
        reduce(reduction, [reduced, inner], multiplier, points, clamp, &input, &mut found);
        for (found, real) in found.into_iter().zip(real) {
            // Rounded twice, as TensorFlow Lite does.
            prop_assert!((f64::from(found) - real * factor).abs() < 0.76, "{found} for {real}");
        }
    }

    #[test]
    fn selections_are_those_of_a_stable_sort(
        input in proptest::collection::vec(-9_i8..9, 40), k in 1_usize..=10,
        smallest in any::<bool>(), last in any::<bool>(),
    ) {
        let depth = 10;
        let mut places = vec![0_i16; 4 * k];
        let mut values = vec![0_i8; 4 * k];
        let selection = Selection { smallest, last, indices: true };
        top_k(selection, depth, k, &input, &mut places);
        top_k(Selection { indices: false, ..selection }, depth, k, &input, &mut values);
        let mut expected = Vec::new();
        for row in input.chunks(depth) {
            let mut order: Vec<usize> = (0..depth).collect();
            if last {
                order.reverse();
            }
            order.sort_by_key(|&i| if smallest { i32::from(row[i]) } else { -i32::from(row[i]) });
            expected.extend(order[..k].iter().map(|&i| (i as i16, row[i])));
        }
        let found: Vec<(i16, i8)> = places.into_iter().zip(values).collect();
        prop_assert_eq!(found, expected);
    }
}
