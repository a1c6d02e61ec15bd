//! Rounding schemes: from float weights to integers on a given grid.
//!
//! To add one: a file with a struct that implements [`Rounding`], and a line in the list below.

mod nearest;
mod stochastic;

pub use nearest::Nearest;
pub use stochastic::Stochastic;

use crate::choice::choices;
use crate::graph::Array;
use crate::quant::QParams;

/// One layer's weights to be rounded.
#[derive(Clone, Copy, Debug)]
pub struct RoundingProblem<'a> {
    /// The layer's name.
    pub layer: &'a str,
    /// The float weights, output channels first.
    pub weight: &'a Array,
    /// Their grid, one scale or one an output channel.
    pub qparams: &'a QParams,
    /// The recipe's seed.
    pub seed: u64,
}

/// A way to choose the integers of a layer's weights.
pub trait Rounding {
    /// The integers, in the order of the weights, each within its grid.
    fn round(&self, problem: &RoundingProblem) -> Vec<i8>;
}

choices! {
    /// The rounding schemes that a recipe can name.
    RoundingChoice of Rounding, a "rounding" {
        "nearest" => Nearest,
        "stochastic" => Stochastic,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::{Granularity, Scheme};
    use crate::range::{MinMax, WeightProblem, weight_qparams};

    fn layer() -> (Array, QParams) {
        let data = (0..4 * 50).map(|i| ((i * 37 % 101) as f32 - 50.0) * 0.013).collect();
        let weight = Array::new([4, 50], data);
        let scheme = Scheme::weights(3, Granularity::PerChannel).unwrap();
        let problem = WeightProblem { weight: &weight, scheme, gram: None };
        let qparams = weight_qparams(&MinMax {}, &problem);
        (weight, qparams)
    }

    fn round(rounding: &dyn Rounding, seed: u64) -> Vec<i8> {
        let (weight, qparams) = layer();
        rounding.round(&RoundingProblem { layer: "l", weight: &weight, qparams: &qparams, seed })
    }

    #[test]
    fn every_rounding_stays_within_one_step_of_the_weight_and_in_the_grid() {
        let (weight, qparams) = layer();
        for choice in RoundingChoice::all() {
            let integers = round(choice.component(), 1);
            assert_eq!(integers.len(), weight.len());
            for (i, (&q, &w)) in integers.iter().zip(&weight.data).enumerate() {
                let grid = qparams.grid(i / 50);
                assert!((grid.min..=grid.max).contains(&i32::from(q)), "{}", choice.name());
                let error = (grid.dequantize(q.into()) - w).abs();
                assert!(error <= grid.scale * 1.001, "{}: {error}", choice.name());
            }
        }
    }

    #[test]
    fn every_rounding_repeats_itself_for_a_seed() {
        for choice in RoundingChoice::all() {
            assert_eq!(round(choice.component(), 5), round(choice.component(), 5));
        }
    }

    #[test]
    fn stochastic_rounding_is_right_on_average() {
        let (weight, qparams) = layer();
        let mut sums = vec![0.0; weight.len()];
        for seed in 0..400 {
            for (sum, q) in sums.iter_mut().zip(round(&Stochastic {}, seed)) {
                *sum += f64::from(q) / 400.0;
            }
        }
        let worst = sums.iter().zip(&weight.data).enumerate().map(|(i, (mean, w))| {
            let grid = qparams.grid(i / 50);
            let wanted = (w / grid.scale).clamp(grid.min as f32, grid.max as f32);
            (mean - f64::from(wanted)).abs()
        });
        assert!(worst.fold(0.0, f64::max) < 0.12);
    }
}
