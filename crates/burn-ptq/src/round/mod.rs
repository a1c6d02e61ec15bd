//! Rounding schemes: from float weights to integers on a given grid.
//!
//! To add one: a file with a struct that implements [`Rounding`], and a line in the list below.

mod adaquant;
pub(crate) mod adaround;
mod coordinate_descent;
mod flexround;
mod gptq;
pub mod layerwise;
mod learn;
mod nearest;
mod obq;
mod stochastic;

pub use adaquant::{AdaQuant, MovedWeights};
pub use adaround::{AdaRound, SoftRounding};
pub use coordinate_descent::CoordinateDescent;
pub use flexround::{Divisors, FlexRound};
pub use gptq::{Gptq, Order};
pub(crate) use learn::round_ste;
pub use nearest::Nearest;
pub use obq::Obq;
pub use stochastic::Stochastic;

use burn::tensor::Device;
use burn_ptq_kernels::grid::{round_half_away, weight_range};
use rayon::prelude::*;

use crate::graph::Array;
use crate::observe::{Quadratic, TOGETHER};
use crate::quant::{Granularity, QParams};
use crate::recipe::choice::choices;

/// One layer's weights to be rounded.
#[derive(Clone, Copy, Debug)]
pub struct RoundingProblem<'a> {
    /// The layer's name.
    pub layer: &'a str,
    /// The float weights, output channels first.
    pub weight: &'a Array,
    /// What the rounding costs at the layer's output, if the rounding asked for it.
    pub quadratic: Option<&'a Quadratic>,
    /// Their grid, one scale or one per output channel.
    pub qparams: &'a QParams,
    /// The recipe's seed.
    pub seed: u64,
    /// Where a rounding that learns trains.
    pub device: &'a Device,
    /// What a rounding asks that may take long.
    pub go_on: GoOn<'a>,
}

/// Whether a long computation should continue: a rounding that is told otherwise returns its best
/// result so far.
#[derive(Clone, Copy)]
pub struct GoOn<'a>(Option<&'a dyn Fn() -> bool>);

impl<'a> GoOn<'a> {
    /// Asks `go_on`.
    pub fn new(go_on: &'a dyn Fn() -> bool) -> Self {
        Self(Some(go_on))
    }

    /// A computation that always continues.
    pub fn always() -> Self {
        Self(None)
    }

    /// Whether to continue.
    pub fn ask(self) -> bool {
        self.0.is_none_or(|go_on| go_on())
    }
}

impl std::fmt::Debug for GoOn<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GoOn")
    }
}

impl<'a> RoundingProblem<'a> {
    fn quadratic(&self) -> &'a Quadratic {
        self.quadratic.expect("the pipeline observes inputs for roundings that need them")
    }
}

/// Rounded weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Rounded {
    /// The integers, in the order of the weights, each within its grid.
    pub values: Vec<i8>,
    /// Their scales: the problem's, or better ones, as many as there were.
    pub scales: Vec<f32>,
}

/// A way to choose the integers of a layer's weights.
pub trait Rounding: Sync {
    /// Whether [`RoundingProblem::quadratic`](field@RoundingProblem::quadratic) is required.
    fn needs_inputs(&self) -> bool;

    /// Whether another [seed](RoundingProblem::seed) gives other integers.
    fn is_random(&self) -> bool;

    /// Gradient steps that are spent on a layer, each through all of its weights; 0 without training.
    fn steps(&self) -> usize;

    /// Rounds the weights of one layer.
    fn round(&self, problem: &RoundingProblem) -> Rounded;
}

choices! {
    /// The rounding schemes that a recipe can name.
    RoundingChoice of Rounding, a "rounding" {
        "nearest" => Nearest: "rounds to the nearest integer",
        "stochastic" => Stochastic: "rounds up with the probability of the fraction",
        "adaround" => AdaRound: "learns to round up or down",
        "adaquant" => AdaQuant: "learns weights and scales through straight-through gradients",
        "flexround" => FlexRound: "learns the divisors of weights",
        "obq" => Obq: "greedy; the remaining weights compensate for each error",
        "gptq" => Gptq: "in a fixed order; the remaining weights compensate for each error",
        "coordinate-descent" => CoordinateDescent: "sets one integer at a time to its best value, and refits scales",
    }
}

/// The scales of a layer's weights with the bounds that they share.
#[derive(Clone, Debug)]
struct Grids {
    scales: Vec<f32>,
    min: f32,
    max: f32,
    granularity: Granularity,
}

impl Grids {
    fn new(problem: &RoundingProblem) -> Self {
        let QParams { scales, scheme, .. } = problem.qparams;
        let (min, max) = weight_range(scheme.bits);
        let granularity = scheme.granularity;
        Self { scales: scales.clone(), min: min as f32, max: max as f32, granularity }
    }

