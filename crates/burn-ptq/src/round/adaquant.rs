//! AdaQuant: weights and scales learned through straight-through gradients.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::learn::{Learned, Problem, round_ste, train};
use super::{Rounded, Rounding, RoundingProblem};

/// Moves each weight as far as it takes, and the scales with them.
///
/// `w^ = s clamp(round(w / s))` with straight-through gradients; weights and scales are learned by
/// Adam on the layer's squared output error (Hubara et al., AdaQuant, 2020).
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AdaQuant {
    /// Steps of the optimizer.
    pub iterations: usize,
    /// The learning rate of the optimizer, in quantization steps for weights, relative for scales.
    pub learning_rate: f64,
}

impl Default for AdaQuant {
    fn default() -> Self {
        Self { iterations: 1000, learning_rate: 2e-2 }
    }
}

/// The variables of one layer.
#[derive(Module, Debug)]
pub struct MovedWeights {
    /// The weights in steps of the first scale, `[groups, out_channels / groups, len]`.
    weights: Param<Tensor<3>>,
    /// The logarithm of the scales over the first ones.
    scales: Param<Tensor<3>>,
    #[module(skip)]
    first: Tensor<3>,
    #[module(skip)]
    bounds: [f32; 2],
    #[module(skip)]
    fixed_scale: bool,
}

impl Learned for MovedWeights {
    fn integers(&self) -> Tensor<3> {
        let units = self.weights.val() / (self.scale() / self.first.clone());
        round_ste(units.clamp(self.bounds[0], self.bounds[1]))
    }

    fn scale(&self) -> Tensor<3> {
        if self.fixed_scale {
            self.first.clone()
        } else {
            self.first.clone() * self.scales.val().exp()
        }
    }
}

impl Rounding for AdaQuant {
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
        let module = MovedWeights {
            weights: Param::from_tensor(problem.target.clone() / problem.scale.clone()),
            scales: Param::from_tensor(problem.scale.zeros_like()),
            first: problem.scale.clone(),
            bounds: problem.bounds,
            fixed_scale,
        };
        train(module, &problem, self.iterations, self.learning_rate)
    }
}
