//! Concatenation.

use std::ops::RangeInclusive;

use burn::tensor::Tensor;

use super::{Operator, OutputGrid};

/// Joins values along one axis.
#[derive(Clone, Debug)]
pub struct Concat {
    /// The axis of a sample, counted without the batch.
    pub axis: usize,
}

impl Operator for Concat {
    fn name(&self) -> &'static str {
        "Concat"
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let mut shape = inputs[0].to_vec();
        if self.axis >= shape.len() {
            return Err(format!("a sample of {shape:?} has no axis {}", self.axis));
        }
        for input in &inputs[1..] {
            let differs = |(i, (a, b)): (usize, (&usize, &usize))| i != self.axis && a != b;
            if input.len() != shape.len() || shape.iter().zip(*input).enumerate().any(differs) {
                return Err(format!(
                    "{:?} and {input:?} cannot be joined along axis {}",
                    inputs[0], self.axis
                ));
            }
            shape[self.axis] += input[self.axis];
        }
        Ok(shape)
    }

    fn forward(&self, inputs: &[Tensor<4>], _parameters: &[Tensor<1>]) -> Tensor<4> {
        Tensor::cat(inputs.to_vec(), self.axis + 1)
    }

    fn output_grid(&self) -> OutputGrid {
        OutputGrid::Shared
    }

    fn macs(&self, _inputs: &[&[usize]], _output: &[usize]) -> usize {
        0
    }

    fn arity(&self) -> RangeInclusive<usize> {
        1..=usize::MAX
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

    fn keeps_channels_apart(&self, _axis: usize, _channels: usize) -> bool {
        false
    }
}
