//! A small network of many kinds of layers.

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::AdaptiveAvgPool2dConfig;
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::{hard_swish, relu, softmax};
use burn::tensor::{Device, Distribution, Tensor};

#[derive(Module, Debug)]
pub struct ConvNorm {
    pub conv: Conv2d,
    pub norm: BatchNorm,
}

impl ConvNorm {
    fn new(channels: [usize; 2], groups: usize, stride: usize, device: &Device) -> Self {
        let conv = Conv2dConfig::new(channels, [3, 3])
            .with_groups(groups)
            .with_stride([stride; 2])
            .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
            .with_bias(groups == 1)
            .init(device);
        let mut norm = BatchNormConfig::new(channels[1]).init(device);
        let random =
            |low, high| Tensor::random([channels[1]], Distribution::Uniform(low, high), device);
        norm.gamma = Param::from_tensor(random(0.5, 1.5));
        norm.beta = Param::from_tensor(random(-0.5, 0.5));
        norm.running_mean.update(random(-0.5, 0.5));
        norm.running_var.update(random(0.5, 2.0));
        Self { conv, norm }
    }

    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.norm.forward(self.conv.forward(x))
    }
}

/// A residual network with a depthwise-separable end.
#[derive(Module, Debug)]
pub struct Net {
    pub stem: ConvNorm,
    pub blocks: Vec<ConvNorm>,
    pub depthwise: ConvNorm,
    pub classifier: Linear,
}

impl Net {
    pub fn new(device: &Device) -> Self {
        device.seed(5);
        Self {
            stem: ConvNorm::new([2, 8], 1, 2, device),
            blocks: (0..2).map(|_| ConvNorm::new([8, 8], 1, 1, device)).collect(),
            depthwise: ConvNorm::new([8, 8], 8, 1, device),
            classifier: LinearConfig::new(8, 3).init(device),
        }
    }

    pub fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let x = relu(self.stem.forward(x)).clamp(0.0, 6.0);
        let y = relu(self.blocks[0].forward(x.clone()));
        let x = relu(self.blocks[1].forward(y) + x);
        let x = hard_swish(self.depthwise.forward(x));
        let x = AdaptiveAvgPool2dConfig::new([1, 1]).init().forward(x);
        softmax(self.classifier.forward(x.flatten(1, 3)), 1)
    }
}

pub fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}

pub fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_to_vec().unwrap()
}
