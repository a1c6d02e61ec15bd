//! Another shape over the same elements.

use std::ops::RangeInclusive;

use burn::tensor::Tensor;

use super::{Operator, OutputGrid};
use crate::graph::dims3;

/// A reshape of each sample, in the order of the source layout; flatten, squeeze and unsqueeze too.
#[derive(Clone, Debug)]
pub struct Reshape {
    /// The shape of an output sample.
    pub shape: Vec<usize>,
}

impl Operator for Reshape {
    fn name(&self) -> &'static str {
        "Reshape"
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let elements: usize = inputs[0].iter().product();
        if self.shape.iter().product::<usize>() != elements {
            return Err(format!("cannot reshape a sample of {:?} to {:?}", inputs[0], self.shape));
        }
        Ok(self.shape.clone())
    }

    fn forward(&self, inputs: &[Tensor<4>], _parameters: &[Tensor<1>]) -> Tensor<4> {
        let [batch, ..] = inputs[0].dims();
        let [a, b, c] = dims3(&self.shape);
        inputs[0].clone().reshape::<4, _>([batch, a, b, c])
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
        true
    }

    fn averages(&self) -> bool {
        false
    }

    fn class_axis(&self) -> Option<usize> {
        None
    }

    fn can_clamp(&self) -> bool {
        false
    }

    fn keeps_channels_apart(&self, axis: usize, channels: usize) -> bool {
        axis == 0 && self.shape[0].is_multiple_of(channels)
    }
}
