//! A constant as a value.

use std::ops::RangeInclusive;

use burn::tensor::Tensor;

use super::{Operator, OutputGrid};
use crate::graph::{Array, dims3};

/// A value without inputs, the same for every sample.
///
/// What computes with a constant of any shape reads it as a value; layers and affine operations keep
/// their constants to themselves.
#[derive(Clone, Debug)]
pub struct Constant {
    /// The elements of a sample.
    pub array: Array,
}

impl Operator for Constant {
    fn name(&self) -> &'static str {
        "Constant"
    }

    fn infer_shape(&self, _inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        Ok(self.array.shape.clone())
    }

    /// A batch of one, which the executor repeats.
    fn forward(&self, _inputs: &[Tensor<4>], parameters: &[Tensor<1>]) -> Tensor<4> {
        let [a, b, c] = dims3(&self.array.shape);
        parameters[0].clone().reshape([1, a, b, c])
    }

    fn output_grid(&self) -> OutputGrid {
        OutputGrid::Observed
    }

    fn macs(&self, _inputs: &[&[usize]], _output: &[usize]) -> usize {
        0
    }

    fn arity(&self) -> RangeInclusive<usize> {
        0..=0
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
        false
    }

    fn keeps_channels_apart(&self, _axis: usize, _channels: usize) -> bool {
        false
    }
}
