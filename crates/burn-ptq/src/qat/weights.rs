//! Fake quantizers on the weights of any module.

use burn::module::{Module, Param, Reparameterization, Reparameterizer};
use burn::tensor::{Shape, Tensor, TensorData};
use burn_ptq_kernels::grid::weight_range;

use crate::graph::Array;
use crate::quant::{Granularity, Scheme, SchemeError};
use crate::range::{Mse, WeightProblem, weight_qparams};
use crate::round::round_ste;

/// Attaches a [`WeightFakeQuantize`] to the weights of a module's layers.
///
/// Weights are the parameters called `weight` with two axes or more: of convolutions and linear
/// layers. Scales are per output channel and start with the smallest squared error of the weights.
/// To keep the module as it is, attach to `module.valid().train()`, not to a clone:
/// [clones share running statistics](crate::qat#clones-share-running-statistics).
///
/// ```
/// use burn::module::Module;
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use burn_ptq::qat::FakeQuantizeWeights;
///
/// let device = Device::flex().autodiff();
/// let layer = LinearConfig::new(16, 4).init(&device);
/// // Continue to train `layer`, as before.
/// let layer = layer.apply_reparameterization(FakeQuantizeWeights::new(2)?);
/// // The weights for inference take four values a channel.
/// let weight = layer.valid().materialize().weight.val();
/// # Ok::<(), burn_ptq::SchemeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct FakeQuantizeWeights {
    bits: u8,
    learn_scales: bool,
    exceptions: Vec<(String, u8)>,
}

impl FakeQuantizeWeights {
    /// All weights get `bits`, and their scales are learned.
    ///
    /// # Errors
    /// If `bits` are not 2 to 8.
    pub fn new(bits: u8) -> Result<Self, SchemeError> {
        Scheme::weights(bits, Granularity::PerChannel)?;
        Ok(Self { bits, learn_scales: true, exceptions: Vec::new() })
    }

    /// Whether scales are learned (LSQ) or stay as they start (plain straight-through estimator).
    pub fn with_learned_scales(mut self, learn: bool) -> Self {
        self.learn_scales = learn;
        self
    }

    /// Other bits for the weights of the layers whose path begins with `path`; the last match wins.
    ///
    /// # Errors
    /// If `bits` are not 2 to 8.
    pub fn with_bits(mut self, path: &str, bits: u8) -> Result<Self, SchemeError> {
        Scheme::weights(bits, Granularity::PerChannel)?;
        self.exceptions.push((path.into(), bits));
        Ok(self)
    }

    fn bits_of(&self, layer: &str) -> u8 {
        let below = |path: &str| {
            layer.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let exception = self.exceptions.iter().rev().find(|(path, _)| below(path));
        exception.map_or(self.bits, |(_, bits)| *bits)
    }
}

impl Reparameterizer for FakeQuantizeWeights {
    type Reparam = WeightFakeQuantize;

    fn reparameterize<const D: usize>(
        &mut self,
        path: &str,
        parameter: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<Self::Reparam>) {
        let (layer, name) = path.rsplit_once('.').unwrap_or(("", path));
        if D < 2 || name != "weight" {
            return (parameter, None);
        }
        let quantizer =
            WeightFakeQuantize::new(parameter.val(), self.bits_of(layer), self.learn_scales);
        (parameter, Some(quantizer))
    }
}

/// A fake quantizer of a weight: symmetric, one scale per output channel, straight-through
/// gradients.
#[derive(Module, Debug)]
pub struct WeightFakeQuantize {
    /// Logarithms of the scales, one per output channel.
    log_scales: Param<Tensor<1>>,
    #[module(skip)]
    bits: u8,
}

/// The axis of a weight's output channels: Burn's linear layers have `[in, out]`.
fn channel_axis(rank: usize) -> usize {
    if rank == 2 { 1 } else { 0 }
}

impl WeightFakeQuantize {
    /// A quantizer of `weight` with the scales of least squared error.
    fn new<const D: usize>(weight: Tensor<D>, bits: u8, learn: bool) -> Self {
        let device = weight.device();
        let rows = if D == 2 { weight.swap_dims(0, 1) } else { weight };
        let dims = rows.dims().to_vec();
        let data = rows.into_data().convert::<f32>().try_to_vec().unwrap_or_default();
        let weight = Array::new(dims, data);
        let scheme = Scheme::weights(bits, Granularity::PerChannel).expect("bits were checked");
        let problem = WeightProblem { weight: &weight, scheme, quadratic: None };
        let scales = weight_qparams(&Mse::default(), &problem).scales;
        let logarithms: Vec<f32> = scales.iter().map(|s| s.ln()).collect();
        let data = TensorData::new(logarithms, [scales.len()]);
        let log_scales = Param::from_tensor(Tensor::from_data(data, &device));
        let log_scales = if learn { log_scales } else { log_scales.set_require_grad(false) };
        Self { log_scales, bits }
    }

