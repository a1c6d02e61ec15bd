//! Range methods: from the distribution of a value to the interval that its grid covers.
//!
//! To add one: a file with a struct that implements [`RangeMethod`], and a line in the list below.

mod min_max;
mod moving_average;
mod mse;
mod percentile;

pub use min_max::MinMax;
pub use moving_average::MovingAverage;
pub use mse::Mse;
pub use percentile::Percentile;

use crate::choice::choices;
use crate::observe::Distribution;
use crate::quant::{QParams, Range, Scheme};

/// A pure function of a value's distribution to the interval that its grid shall cover.
pub trait RangeMethod {
    /// The interval, within the observed minimum and maximum (widened to zero).
    fn range(&self, distribution: &Distribution, scheme: Scheme) -> Range;
}

choices! {
    /// The range methods that a recipe can name.
    RangeChoice of RangeMethod, a "range method" {
        "min-max" => MinMax,
        "moving-average" => MovingAverage,
        "percentile" => Percentile,
        "mse" => Mse,
    }
}

/// The quantization parameters of an activation.
pub fn activation_qparams(
    method: &dyn RangeMethod,
    distribution: &Distribution,
    scheme: Scheme,
) -> QParams {
    QParams::activation(method.range(distribution, scheme), scheme)
}

/// The quantization parameters of a weight whose first axis has `channels` rows of `weights`.
pub fn weight_qparams(
    method: &dyn RangeMethod,
    weights: &crate::graph::Array,
    scheme: Scheme,
) -> QParams {
    let of = |values: &[f32]| method.range(&Distribution::of_constants(values), scheme);
    let ranges: Vec<Range> = match scheme.granularity {
        crate::quant::Granularity::PerTensor => vec![of(&weights.data)],
        crate::quant::Granularity::PerChannel => weights.rows().map(of).collect(),
    };
    QParams::weights(&ranges, scheme)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::Granularity;

    fn bell() -> Distribution {
        // Sums of four uniform values: a bell with thin tails, plus one outlier.
        let mut state = 7_u32;
        let mut uniform = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        let mut values: Vec<f32> =
            (0..2000).map(|_| uniform() + uniform() + uniform() + uniform()).collect();
        values.push(12.0);
        Distribution::of_constants(&values)
    }

    fn squared_error(distribution: &Distribution, qparams: &QParams) -> f64 {
        let grid = qparams.grid(0);
        let error = |x: f32| f64::from(x - grid.fake_quantize(x)).powi(2);
        distribution.points.iter().map(|&(x, n)| n * error(x)).sum()
    }

    #[test]
    fn every_method_stays_within_the_observed_range() {
        let distribution = bell();
        for choice in RangeChoice::all() {
            for scheme in [
                Scheme::activations(4).unwrap(),
                Scheme::activations(8).unwrap(),
                Scheme::weights(2, Granularity::PerTensor).unwrap(),
                Scheme::weights(8, Granularity::PerTensor).unwrap(),
            ] {
                let range = choice.component().range(&distribution, scheme);
                assert!(range.min <= range.max, "{}: {range:?}", choice.name());
                assert!(range.min >= distribution.min.min(0.0), "{}: {range:?}", choice.name());
                assert!(range.max <= distribution.max.max(0.0), "{}: {range:?}", choice.name());
            }
        }
    }

    #[test]
    fn every_method_takes_constants_zeros_and_one_sided_values() {
        for values in [vec![0.0; 5], vec![3.5; 4], vec![-2.0, -1.0], vec![1.0, 2.0], vec![1e-30]] {
            let distribution = Distribution::of_constants(&values);
            for choice in RangeChoice::all() {
                let scheme = Scheme::activations(8).unwrap();
                let qparams = activation_qparams(choice.component(), &distribution, scheme);
                let grid = qparams.grid(0);
                assert!(grid.scale.is_finite() && grid.scale > 0.0, "{}", choice.name());
                assert!((grid.min..=grid.max).contains(&grid.zero_point), "{}", choice.name());
            }
        }
    }

    #[test]
    fn mse_is_no_worse_than_min_max_and_much_better_at_low_bits() {
        let distribution = bell();
        let mse = Mse { exponent: 2.0, ..Mse::default() };
        for bits in [2, 3, 4, 6, 8] {
            let scheme = Scheme::weights(bits, Granularity::PerTensor).unwrap();
            let error = |method: &dyn RangeMethod| {
                let range = method.range(&distribution, scheme);
                squared_error(&distribution, &QParams::weights(&[range], scheme))
            };
            let (best, plain) = (error(&mse), error(&MinMax::default()));
            assert!(best <= plain * 1.0001, "{bits} bits: {best} against {plain}");
            if bits <= 4 {
                assert!(best < 0.8 * plain, "{bits} bits: {best} against {plain}");
            }
        }
    }

    #[test]
    fn the_percentile_drops_the_outlier() {
        let range = Percentile { percentile: 99.9 }.range(&bell(), Scheme::activations(8).unwrap());
        assert!(range.max < 3.0, "{range:?}");
        assert!(range.min < -1.0, "{range:?}");
    }

    #[test]
    fn choices_parse_by_name_and_by_table_and_refuse_the_rest() {
        #[derive(serde::Deserialize, Debug)]
        struct Stage {
            range: RangeChoice,
        }
        let parse = |text: &str| toml::from_str::<Stage>(text);
        assert_eq!(parse("range = 'mse'").unwrap().range, RangeChoice::Mse(Mse::default()));
        let table = parse("[range.percentile]\npercentile = 99.0").unwrap().range;
        assert_eq!(table, RangeChoice::Percentile(Percentile { percentile: 99.0 }));
        for (text, message) in [
            ("range = 'mze'", "did you mean 'mse'?"),
            ("[range.mse]\nexpnent = 2.0", "unknown field `expnent`"),
            ("[range.mse]\n[range.min-max]", "two choices of a range method at once"),
            ("[range]", "no range method is named"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
            assert!(error.contains("line"), "no position in: {error}");
        }
    }
}
