//! The networks: [`DigitsNet`], a residual block between two depthwise-separable ones, of about 22
//! thousand parameters, and [`TinyNet`].

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig, MaxPool2d, MaxPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

/// Digits that the classifier tells apart.
pub const CLASSES: usize = 10;
/// Height and width of an image.
pub const SIDE: usize = 8;

/// A convolution without bias and the normalization of its channels.
#[derive(Module, Debug)]
pub struct ConvNorm {
    /// The convolution, without bias.
    pub conv: Conv2d,
    /// The normalization.
    pub norm: BatchNorm,
}

/// What distinguishes the convolutions of the network from each other.
struct ConvShape {
    channels: [usize; 2],
    kernel: usize,
    stride: usize,
    groups: usize,
}

impl ConvShape {
    /// A convolution over all channels that keeps height and width.
    fn dense(inputs: usize, outputs: usize, kernel: usize) -> Self {
        Self { channels: [inputs, outputs], kernel, stride: 1, groups: 1 }
    }

    /// A 3x3 convolution of every channel by itself.
    fn depthwise(channels: usize, stride: usize) -> Self {
        Self { channels: [channels, channels], kernel: 3, stride, groups: channels }
    }

    fn init(self, device: &Device) -> ConvNorm {
        let pad = self.kernel / 2;
        let conv = Conv2dConfig::new(self.channels, [self.kernel; 2])
            .with_stride([self.stride; 2])
            .with_groups(self.groups)
            .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
            .with_bias(false)
            .init(device);
        ConvNorm { conv, norm: BatchNormConfig::new(self.channels[1]).init(device) }
    }
}

impl ConvNorm {
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.norm.forward(self.conv.forward(input))
    }
}

/// A classifier of handwritten digits.
#[derive(Module, Debug)]
pub struct DigitsNet {
    /// 3x3, 16 channels.
    pub stem: ConvNorm,
    /// 3x3 of each channel.
    pub depthwise1: ConvNorm,
    /// 1x1, 32 channels.
    pub pointwise1: ConvNorm,
    /// To half the extents.
    pub max_pool: MaxPool2d,
    /// First of the residual branch.
    pub residual1: ConvNorm,
    /// Second of the residual branch.
    pub residual2: ConvNorm,
    /// 3x3 of each channel, to half the extents.
    pub depthwise2: ConvNorm,
    /// 1x1, 64 channels.
    pub pointwise2: ConvNorm,
    /// Over all places.
    pub average_pool: AdaptiveAvgPool2d,
    /// To logits.
    pub classifier: Linear,
}

impl DigitsNet {
    /// Random weights out of the device's generator: seed it before.
    pub fn new(device: &Device) -> Self {
        Self {
            stem: ConvShape::dense(1, 16, 3).init(device),
            depthwise1: ConvShape::depthwise(16, 1).init(device),
            pointwise1: ConvShape::dense(16, 32, 1).init(device),
            max_pool: MaxPool2dConfig::new([2, 2]).init(),
            residual1: ConvShape::dense(32, 32, 3).init(device),
            residual2: ConvShape::dense(32, 32, 3).init(device),
            depthwise2: ConvShape::depthwise(32, 2).init(device),
            pointwise2: ConvShape::dense(32, 64, 1).init(device),
            average_pool: AdaptiveAvgPool2dConfig::new([1, 1]).init(),
            classifier: LinearConfig::new(64, CLASSES).init(device),
        }
    }

    /// The logits of images with pixels in 0..=1.
    ///
    /// # Shapes
    ///
    /// - `images`: `[batch, 1, 8, 8]`
    /// - output: `[batch, 10]`
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = relu(self.stem.forward(images));
        let x = relu(self.depthwise1.forward(x));
        let x = relu(self.pointwise1.forward(x));
        let x = self.max_pool.forward(x);
        let branch = relu(self.residual1.forward(x.clone()));
        let branch = self.residual2.forward(branch);
        let x = relu(branch + x);
        let x = relu(self.depthwise2.forward(x));
        let x = relu(self.pointwise2.forward(x));
        let x = self.average_pool.forward(x);
        self.classifier.forward(x.flatten(1, 3))
    }
}

/// A classifier of the same digits with 702 parameters, for which calibration alone is not enough at
/// two bits.
#[derive(Module, Debug)]
pub struct TinyNet {
    /// 3x3, 4 channels, to half the extents.
    pub stem: ConvNorm,
    /// 3x3, 8 channels, to half the extents.
    pub body: ConvNorm,
    /// To logits.
    pub classifier: Linear,
}

impl TinyNet {
    /// Random weights out of the device's generator: seed it before.
    pub fn new(device: &Device) -> Self {
        let dense =
            |inputs, outputs| ConvShape { stride: 2, ..ConvShape::dense(inputs, outputs, 3) };
        Self {
            stem: dense(1, 4).init(device),
            body: dense(4, 8).init(device),
            classifier: LinearConfig::new(32, CLASSES).init(device),
        }
    }

    /// The logits of images with pixels in 0..=1.
    ///
    /// # Shapes
    ///
    /// - `images`: `[batch, 1, 8, 8]`
    /// - output: `[batch, 10]`
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = relu(self.stem.forward(images));
        let x = relu(self.body.forward(x));
        self.classifier.forward(x.flatten(1, 3))
    }
}
