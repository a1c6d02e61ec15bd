//! A small network of many kinds of layers.

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::AdaptiveAvgPool2dConfig;
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::{hard_swish, relu, softmax};
use burn::tensor::{Device, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Draws from a generator of its own: Burn's is one for the process, in which tests run beside each
/// other.
pub(crate) struct Draws(ChaCha8Rng);

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Values between `low` and `high`.
    pub(crate) fn tensor<const D: usize>(
        &mut self,
        shape: [usize; D],
        [low, high]: [f32; 2],
        device: &Device,
    ) -> Tensor<D> {
        let unit = |draw: u32| draw as f32 / u32::MAX as f32;
        let count = shape.iter().product();
        let values: Vec<f32> =
            (0..count).map(|_| low + (high - low) * unit(self.0.next_u32())).collect();
        Tensor::from_data(TensorData::new(values, shape), device)
    }
}

/// Initializes every parameter anew.
impl ModuleMapper for Draws {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let bound = 0.35;
        parameter.map(|value| self.tensor(value.dims(), [-bound, bound], &value.device()))
    }
}

#[derive(Module, Debug)]
pub(crate) struct ConvNorm {
    pub conv: Conv2d,
    pub norm: BatchNorm,
}

impl ConvNorm {
    fn new(
        channels: [usize; 2],
        groups: usize,
        stride: usize,
        draws: &mut Draws,
        device: &Device,
    ) -> Self {
        let conv = Conv2dConfig::new(channels, [3, 3])
            .with_groups(groups)
            .with_stride([stride; 2])
            .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
            .with_bias(groups == 1)
            .init(device)
            .map(draws);
        let mut norm = BatchNormConfig::new(channels[1]).init(device);
        let mut random = |low, high| draws.tensor([channels[1]], [low, high], device);
        norm.gamma = Param::from_tensor(random(0.5, 1.5));
        norm.beta = Param::from_tensor(random(-0.5, 0.5));
        norm.running_mean.update(random(-0.5, 0.5));
        norm.running_var.update(random(0.5, 2.0));
        Self { conv, norm }
    }

    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.norm.forward(self.conv.forward(x))
    }
}

/// A residual network with a depthwise-separable end.
#[derive(Module, Debug)]
pub(crate) struct Net {
    pub stem: ConvNorm,
    pub blocks: Vec<ConvNorm>,
    pub depthwise: ConvNorm,
    pub classifier: Linear,
}

impl Net {
    pub(crate) fn new(device: &Device) -> Self {
        let mut draws = Draws::new(5);
        Self {
            stem: ConvNorm::new([2, 8], 1, 2, &mut draws, device),
            blocks: (0..2).map(|_| ConvNorm::new([8, 8], 1, 1, &mut draws, device)).collect(),
            depthwise: ConvNorm::new([8, 8], 8, 1, &mut draws, device),
            classifier: LinearConfig::new(8, 3).init(device).map(&mut draws),
        }
    }

    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let x = relu(self.stem.forward(x)).clamp(0.0, 6.0);
        let y = relu(self.blocks[0].forward(x.clone()));
        let x = relu(self.blocks[1].forward(y) + x);
        let x = hard_swish(self.depthwise.forward(x));
        let x = AdaptiveAvgPool2dConfig::new([1, 1]).init().forward(x);
        softmax(self.classifier.forward(x.flatten(1, 3)), 1)
    }
}

pub(crate) fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_to_vec().unwrap()
}
