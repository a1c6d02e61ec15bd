//! What is learned: weights, scales and biases of layers, and scales of activations.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use burn_ptq_kernels::grid::{Grid, weight_range};

use super::{LearnedRounding, Reconstruction};
use crate::quant::{QuantizedWeights, round_half_away};
use crate::round::adaround::{indecision, inverse_rectified_sigmoid, rectified_sigmoid};
use crate::round::round_ste;

/// A scale's variable of one stands for this factor, so that one learning rate serves all variables.
const SCALE_UNIT: f64 = 0.2;

/// The variables of one layer.
#[derive(Module, Debug)]
pub struct LayerVariables {
    /// The weights in steps of their scale, or the variables of soft rounding; `[out, len]`.
    weights: Param<Tensor<2>>,
    /// Logarithms of the scales over the first ones, `[out, 1]` or `[1, 1]`.
    scales: Param<Tensor<2>>,
    /// Changes of the biases in `bias_unit`, `[out]`.
    bias: Param<Tensor<1>>,
    frozen: Frozen,
}

/// What does not change.
#[derive(Module, Debug)]
struct Frozen {
    /// What soft rounding adds to.
    floor: Option<Tensor<2>>,
    scales: Tensor<2>,
    bias: Tensor<1>,
    bias_unit: Tensor<1>,
    #[module(skip)]
    bounds: [f32; 2],
    #[module(skip)]
    learn_scales: bool,
    #[module(skip)]
    dims: Vec<usize>,
}

impl LayerVariables {
    /// The variables of a layer that stand for what `weights` of shape `dims` are.
    ///
    /// `spread` is the standard deviation of the layer's outputs.
    pub fn new(
        weights: &QuantizedWeights,
        dims: &[usize],
        input_scale: f32,
        spread: f32,
        recipe: &Reconstruction,
        device: &Device,
    ) -> Self {
        let channels = weights.bias.len();
        let len = weights.values.len() / channels;
        let (min, max) = weight_range(weights.bits);
        let units: Vec<f32> = weights.values.iter().map(|&q| f32::from(q)).collect();
        let matrix = |data: Vec<f32>, shape: [usize; 2]| {
            Tensor::<2>::from_data(TensorData::new(data, shape), device)
        };
        let vector = |data: Vec<f32>| Tensor::<1>::from_floats(data.as_slice(), device);
        let units = matrix(units, [channels, len]);
        let (start, floor) = match recipe.rounding {
            LearnedRounding::StraightThrough => (units, None),
            LearnedRounding::Adaround => {
                let floor = units.clone().floor();
                let share = (units - floor.clone()).clamp(0.01, 0.99);
                (inverse_rectified_sigmoid(share), Some(floor))
            }
        };
        let scales = matrix(weights.scales.clone(), [weights.scales.len(), 1]);
        let bias = vector(weights.dequantize_bias(input_scale).data);
        Self {
            weights: Param::from_tensor(start),
            scales: Param::from_tensor(scales.zeros_like()),
            bias: Param::from_tensor(bias.zeros_like()),
            frozen: Frozen {
                floor,
                scales,
                bias_unit: vector(vec![spread.max(f32::MIN_POSITIVE); channels]),
                bias,
                bounds: [min as f32, max as f32],
                learn_scales: recipe.learn_weight_scales,
                dims: dims.to_vec(),
            },
        }
    }

    /// The integers, or what stands for them while training, `[out, len]`.
    fn integers(&self) -> Tensor<2> {
        let [min, max] = self.frozen.bounds;
        match &self.frozen.floor {
            None => round_ste(self.weights.val().clamp(min, max)),
            Some(floor) => (floor.clone() + self.share()).clamp(min, max),
        }
    }

    fn share(&self) -> Tensor<2> {
        rectified_sigmoid(self.weights.val())
    }

    fn scales(&self) -> Tensor<2> {
        if self.frozen.learn_scales {
            self.frozen.scales.clone() * (self.scales.val() * SCALE_UNIT).exp()
        } else {
            self.frozen.scales.clone()
        }
    }

