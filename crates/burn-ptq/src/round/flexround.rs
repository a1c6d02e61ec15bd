//! FlexRound: learned division before rounding.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::learn::{Learned, Problem, round_ste, train};
use super::{Rounded, Rounding, RoundingProblem};

/// Learns what each weight is divided by before it is rounded to nearest.
///
/// `w^ = s1 clamp(round(w / (s1 exp(S2 + s3))))`: a divisor of its own for each weight and each
/// output channel, without a regularizer; large weights may move several steps (Lee et al.,
/// FlexRound, 2023).
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct FlexRound {
    /// Steps of the optimizer.
    pub iterations: usize,
    /// The learning rate of the optimizer.
    pub learning_rate: f64,
}

impl Default for FlexRound {
    fn default() -> Self {
        Self { iterations: 1000, learning_rate: 2e-2 }
    }
}

/// The variables of one layer.
#[derive(Module, Debug)]
pub struct Divisors {
    /// The logarithm of `s1` over the first scale, one per output channel.
    scales: Param<Tensor<3>>,
    /// `S2`, `[groups, out_channels / groups, len]`.
    weights: Param<Tensor<3>>,
    /// `s3`, one per output channel.
    channels: Param<Tensor<3>>,
    #[module(skip)]
    target: Tensor<3>,
    #[module(skip)]
    first: Tensor<3>,
    #[module(skip)]
    bounds: [f32; 2],
    #[module(skip)]
    fixed_scale: bool,
}

impl Learned for Divisors {
    fn integers(&self) -> Tensor<3> {
        let divisor = self.scale() * (self.weights.val() + self.channels.val()).exp();
        round_ste((self.target.clone() / divisor).clamp(self.bounds[0], self.bounds[1]))
    }

    fn scale(&self) -> Tensor<3> {
        if self.fixed_scale {
            self.first.clone()
        } else {
            self.first.clone() * self.scales.val().exp()
        }
    }
}

impl Rounding for FlexRound {
    fn needs_inputs(&self) -> bool {
        true
    }

    fn is_random(&self) -> bool {
        false
    }

    fn steps(&self) -> usize {
        self.iterations
    }

    fn round(&self, problem: &RoundingProblem) -> Rounded {
        let fixed_scale = problem.qparams.scheme.power_of_two || problem.qparams.scales.len() == 1;
        let problem = Problem::new(problem);
        let module = Divisors {
            scales: Param::from_tensor(problem.scale.zeros_like()),
            weights: Param::from_tensor(problem.target.zeros_like()),
            channels: Param::from_tensor(problem.scale.zeros_like()),
            target: problem.target.clone(),
            first: problem.scale.clone(),
            bounds: problem.bounds,
            fixed_scale,
        };
        train(module, &problem, self.iterations, self.learning_rate)
    }
}
