//! Range methods: from the distribution of a value to the interval that its grid covers.
//!
//! To add one: a file with a struct that implements [`RangeMethod`], and a line in each of the lists
//! below. A method for weights only, which may look at the layer's inputs, implements
//! [`WeightRange`] and needs a line in the second.

mod aciq;
mod choose;
mod kl;
mod lapq;
mod min_max;
mod moving_average;
mod mse;
mod octav;
mod on_grid;
mod output_mse;
mod percentile;
mod possible;
mod statistics;

pub use aciq::Aciq;
pub(crate) use choose::{GridChoice, choose_grids};
pub use kl::Kl;
pub use lapq::Lapq;
pub use min_max::MinMax;
pub use moving_average::MovingAverage;
pub use mse::Mse;
pub use octav::Octav;
pub use output_mse::OutputMse;
pub use percentile::Percentile;
pub(crate) use possible::is_zero;

use burn_ptq_kernels::grid::weight_range;

use crate::graph::Array;
use crate::observe::{Distribution, Quadratic, unit};
use crate::quant::{Granularity, QParams, Range, Scheme};
use crate::recipe::choice::choices;

/// A pure function of a value's distribution to the interval that its grid has to cover.
pub trait RangeMethod: Sync {
    /// The interval, within the observed minimum and maximum (widened to zero).
    fn range(&self, distribution: &Distribution, scheme: Scheme) -> Range;
}

choices! {
    /// The range methods that a recipe can name.
    RangeChoice of RangeMethod, a "range method" {
        "min-max" => MinMax: "the whole observed range",
        "moving-average" => MovingAverage: "extremes of batches, averaged with momentum 0.1",
        "percentile" => Percentile: "excludes the outermost elements",
        "mse" => Mse: "minimizes the p-th power of the error",
        "kl" => Kl: "minimizes the Kullback-Leibler divergence (8 bits)",
        "aciq" => Aciq: "analytic clip for a Gaussian or a Laplacian",
        "octav" => Octav: "balances rounding and clipping noise by Newton's method",
    }
}

/// A search of the ranges of all activations together, by what the network loses.
pub trait JointRange {
    /// Calibration samples that the loss is taken over; without any there is no search.
    fn samples(&self) -> usize {
        0
    }

    /// The best scales that were found.
    ///
    /// `scales_of` gives the scales of least `|x - x^|^p` for an exponent `p`; `loss` judges scales,
    /// or is `None` to stop, and then so is the result.
    fn search(
        &self,
        _scales_of: &dyn Fn(f32) -> Vec<f32>,
        _loss: &mut dyn FnMut(&[f32]) -> Option<f64>,
    ) -> Option<Vec<f32>> {
        None
    }
}

/// Leaves each range as its own method found it.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NoJointSearch {}

impl JointRange for NoJointSearch {}

choices! {
    /// The joint searches that a recipe can name.
    JointRangeChoice of JointRange, a "joint search of ranges" {
        "none" => NoJointSearch: "keeps the range that each value's method found",
        "lapq" => Lapq: "minimizes the loss of the network by Powell's method",
    }
}

/// The quantization parameters of an activation.
///
/// Methods see distributions of extreme magnitude in other units, in which squares of errors neither
/// vanish nor overflow. A method that leaves only zero is given the whole observed range.
pub fn activation_qparams(
    method: &dyn RangeMethod,
    distribution: &Distribution,
    scheme: Scheme,
) -> QParams {
    let magnitude = distribution.max.abs().max(distribution.min.abs());
    let unit = unit(magnitude);
    let scaled;
    let distribution = match unit == 1.0 {
        true => distribution,
        false => {
            scaled = distribution.in_units_of(unit);
            &scaled
        }
    };
    let range = or_whole(method.range(distribution, scheme), distribution);
    let mut qparams = QParams::activation(range, scheme);
    qparams.scales.iter_mut().for_each(|scale| *scale *= unit);
    qparams
}

/// `range`, or all of `distribution` if it contains only zero.
fn or_whole(range: Range, distribution: &Distribution) -> Range {
    if range.with_zero().magnitude() > 0.0 {
        return range;
    }
    Range { min: distribution.min, max: distribution.max }
}