    fn biases(&self) -> Tensor<1> {
        self.frozen.bias.clone() + self.bias.val() * self.frozen.bias_unit.clone()
    }

    /// Weights and biases as the layer's operation takes them, flat.
    pub fn parameters(&self) -> [Tensor<1>; 2] {
        let weights = self.integers() * self.scales();
        let len = self.frozen.dims.iter().product::<usize>();
        [weights.reshape::<1, _>([len]), self.biases()]
    }

    /// What undecided weights cost, per weight.
    pub fn indecision(&self, beta: f64) -> Option<Tensor<1>> {
        self.frozen.floor.as_ref().map(|_| indecision(self.share(), beta).mean())
    }

    /// Integers, scales and real biases at the end.
    pub fn hardened(&self) -> (Vec<i8>, Vec<f32>, Vec<f64>) {
        let [min, max] = self.frozen.bounds;
        let integers = match &self.frozen.floor {
            None => self.weights.val().clamp(min, max).round(),
            Some(floor) => {
                (floor.clone() + self.share().greater_equal_elem(0.5).float()).clamp(min, max)
            }
        };
        let host = |data: TensorData| -> Vec<f32> {
            data.convert::<f32>().try_to_vec().expect("a float tensor holds floats")
        };
        (
            host(integers.into_data()).into_iter().map(|q| q as i8).collect(),
            host(self.scales().into_data()),
            host(self.biases().into_data()).into_iter().map(f64::from).collect(),
        )
    }
}

/// The grid of values that share one, with a scale that may be learned.
#[derive(Module, Debug)]
pub struct ActivationVariables {
    /// The logarithm of the scale over the first one.
    scale: Param<Tensor<1>>,
    #[module(skip)]
    grid: Grid,
    #[module(skip)]
    learn: bool,
}

impl ActivationVariables {
    /// A grid whose scale starts as it is.
    pub fn new(grid: Grid, learn: bool, device: &Device) -> Self {
        Self { scale: Param::from_tensor(Tensor::zeros([1], device)), grid, learn }
    }

    /// The scale.
    pub fn scale(&self) -> f32 {
        let factor = (self.scale.val() * SCALE_UNIT).exp().into_scalar::<f32>();
        if self.learn { self.grid.scale * factor } else { self.grid.scale }
    }