    fn scale(&self, channel: usize) -> f32 {
        self.scales[if self.scales.len() == 1 { 0 } else { channel }]
    }

    /// The nearest integer of the grid, for a weight in units of the scale.
    fn nearest(&self, units: f32) -> f32 {
        round_half_away(units.clamp(self.min, self.max)) as f32
    }

    /// Replaces each scale by the quotient of its `[numerator, denominator]`, taken together over
    /// the channels that share it, where that is positive and no more than twice or half the scale.
    fn refit(&mut self, fits: &[[f64; 2]]) {
        let fitted = |scale: f32, [numerator, denominator]: [f64; 2]| {
            let fit = (numerator / denominator) as f32;
            if (0.5 * scale..=2.0 * scale).contains(&fit) { fit } else { scale }
        };
        match self.granularity {
            Granularity::PerChannel => {
                self.scales.iter_mut().zip(fits).for_each(|(s, &fit)| *s = fitted(*s, fit));
            }
            Granularity::PerTensor => {
                let sum = |i: usize| fits.iter().map(|fit| fit[i]).sum();
                self.scales.iter_mut().for_each(|s| *s = fitted(*s, [sum(0), sum(1)]));
            }
        }
    }
}

/// The rows of all output channels' integers in blocks with the same matrix, each with its first channel: as many
/// rows as the matrix is worth reading for, but enough blocks for all threads.
fn row_blocks<'a>(
    quadratic: &Quadratic,
    values: &'a mut [i8],
) -> impl ParallelIterator<Item = (usize, &'a mut [i8])> {
    let (len, channels) = (quadratic.len, quadratic.target.shape[0]);
    let per_group = channels / quadratic.groups;
    let shared = channels.div_ceil(2 * rayon::current_num_threads());
    let together = shared.next_multiple_of(4).clamp(4, TOGETHER);
    let groups = values.par_chunks_mut(len * per_group).enumerate();
    groups.flat_map(move |(group, values)| {
        let blocks = values.par_chunks_mut(len * together).enumerate();
        blocks.map(move |(block, values)| (group * per_group + block * together, values))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::Scheme;
    use crate::range::{MinMax, WeightProblem, weight_qparams};

    const LEN: usize = 50;

    fn layer(channels: usize, len: usize, bits: u8) -> (Array, QParams) {
        let number = |i: usize| (i as f32 * 12.9898).sin() * (i as f32 * 7.233).cos();
        let weight = Array::new([channels, len], (0..channels * len).map(number).collect());
        let scheme = Scheme::weights(bits, Granularity::PerChannel).unwrap();
        let problem = WeightProblem { weight: &weight, scheme, quadratic: None };
        let qparams = weight_qparams(&MinMax {}, &problem);
        (weight, qparams)
    }

    /// Inputs that resemble their neighbours, as pixels do.
    fn correlated(weight: &Array, len: usize) -> Quadratic {
        let moment = |i: usize, j: usize| 0.97_f32.powi(i.abs_diff(j) as i32);
        let hessians = (0..len * len).map(|at| moment(at / len, at % len)).collect();
        Quadratic { len, groups: 1, hessians, target: weight.clone() }
    }

    fn round(rounding: &dyn Rounding, seed: u64) -> Rounded {
        let (weight, qparams) = layer(4, LEN, 3);
        let quadratic = correlated(&weight, LEN);
        rounding.round(&RoundingProblem {
            layer: "l",
            weight: &weight,
            quadratic: Some(&quadratic),
            qparams: &qparams,
            seed,
            device: &Device::flex(),
            go_on: GoOn::always(),
        })
    }

    fn error(quadratic: &Quadratic, rounded: &Rounded) -> f64 {
        let rows = rounded.values.chunks(quadratic.len).zip(&rounded.scales).enumerate();
        rows.map(|(o, (row, scale))| {
            let row: Vec<f32> = row.iter().map(|&q| f32::from(q) * scale).collect();
            quadratic.error(o, &row)
        })
        .sum()
    }

    #[test]
    fn every_rounding_stays_in_the_grid() {
        for choice in RoundingChoice::all() {
            let rounded = round(choice.component(), 1);
            assert_eq!((rounded.values.len(), rounded.scales.len()), (4 * LEN, 4));
            let (min, max) = weight_range(3);
            let inside = rounded.values.iter().all(|&q| (min..=max).contains(&i32::from(q)));
            assert!(inside, "{}", choice.name());
        }
    }

    #[test]
    fn every_rounding_repeats_itself_for_a_seed() {
        for choice in RoundingChoice::all() {
            assert_eq!(round(choice.component(), 5), round(choice.component(), 5));
        }
    }

    #[test]
    fn the_seed_changes_the_integers_of_random_roundings_only() {
        for choice in RoundingChoice::all() {
            let rounding = choice.component();
            let changes = round(rounding, 1) != round(rounding, 2);
            assert_eq!(changes, rounding.is_random(), "{}", choice.name());
        }
    }

    #[test]
    fn roundings_that_look_at_inputs_beat_rounding_to_nearest_on_the_layers_output() {
        let (weight, _) = layer(4, LEN, 3);
        let quadratic = correlated(&weight, LEN);
        let nearest = error(&quadratic, &round(&Nearest {}, 0));
        for choice in RoundingChoice::all() {
            if choice.component().needs_inputs() {
                let found = error(&quadratic, &round(choice.component(), 0));
                println!("{}: {:.3} of nearest", choice.name(), found / nearest);
                assert!(found < 0.3 * nearest, "{}: {found} of {nearest}", choice.name());
            }
        }
    }

    /// The smallest error over all roundings of a row of eight weights on a fixed grid.
    fn brute_force(quadratic: &Quadratic, qparams: &QParams, channel: usize) -> f64 {
        let grid = qparams.grid(channel);
        let levels = (grid.max - grid.min + 1) as usize;
        let mut best = f64::INFINITY;
        for code in 0..levels.pow(8) {
            let value = |i: u32| grid.dequantize(grid.min + (code / levels.pow(i) % levels) as i32);
            let row: Vec<f32> = (0..8).map(value).collect();
            best = best.min(quadratic.error(channel, &row));
        }
        best
    }

    #[test]
    fn roundings_in_closed_form_come_close_to_the_best_of_all_roundings_of_eight_weights() {
        let (weight, qparams) = layer(6, 8, 2);
        let quadratic = correlated(&weight, 8);
        let problem = RoundingProblem {
            layer: "l",
            weight: &weight,
            quadratic: Some(&quadratic),
            qparams: &qparams,
            seed: 0,
            device: &Device::flex(),
            go_on: GoOn::always(),
        };
        let best: f64 = (0..6).map(|o| brute_force(&quadratic, &qparams, o)).sum();
        let nearest = error(&quadratic, &Nearest {}.round(&problem));
        let fixed_scale = CoordinateDescent { refits: 0, ..CoordinateDescent::default() };
        for (name, rounding) in [
            ("obq", &Obq {} as &dyn Rounding),
            ("gptq", &Gptq::default()),
            ("coordinate-descent", &fixed_scale),
        ] {
            let found = error(&quadratic, &rounding.round(&problem));
            println!("{name}: {found}, best {best}, nearest {nearest}");
            assert!(found >= best * 0.9999, "{name}: {found} below {best}");
            assert!(found < best + 0.35 * (nearest - best), "{name}: {found}, best {best}");
        }
    }

    #[test]
    fn uncorrelated_inputs_leave_nothing_to_make_up_for() {
        let (weight, qparams) = layer(3, 8, 4);
        let identity = (0..64).map(|i| if i % 9 == 0 { 1.0 } else { 0.0 }).collect();
        let quadratic = Quadratic { len: 8, groups: 1, hessians: identity, target: weight.clone() };
        let problem = RoundingProblem {
            layer: "l",
            weight: &weight,
            quadratic: Some(&quadratic),
            qparams: &qparams,
            seed: 0,
            device: &Device::flex(),
            go_on: GoOn::always(),
        };
        let nearest = Nearest {}.round(&problem);
        assert_eq!(Obq {}.round(&problem), nearest);
        assert_eq!(Gptq::default().round(&problem), nearest);
        let fixed_scale = CoordinateDescent { refits: 0, ..CoordinateDescent::default() };
        assert_eq!(fixed_scale.round(&problem), nearest);
    }

    #[test]
    fn stochastic_rounding_is_right_on_average() {
        let (weight, qparams) = layer(4, LEN, 3);
        let mut sums = vec![0.0; weight.len()];
        for seed in 0..400 {
            for (sum, q) in sums.iter_mut().zip(round(&Stochastic {}, seed).values) {
                *sum += f64::from(q) / 400.0;
            }
        }
        let worst = sums.iter().zip(&weight.data).enumerate().map(|(i, (mean, w))| {
            let grid = qparams.grid(i / LEN);
            let wanted = (w / grid.scale).clamp(grid.min as f32, grid.max as f32);
            (mean - f64::from(wanted)).abs()
        });
        assert!(worst.fold(0.0, f64::max) < 0.12);
    }
}