/// A weight, and what is known of the inputs that it is multiplied with.
#[derive(Clone, Copy, Debug)]
pub struct WeightProblem<'a> {
    /// The float weights, output channels first.
    pub weight: &'a Array,
    /// What they may become.
    pub scheme: Scheme,
    /// What rounded weights cost at the layer's output, if the method asked for it.
    pub quadratic: Option<&'a Quadratic>,
}

/// A method that finds the intervals of a layer's weights: every [`RangeMethod`] is one.
pub trait WeightRange: Sync {
    /// Whether [`WeightProblem::quadratic`] is required.
    fn needs_inputs(&self) -> bool;

    /// The intervals, one for all weights or one per output channel, as the scheme has it.
    fn ranges(&self, problem: &WeightProblem) -> Vec<Range>;
}

impl<T: RangeMethod> WeightRange for T {
    fn needs_inputs(&self) -> bool {
        false
    }

    fn ranges(&self, problem: &WeightProblem) -> Vec<Range> {
        let of = |values| {
            let distribution = Distribution::of_constants(values);
            or_whole(self.range(&distribution, problem.scheme), &distribution)
        };
        match problem.scheme.granularity {
            Granularity::PerTensor => vec![of(problem.weight.data.as_slice())],
            Granularity::PerChannel => problem.weight.rows().map(of).collect(),
        }
    }
}

choices! {
    /// The range methods that a recipe can name for weights.
    WeightRangeChoice of WeightRange, a "range method for weights" {
        "min-max" => MinMax: "the whole observed range",
        "moving-average" => MovingAverage: "extremes of batches, averaged with momentum 0.1",
        "percentile" => Percentile: "excludes the outermost elements",
        "mse" => Mse: "minimizes the p-th power of the error",
        "kl" => Kl: "minimizes the Kullback-Leibler divergence (8 bits)",
        "aciq" => Aciq: "analytic clip for a Gaussian or a Laplacian",
        "octav" => Octav: "balances rounding and clipping noise by Newton's method",
        "output-mse" => OutputMse: "minimizes the squared error of the layer's output",
    }
}