    /// Rounds `x` to the grid, with straight-through gradients for `x` and those of LSQ for the
    /// scale. Elements that `keep` drops stay as they are except for the clamp.
    pub fn forward(&self, x: Tensor<4>, keep: Option<Tensor<4>>) -> Tensor<4> {
        let scale = self.scale();
        let Grid { zero_point, min, max, .. } = self.grid;
        let [low, high] = [(min - zero_point) as f32, (max - zero_point) as f32];
        let inside = x.clone().clamp(low * scale, high * scale);
        // Off the tape: what rounding changes, and how the result moves with the scale.
        let plain = x.without_autodiff();
        let units = plain.clone() / scale;
        let levels = round_half_away(units.clone()).clamp(low, high);
        let mut error = levels.clone() * scale - plain.clone().clamp(low * scale, high * scale);
        let mut slope = levels - units.clamp(low, high);
        if self.learn {
            slope = slope.mask_fill(plain.clone().lower_elem(low * scale), low);
            slope = slope.mask_fill(plain.greater_elem(high * scale), high);
        }
        if let Some(keep) = keep {
            error = error * keep.clone();
            slope = slope * keep;
        }
        let y = inside + error;
        if !self.learn {
            return y;
        }
        // Zero, with the gradient of LSQ: `d y / d scale` is the slope.
        let variable = self.scale.val() * SCALE_UNIT * scale;
        let moved = (variable.clone() - variable.detach()).reshape::<4, _>([1, 1, 1, 1]);
        y + moved * slope
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRID: Grid = Grid { scale: 0.3, zero_point: -3, min: -8, max: 7 };

    /// What straight-through estimation takes the rounded value for when the scale moves: rounding
    /// errors, in steps, and saturation stay as they are.
    fn surrogate(x: f64, scale: f64) -> f64 {
        let first = f64::from(GRID.scale);
        let [low, high] = [GRID.min - GRID.zero_point, GRID.max - GRID.zero_point].map(f64::from);
        let units = x / first;
        if units < low || units > high {
            return units.clamp(low, high) * scale;
        }
        x + (units.round() - units) * scale
    }

    #[test]
    fn the_gradient_of_a_scale_is_that_of_the_surrogate() {
        let device = Device::flex().autodiff();
        let values = [-9.0_f32, -1.42, -0.2, 0.0, 0.44, 1.7, 2.99, 40.0];
        let weights = [0.3_f32, -1.0, 0.7, 2.0, -0.4, 1.1, 0.2, 0.05];
        let tensor =
            |x: [f32; 8]| Tensor::<1>::from_floats(x, &device).reshape::<4, _>([1, 8, 1, 1]);
        let variables = ActivationVariables::new(GRID, true, &device);
        let loss = (variables.forward(tensor(values), None) * tensor(weights)).sum();
        let gradients = loss.backward();
        let found = variables.scale.val().grad(&gradients).unwrap().into_scalar::<f32>();
        let at = |factor: f64| -> f64 {
            let scale = f64::from(GRID.scale) * (SCALE_UNIT * factor).exp();
            values
                .iter()
                .zip(weights)
                .map(|(&x, w)| f64::from(w) * surrogate(x.into(), scale))
                .sum()
        };
        let expected = (at(1e-4) - at(-1e-4)) / 2e-4;
        assert!((f64::from(found) - expected).abs() < 1e-3, "{found}, expected {expected}");
    }

    #[test]
    fn rounded_values_are_those_of_the_grid_and_dropped_ones_are_not() {
        let device = Device::flex().autodiff();
        let x = Tensor::<1>::from_floats([-9.0, -0.2, 0.44, 40.0], &device);
        let x = x.reshape::<4, _>([1, 4, 1, 1]);
        let keep = Tensor::<1>::from_floats([1.0, 1.0, 0.0, 0.0], &Device::flex());
        let keep = keep.reshape::<4, _>([1, 4, 1, 1]);
        let variables = ActivationVariables::new(GRID, true, &device);
        let host = |x: Tensor<4>| x.into_data().try_to_vec::<f32>().unwrap();
        let all = host(variables.forward(x.clone(), None));
        let expected: Vec<f32> = [-9.0, -0.2, 0.44, 40.0].map(|x| GRID.fake_quantize(x)).into();
        assert!(all.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6), "{all:?}");
        let some = host(variables.forward(x, Some(keep)));
        assert!((some[2] - 0.44).abs() < 1e-6 && (some[0] - expected[0]).abs() < 1e-6, "{some:?}");
    }

    #[test]
    fn variables_start_as_the_integers_that_they_stand_for() {
        let weights = QuantizedWeights {
            bits: 4,
            scales: vec![0.1, 0.2],
            values: vec![1, -6, 3, 4, 0, 3],
            bias: vec![7, -9],
        };
        let device = Device::flex().autodiff();
        for rounding in [LearnedRounding::StraightThrough, LearnedRounding::Adaround] {
            let recipe = Reconstruction { rounding, ..Default::default() };
            let variables = LayerVariables::new(&weights, &[2, 3], 0.05, 1.0, &recipe, &device);
            let (values, scales, bias) = variables.hardened();
            assert_eq!(scales, weights.scales);
            if rounding == LearnedRounding::StraightThrough {
                assert_eq!(values, weights.values);
            }
            let mut again = weights.clone();
            again.set_bias(&bias, 0.05);
            assert_eq!(again.bias, weights.bias);
        }
    }
}