    /// The scales, one per output channel.
    ///
    /// # Shapes
    /// `[channels]`
    pub fn scales(&self) -> Tensor<1> {
        self.log_scales.val().exp()
    }

    /// The bits of the weights.
    pub fn bits(&self) -> u8 {
        self.bits
    }
}

impl Reparameterization for WeightFakeQuantize {
    const NAME: &'static str = "weight_fake_quantize";

    /// Weights on their grid. With `q = clamp(w / s)`, the result `round(q) * s` has the gradients of
    /// LSQ (Esser et al. 2020, eq. 3): `round(q) - w / s` for the scale within the grid, its bound
    /// outside.
    fn apply<const D: usize>(&self, base: Tensor<D>) -> Tensor<D> {
        let (min, max) = weight_range(self.bits);
        let scales = self.scales();
        let mut dims = vec![1; D];
        dims[channel_axis(D)] = scales.dims()[0];
        let scales = scales.reshape::<D, _>(Shape::from(dims));
        let units = (base / scales.clone()).clamp(min as f32, max as f32);
        round_ste(units) * scales
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::conv::{Conv2d, Conv2dConfig};
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    use super::*;

    #[derive(Module, Debug)]
    struct Net {
        conv: Conv2d,
        head: Linear,
    }

    fn net(device: &Device) -> Net {
        device.seed(3);
        Net {
            conv: Conv2dConfig::new([2, 3], [3, 3]).init(device),
            head: LinearConfig::new(8, 5).init(device),
        }
    }

    fn levels(channel: Vec<f32>) -> usize {
        let mut values = channel;
        values.sort_by(f32::total_cmp);
        values.dedup();
        values.len()
    }

    #[test]
    fn effective_weights_take_few_values_a_channel_and_biases_stay() {
        let device = Device::flex().autodiff();
        let plain = net(&device);
        let quantizers = FakeQuantizeWeights::new(2).unwrap().with_bits("head", 3).unwrap();
        let quantized = plain.clone().apply_reparameterization(quantizers).valid().materialize();
        for c in 0..3 {
            let row = quantized.conv.weight.val().narrow(0, c, 1).into_data();
            assert!(levels(row.try_to_vec().unwrap()) <= 4);
        }
        for c in 0..5 {
            let column = quantized.head.weight.val().narrow(1, c, 1).into_data();
            let count = levels(column.try_to_vec().unwrap());
            assert!((3..=8).contains(&count), "{count}");
        }
        let bias = |net: &Net| net.conv.bias.as_ref().unwrap().val().into_data();
        assert_eq!(bias(&quantized), bias(&plain.valid()));
    }

    #[test]
    fn the_gradient_of_a_scale_is_that_of_lsq() {
        let device = Device::flex().autodiff();
        let weight = Tensor::<2>::from_floats([[0.3], [-0.9], [0.12], [2.0]], &device);
        let quantizer = WeightFakeQuantize {
            log_scales: Param::from_tensor(Tensor::from_floats([0.25_f32.ln()], &device)),
            bits: 3,
        };
        let gradients = quantizer.apply(weight.require_grad()).sum().backward();
        let found = quantizer.log_scales.val().grad(&gradients).unwrap().into_scalar::<f32>();
        // In steps: 1.2 -> 1, -3.6 -> -4, 0.48 -> 0, and 8 lies beyond 3.
        let slopes = (1.0 - 1.2) + (-4.0 + 3.6) + (0.0 - 0.48) + 3.0;
        assert!((found - 0.25 * slopes).abs() < 1e-5, "{found}, expected {}", 0.25 * slopes);
    }

    #[test]
    fn fixed_scales_have_no_gradient() {
        let device = Device::flex().autodiff();
        let quantizers = FakeQuantizeWeights::new(4).unwrap().with_learned_scales(false);
        let net = net(&device).apply_reparameterization(quantizers);
        let quantizer = net.head.weight.reparameterization::<WeightFakeQuantize>().unwrap();
        let gradients = net.head.weight.val().sum().backward();
        assert!(quantizer.log_scales.val().grad(&gradients).is_none());
        assert!(net.head.weight.base().grad(&gradients).is_some());
    }
}
