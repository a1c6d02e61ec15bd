//! AdaRound: learned rounding up or down.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;

use super::learn::{Learned, Problem, train};
use super::{Rounded, Rounding, RoundingProblem};

/// Learns for each weight whether it is rounded down or up.
///
/// `w^ = s (clamp(floor(w/s) + h(a)))` with the rectified sigmoid
/// `h(a) = clamp(1.2 sigmoid(a) - 0.1, 0, 1)`; the layer's squared output error plus
/// `sum 1 - |2h - 1|^beta` is minimized by Adam, `beta` falling from 20 to 2 (Nagel et al., Up or
/// Down?, 2020). Both terms are means over the weights, the error in units of that of rounding to
/// nearest.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AdaRound {
    /// Steps of the optimizer.
    pub iterations: usize,
    /// The learning rate of the optimizer.
    pub learning_rate: f64,
    /// The weight of the regularizer.
    pub regularization: f64,
    /// The share of the iterations before the regularizer sets in.
    pub warm_up: f64,
}

impl Default for AdaRound {
    fn default() -> Self {
        Self { iterations: 1500, learning_rate: 1e-2, regularization: 10.0, warm_up: 0.2 }
    }
}

/// The stretch of the rectified sigmoid: `zeta - gamma` and `gamma`.
const STRETCH: f32 = 1.2;
const OFFSET: f32 = -0.1;

/// The variables of one layer.
#[derive(Module, Debug)]
pub struct SoftRounding {
    /// `a`, `[groups, out_channels / groups, len]`.
    variables: Param<Tensor<3>>,
    #[module(skip)]
    floor: Tensor<3>,
    #[module(skip)]
    scale: Tensor<3>,
    #[module(skip)]
    bounds: [f32; 2],
    #[module(skip)]
    regularizer: Regularizer,
}

#[derive(Clone, Copy, Debug)]
struct Regularizer {
    weight: f64,
    warm_up: f64,
}

impl SoftRounding {
    /// `h(a)`, between rounding down and rounding up.
    pub(crate) fn share(&self) -> Tensor<3> {
        rectified_sigmoid(self.variables.val())
    }
}

/// `clamp(1.2 sigmoid(a) - 0.1, 0, 1)`.
pub(crate) fn rectified_sigmoid<const D: usize>(variables: Tensor<D>) -> Tensor<D> {
    (sigmoid(variables) * STRETCH + OFFSET).clamp(0.0, 1.0)
}

/// The variable at which the rectified sigmoid is `fraction`.
pub(crate) fn inverse_rectified_sigmoid<const D: usize>(fraction: Tensor<D>) -> Tensor<D> {
    -((fraction - OFFSET).recip() * STRETCH - 1.0).log()
}

/// `1 - |2h - 1|^beta`, which is zero where `h` is decided.
pub(crate) fn indecision<const D: usize>(share: Tensor<D>, beta: f64) -> Tensor<D> {
    // The power's gradient at zero is not finite below an exponent of 1.
    let distance = (share * 2.0 - 1.0).abs().clamp_min(1e-6);
    -distance.powf_scalar(beta as f32) + 1.0
}

/// `beta` after `progress` of the training, from 20 to 2 along a cosine; `None` while warming up.
pub(crate) fn annealed(progress: f64, warm_up: f64) -> Option<f64> {
    let share = (progress - warm_up) / (1.0 - warm_up).max(f64::MIN_POSITIVE);
    (share >= 0.0).then(|| 2.0 + 9.0 * (1.0 + (share.min(1.0) * std::f64::consts::PI).cos()))
}

impl Learned for SoftRounding {
    fn integers(&self) -> Tensor<3> {
        (self.floor.clone() + self.share()).clamp(self.bounds[0], self.bounds[1])
    }

    fn scale(&self) -> Tensor<3> {
        self.scale.clone()
    }

    fn penalty(&self, progress: f64) -> Option<Tensor<1>> {
        let beta = annealed(progress, self.regularizer.warm_up)?;
        Some(indecision(self.share(), beta).mean() * self.regularizer.weight)
    }

    fn hardened(&self) -> Tensor<3> {
        let up = self.share().greater_equal_elem(0.5).float();
        (self.floor.clone() + up).clamp(self.bounds[0], self.bounds[1])
    }
}

impl Rounding for AdaRound {
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
        let problem = Problem::new(problem);
        train(self.module(&problem), &problem, self.iterations, self.learning_rate)
    }
}

impl AdaRound {
    fn module(&self, problem: &Problem) -> SoftRounding {
        let units = problem.target.clone() / problem.scale.clone();
        let floor = units.clone().floor();
        SoftRounding {
            variables: Param::from_tensor(inverse_rectified_sigmoid(units - floor.clone())),
            floor,
            scale: problem.scale.clone(),
            bounds: problem.bounds,
            regularizer: Regularizer { weight: self.regularization, warm_up: self.warm_up },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Array;
    use crate::observe::Quadratic;
    use crate::quant::{Granularity, QParams, Range, Scheme};
    use crate::round::learn::train_module;

    #[test]
    fn soft_rounding_starts_at_the_fraction_and_ends_decided() {
        let data = (0..60).map(|i| (i as f32 * 12.9898).sin()).collect();
        let weight = Array::new([2, 30], data);
        let moment = |at: usize| 0.95_f32.powi((at / 30).abs_diff(at % 30) as i32);
        let hessians = (0..900).map(moment).collect();
        let quadratic = Quadratic { len: 30, groups: 1, hessians, target: weight.clone() };
        let scheme = Scheme::weights(4, Granularity::PerTensor).unwrap();
        let qparams = QParams::weights(&[Range { min: -1.0, max: 1.0 }], scheme);
        let device = burn::tensor::Device::flex();
        let problem = Problem::new(&RoundingProblem {
            layer: "l",
            weight: &weight,
            quadratic: Some(&quadratic),
            qparams: &qparams,
            seed: 0,
            device: &device,
            go_on: crate::round::GoOn::always(),
        });
        let adaround = AdaRound::default();
        let host = |x: Tensor<3>| x.into_data().try_to_vec::<f32>().unwrap();
        let module = adaround.module(&problem);
        let scale = qparams.scales[0];
        for (found, w) in host(module.share()).into_iter().zip(&weight.data) {
            assert!((found - (w / scale - (w / scale).floor())).abs() < 1e-3);
        }
        let (module, rounded) =
            train_module(module, &problem, adaround.iterations, adaround.learning_rate);
        let shares = host(module.share());
        assert!(shares.iter().all(|&h| !(0.01..=0.99).contains(&h)), "{shares:?}");
        for (q, w) in rounded.values.iter().zip(&weight.data) {
            let floor = (w / scale).floor();
            let inside = [floor, floor + 1.0].map(|q| q.clamp(-8.0, 7.0));
            assert!(inside.contains(&f32::from(*q)), "{q} for {}", w / scale);
        }
    }
}
