//! Another order of the axes.

use std::ops::RangeInclusive;

use burn::tensor::Tensor;

use super::{Operator, OutputGrid};

/// A permutation of a sample's axes: output axis `i` is input axis `axes[i]`.
#[derive(Clone, Debug)]
pub struct Permute {
    /// The input axis of each output axis, counted without the batch.
    pub axes: Vec<usize>,
}

impl Operator for Permute {
    fn name(&self) -> &'static str {
        "Transpose"
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let mut sorted = self.axes.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..inputs[0].len()) {
            return Err(format!("{:?} does not permute a sample of {:?}", self.axes, inputs[0]));
        }
        Ok(self.axes.iter().map(|&a| inputs[0][a]).collect())
    }

    fn forward(&self, inputs: &[Tensor<4>], _parameters: &[Tensor<1>]) -> Tensor<4> {
        let mut axes = [0, 1, 2, 3];
        for (i, &axis) in self.axes.iter().enumerate() {
            axes[i + 1] = axis as isize + 1;
        }
        inputs[0].clone().permute(axes)
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

    fn keeps_channels_apart(&self, _axis: usize, _channels: usize) -> bool {
        false
    }
}
