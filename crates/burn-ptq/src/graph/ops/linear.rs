//! Fully connected layer.

use std::ops::RangeInclusive;

use burn::tensor::Tensor;

use super::{Array, Operator, OutputGrid};

/// A fully connected layer over the last axis of a sample.
#[derive(Clone, Debug)]
pub struct Linear {
    /// `[out_features, in_features]`.
    pub weight: Array,
    /// `[out_features]`.
    pub bias: Array,
    /// The axis of a sample that is contracted: its last, counted without the batch.
    pub axis: usize,
}

impl Operator for Linear {
    fn name(&self) -> &'static str {
        "Linear"
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let [out, features] = self.weight.shape[..] else {
            return Err(format!("expected a weight of two axes, found {:?}", self.weight.shape));
        };
        let mut shape = inputs[0].to_vec();
        if shape.len() != self.axis + 1 || shape[self.axis] != features {
            return Err(format!("expected {features} input features, found a sample of {shape:?}"));
        }
        if self.bias.len() != out {
            return Err(format!("expected {out} biases, found {}", self.bias.len()));
        }
        shape[self.axis] = out;
        Ok(shape)
    }

    fn forward(&self, inputs: &[Tensor<4>], parameters: &[Tensor<1>]) -> Tensor<4> {
        let [out, features] = [self.weight.shape[0], self.weight.shape[1]];
        let mut dims = inputs[0].dims();
        let rows: usize = dims[..=self.axis].iter().product();
        let input = inputs[0].clone().reshape::<2, _>([rows, features]);
        let weight = parameters[0].clone().reshape::<2, _>([out, features]);
        let output = input.matmul(weight.transpose()) + parameters[1].clone().unsqueeze::<2>();
        dims[self.axis + 1] = out;
        output.reshape::<4, _>(dims)
    }

    fn output_grid(&self) -> OutputGrid {
        OutputGrid::Observed
    }

    fn macs(&self, inputs: &[&[usize]], _output: &[usize]) -> usize {
        let rows: usize = inputs[0][..self.axis].iter().product();
        rows * self.weight.len()
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
