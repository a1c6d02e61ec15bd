//! Maximum pooling.

use std::ops::RangeInclusive;

use burn::tensor::{
    Tensor,
    module::max_pool2d,
    ops::{MaxPoolOptions, PadMode},
};

use super::window::{Window, windowed_shape};
use super::{Operator, OutputGrid};
use crate::graph::dims3;

/// Maximum over windows of height and width; padding never wins.
#[derive(Clone, Debug)]
pub struct MaxPool {
    /// The window, its end padded further where a ceiling rounds the output extents up.
    pub window: Window,
}

impl Operator for MaxPool {
    fn name(&self) -> &'static str {
        "MaxPool"
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let [channels, height, width] = dims3(inputs[0]);
        let shape = windowed_shape(inputs[0], &self.window, channels)?;
        let (extents, w) = ([height, width], &self.window);
        let inside = |axis: usize| w.begin[axis]..w.begin[axis] + extents[axis];
        w.check_counts(extents, |axis, p| w.taps_inside(axis, p, &inside(axis)))?;
        Ok(shape)
    }

    fn forward(&self, inputs: &[Tensor<4>], _parameters: &[Tensor<1>]) -> Tensor<4> {
        let w = &self.window;
        let mut input = inputs[0].clone();
        if !w.is_unpadded() {
            input = input.pad(w.padding(), PadMode::Constant(f32::NEG_INFINITY));
        }
        let mut options = MaxPoolOptions::new(w.kernel);
        options.stride = w.stride;
        options.dilation = w.dilation;
        max_pool2d(input, options)
    }

    fn output_grid(&self) -> OutputGrid {
        OutputGrid::Shared
    }

    fn macs(&self, _inputs: &[&[usize]], _output: &[usize]) -> usize {
        0
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

    fn keeps_channels_apart(&self, axis: usize, _channels: usize) -> bool {
        axis == 0
    }
}
