//! What is learned: weights, scales and biases of layers, and scales of activations.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use burn_ptq_kernels::grid::{Grid, weight_range};

use super::{LearnedRounding, Reconstruction};
use crate::graph::Array;
use crate::quant::round_half_away;
use crate::quantized::QuantizedWeights;
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
    #[module(skip)]
    frozen: Frozen,
}

/// What does not change.
#[derive(Clone, Debug)]
struct Frozen {
    /// What soft rounding adds to.
    floor: Option<Tensor<2>>,
    scales: Tensor<2>,
    bias: Tensor<1>,
    bias_unit: Tensor<1>,
    bounds: [f32; 2],
    learn_scales: bool,
    dims: Vec<usize>,
}

impl LayerVariables {
    /// The variables of a layer that stand for what `weights` are, close to the float weights where
    /// they round to the same integers.
    ///
    /// `spread` is the standard deviation of the layer's outputs.
    pub fn new(
        weights: &QuantizedWeights,
        float: &Array,
        input_scale: f32,
        spread: f32,
        recipe: &Reconstruction,
        device: &Device,
    ) -> Self {
        let channels = weights.bias.len();
        let len = weights.values.len() / channels;
        let (min, max) = weight_range(weights.bits);
        // Within its interval a weight stands where the float weight pulls it, off the edges.
        let near = |i: usize| {
            let q = f32::from(weights.values[i]);
            q + (float.data[i] / weights.scale(i / len) - q).clamp(-0.0, 0.0)
        };
        let units: Vec<f32> = (0..weights.values.len()).map(near).collect();
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
                dims: float.shape.clone(),
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
    /// scale. Elements that `keep` drops stay as they are but for the clamp.
    pub fn forward(&self, x: Tensor<4>, keep: Option<Tensor<4>>) -> Tensor<4> {
        let scale = self.scale();
        let Grid { zero_point, min, max, .. } = self.grid;
        let [low, high] = [(min - zero_point) as f32, (max - zero_point) as f32];
        let inside = x.clone().clamp(low * scale, high * scale);
        // Off the tape: what rounding changes, and how the result moves with the scale.
        let plain = x.inner();
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
