//! Another shape over the same elements.

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
}
