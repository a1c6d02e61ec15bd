//! Softmax.

use std::ops::RangeInclusive;

use burn::tensor::{Tensor, activation};

use super::{Operator, OutputGrid};

/// Softmax along one axis.
#[derive(Clone, Debug)]
pub struct Softmax {
    /// The axis of a sample, counted without the batch.
    pub axis: usize,
}

impl Operator for Softmax {
    fn name(&self) -> &'static str {
        "Softmax"
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        if self.axis >= inputs[0].len() {
            return Err(format!("a sample of {:?} has no axis {}", inputs[0], self.axis));
        }
        Ok(inputs[0].to_vec())
    }

    fn forward(&self, inputs: &[Tensor<4>], _parameters: &[Tensor<1>]) -> Tensor<4> {
        activation::softmax(inputs[0].clone(), self.axis + 1)
    }

    fn output_grid(&self) -> OutputGrid {
        OutputGrid::Fixed { scale: 1.0 / 256.0, zero_point: -128, doublings: 0 }
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
        Some(self.axis)
    }

    fn can_clamp(&self) -> bool {
        false
    }

    fn keeps_channels_apart(&self, _axis: usize, _channels: usize) -> bool {
        false
    }
}
