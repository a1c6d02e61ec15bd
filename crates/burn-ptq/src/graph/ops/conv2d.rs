//! Convolution over height and width.

use std::ops::RangeInclusive;

use burn::tensor::{Tensor, module::conv2d, ops::ConvOptions};

use super::window::{Window, windowed_shape};
use super::{Array, Operator, OutputGrid};
use crate::graph::dims3;

/// A convolution, grouped or dilated or neither; depthwise is `groups == channels`.
///
/// A sample with two axes `[channels, length]` is convolved as `[channels, length, 1]`.
#[derive(Clone, Debug)]
pub struct Conv2d {
    /// `[out_channels, in_channels / groups, kernel_h, kernel_w]`.
    pub weight: Array,
    /// `[out_channels]`.
    pub bias: Array,
    /// The window.
    pub window: Window,
    /// Groups of channels that do not see each other.
    pub groups: usize,
}

impl Conv2d {
    /// Whether every output channel reads exactly one input channel.
    pub fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.weight.shape[1] == 1
    }

    /// Whether every output pixel reads the one input pixel at its place.
    fn is_pointwise(&self) -> bool {
        self.groups == 1 && self.window == Window::new([1, 1])
    }
}

impl Operator for Conv2d {
    fn name(&self) -> &'static str {
        if self.is_depthwise() { "DepthwiseConv" } else { "Conv" }
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let [channels, height, width] = dims3(inputs[0]);
        let [out, per_group, ..] = self.weight.shape[..] else {
            return Err(format!("expected a weight of four axes, found {:?}", self.weight.shape));
        };
        if self.groups == 0 || channels != per_group * self.groups || out % self.groups != 0 {
            // Over sequences, a kernel has one axis.
            let axes = (inputs[0].len() + 1).clamp(3, 4);
            return Err(format!(
                "the weight {:?} in {} groups wants {} input channels, found {channels}",
                &self.weight.shape[..axes],
                self.groups,
                per_group * self.groups
            ));
        }
        if self.bias.len() != out {
            return Err(format!("expected {out} biases, found {}", self.bias.len()));
        }
        let shape = windowed_shape(inputs[0], &self.window, out)?;
        self.window.check_starts([height, width])?;
        Ok(shape)
    }

    fn forward(&self, inputs: &[Tensor<4>], parameters: &[Tensor<1>]) -> Tensor<4> {
        let shape = &self.weight.shape;
        if self.is_pointwise() {
            return pointwise(&inputs[0], &parameters[0], &parameters[1]);
        }
        let weight =
            parameters[0].clone().reshape::<4, _>([shape[0], shape[1], shape[2], shape[3]]);
        let mut options =
            ConvOptions::new(self.window.stride, [0; 2], self.window.dilation, self.groups);
        options.padding = self.window.padding();
        conv2d(inputs[0].clone(), weight, Some(parameters[1].clone()), options)
    }

    fn output_grid(&self) -> OutputGrid {
        OutputGrid::Observed
    }

    fn macs(&self, _inputs: &[&[usize]], output: &[usize]) -> usize {
        let [_, height, width] = dims3(output);
        height * width * self.weight.len()
    }

    fn arity(&self) -> RangeInclusive<usize> {
        1..=1
    }

    fn moves_elements(&self) -> bool {
        false
    }

    fn averages(&self) -> bool {
        false
    }

    fn class_axis(&self) -> Option<usize> {
        None
    }

    fn can_clamp(&self) -> bool {
        true
    }

    fn keeps_channels_apart(&self, _axis: usize, _channels: usize) -> bool {
        false
    }
}

/// A pointwise convolution as a matrix product: its gradients are three times as fast as the general
/// convolution's.
fn pointwise(input: &Tensor<4>, weight: &Tensor<1>, bias: &Tensor<1>) -> Tensor<4> {
    let [batch, channels, height, width] = input.dims();
    let out = bias.dims()[0];
    let pixels = input.clone().reshape::<3, _>([batch, channels, height * width]);
    let product = weight.clone().reshape::<3, _>([1, out, channels]).matmul(pixels);
    let output = product + bias.clone().reshape::<3, _>([1, out, 1]);
    output.reshape::<4, _>([batch, out, height, width])
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;

    #[test]
    fn the_pointwise_form_equals_the_general_convolution() {
        let device = Device::flex();
        let random = |n: usize| Tensor::<1>::random([n], Distribution::Uniform(-1.0, 1.0), &device);
        let (input, weight, bias) = (random(2 * 5 * 12), random(7 * 5), random(7));
        let input = input.reshape::<4, _>([2, 5, 4, 3]);
        let general = conv2d(
            input.clone(),
            weight.clone().reshape::<4, _>([7, 5, 1, 1]),
            Some(bias.clone()),
            ConvOptions::new([1; 2], [0; 2], [1; 2], 1),
        );
        let difference = (pointwise(&input, &weight, &bias) - general).abs().max();
        assert!(difference.into_scalar::<f32>() < 1e-5);
    }
}