/// The quantization parameters of a layer's weights.
///
/// Weights that lie on a grid of the scheme's bits already, from training with fake quantization,
/// keep it, whatever the method.
pub fn weight_qparams(method: &dyn WeightRange, problem: &WeightProblem) -> QParams {
    let mut qparams = QParams::weights(&method.ranges(problem), problem.scheme);
    if problem.scheme.power_of_two {
        return qparams;
    }
    let bounds = weight_range(problem.scheme.bits);
    let rows: Vec<&[f32]> = match problem.scheme.granularity {
        Granularity::PerTensor => vec![&problem.weight.data],
        Granularity::PerChannel => problem.weight.rows().collect(),
    };
    for (scale, row) in qparams.scales.iter_mut().zip(rows) {
        *scale = on_grid::scale(row, bounds).unwrap_or(*scale);
    }
    qparams
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn output_mse_with_white_inputs_equals_mse() {
        let weight = Array::new([3, 50], (0..150).map(|i| (i as f32 * 0.7).sin()).collect());
        let identity = (0..2500).map(|i| if i % 51 == 0 { 1.0 } else { 0.0 }).collect();
        let quadratic =
            Quadratic { len: 50, groups: 1, hessians: identity, target: weight.clone() };
        for granularity in [Granularity::PerChannel, Granularity::PerTensor] {
            for bits in [2, 3, 4, 8] {
                let scheme = Scheme::weights(bits, granularity).unwrap();
                let problem =
                    WeightProblem { weight: &weight, scheme, quadratic: Some(&quadratic) };
                let plain = Mse { exponent: 2.0, ..Mse::default() }.ranges(&problem);
                assert_eq!(OutputMse::default().ranges(&problem), plain, "{bits} bits");
            }
        }
    }

    #[test]
    fn output_mse_is_the_best_of_its_candidates_on_the_layers_output() {
        // Strongly correlated inputs: the error of the sum counts more than each weight's.
        let weight = Array::new([2, 20], (0..40).map(|i| (i as f32 * 1.3).cos()).collect());
        let matrix = (0..400).map(|i| if i % 21 == 0 { 1.0 } else { 0.95 }).collect();
        let quadratic = Quadratic { len: 20, groups: 1, hessians: matrix, target: weight.clone() };
        let scheme = Scheme::weights(3, Granularity::PerChannel).unwrap();
        let problem = WeightProblem { weight: &weight, scheme, quadratic: Some(&quadratic) };
        let error = |ranges: &[Range]| -> Vec<f32> {
            let qparams = QParams::weights(ranges, scheme);
            let row = |(o, row): (usize, &[f32])| {
                let d: Vec<f32> =
                    row.iter().map(|&w| w - qparams.grid(o).fake_quantize(w)).collect();
                let of =
                    |(a, m): (&f32, &[f32])| a * d.iter().zip(m).map(|(b, m)| b * m).sum::<f32>();
                d.iter().zip(quadratic.hessians.chunks(20)).map(of).sum()
            };
            weight.rows().enumerate().map(row).collect()
        };
        let best = error(&OutputMse::default().ranges(&problem));
        let plain = error(&Mse::default().ranges(&problem));
        let full = error(&MinMax {}.ranges(&problem));
        for o in 0..2 {
            assert!(best[o] <= plain[o] * 1.001 && best[o] <= full[o] * 1.001);
        }
        assert!(best.iter().sum::<f32>() < 0.9 * plain.iter().sum::<f32>());
    }

    /// Values at the quantiles of a distribution.
    fn quantiles(inverse: impl Fn(f64) -> f64) -> Distribution {
        let values: Vec<f32> =
            (0..20_000).map(|i| inverse((f64::from(i) + 0.5) / 20_000.0) as f32).collect();
        Distribution::of_constants(&values)
    }

    fn laplace() -> Distribution {
        quantiles(|u| if u < 0.5 { (2.0 * u).ln() } else { -(2.0 * (1.0 - u)).ln() })
    }

    #[test]
    fn aciq_and_octav_clip_a_laplacian_where_theory_does() {
        for (bits, clip) in [(2, 2.83), (3, 3.89), (4, 5.03)] {
            // OCTAV's clip solves clip = 3 * 4^bits * exp(-clip) for a Laplacian with b = 1.
            let mut exact: f64 = clip;
            for _ in 0..100 {
                exact = 0.5 * (exact + (3.0 * 4.0_f64.powi(bits.into())).ln() - exact.ln());
            }
            let scheme = Scheme::weights(bits, Granularity::PerTensor).unwrap();
            let octav = Octav::default().range(&laplace(), scheme);
            assert!((f64::from(octav.max) - exact).abs() < 0.02 * exact, "{octav:?}, {exact}");
            let aciq = Aciq {}.range(&laplace(), scheme);
            let table = [2.332, 3.045, 4.004][usize::from(bits) - 2];
            let sigma = [1.478, 1.805, 2.192][usize::from(bits) - 2] * 2.0_f32.sqrt();
            let near = |x: f32| (aciq.max - x).abs() < 0.02 * x;
            assert!(near(table) || near(sigma), "{aciq:?}");
        }
    }

    #[test]
    fn octav_comes_close_to_the_least_squared_error() {
        let distribution = laplace();
        for bits in [4, 6, 8] {
            let scheme = Scheme::weights(bits, Granularity::PerTensor).unwrap();
            let error = |range| squared_error(&distribution, &QParams::weights(&[range], scheme));
            let best = Mse { exponent: 2.0, steps: 400 }.range(&distribution, scheme);
            let found = Octav::default().range(&distribution, scheme);
            assert!(error(found) < 1.1 * error(best), "{bits} bits");
        }
    }

    #[test]
    fn kl_keeps_a_uniform_distribution_and_drops_a_far_outlier() {
        let scheme = Scheme::activations(8).unwrap();
        let uniform = Kl::default().range(&quantiles(|u| u), scheme);
        assert!(uniform.max > 0.97, "{uniform:?}");
        let mut values: Vec<f32> = (0..20_000).map(|i| i as f32 / 20_000.0).collect();
        values.push(30.0);
        let found = Kl::default().range(&Distribution::of_constants(&values), scheme);
        assert!(found.max < 5.0, "{found:?}");
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
