//! The logarithm of softmax.

use std::ops::RangeInclusive;

use burn::tensor::{Tensor, activation};

use super::{Operator, OutputGrid};

/// The logarithm of softmax along one axis.
#[derive(Clone, Debug)]
pub struct LogSoftmax {
    /// The axis of a sample, counted without the batch.
    pub axis: usize,
}

impl Operator for LogSoftmax {
    fn name(&self) -> &'static str {
        "LogSoftmax"
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        if self.axis >= inputs[0].len() {
            return Err(format!("a sample of {:?} has no axis {}", inputs[0], self.axis));
        }
        Ok(inputs[0].to_vec())
    }

    fn forward(&self, inputs: &[Tensor<4>], _parameters: &[Tensor<1>]) -> Tensor<4> {
        activation::log_softmax(inputs[0].clone(), self.axis + 1)
    }

    fn output_grid(&self) -> OutputGrid {
        // TensorFlow Lite's, whose outputs end at -16, unless the network's own go lower.
        OutputGrid::Fixed { scale: 16.0 / 256.0, zero_point: 127, doublings: 26 }
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
