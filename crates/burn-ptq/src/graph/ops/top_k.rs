//! The largest or smallest elements along an axis, and their places.

use std::ops::RangeInclusive;

use burn::tensor::{Tensor, TensorData};

use super::{Operator, OutputGrid};
use crate::graph::to_vec;

/// The first `k` elements along an axis, sorted, or their places.
#[derive(Clone, Debug)]
pub struct TopK {
    /// The axis of a sample, counted without the batch.
    pub axis: usize,
    /// How many.
    pub k: usize,
    /// The smallest elements instead of the largest.
    pub smallest: bool,
    /// Of equal elements those behind instead of those in front.
    pub last: bool,
    /// Places along the axis instead of values.
    pub indices: bool,
}

impl Operator for TopK {
    fn name(&self) -> &'static str {
        "TopK"
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let mut shape = inputs[0].to_vec();
        let extent = shape
            .get_mut(self.axis)
            .ok_or_else(|| format!("a sample of {:?} has no axis {}", inputs[0], self.axis))?;
        if self.k == 0 || self.k > *extent {
            return Err(format!("expected 1 to {extent} of {extent} elements, found {}", self.k));
        }
        *extent = self.k;
        Ok(shape)
    }

    fn forward(&self, inputs: &[Tensor<4>], _parameters: &[Tensor<1>]) -> Tensor<4> {
        let dims = inputs[0].dims();
        let axis = self.axis + 1;
        let [depth, inner] = [dims[axis], dims[axis + 1..].iter().product::<usize>()];
        let x = to_vec(inputs[0].clone());
        let mut out_dims = dims;
        out_dims[axis] = self.k;
        let mut found = vec![0.0; out_dims.iter().product()];
        for run in 0..x.len() / (depth * inner) {
            for within in 0..inner {
                let at = |i: usize| x[(run * depth + i) * inner + within];
                let mut order: Vec<usize> = (0..depth).collect();
                if self.last {
                    order.reverse();
                }
                order.sort_by(|&i, &j| match self.smallest {
                    true => at(i).total_cmp(&at(j)),
                    false => at(j).total_cmp(&at(i)),
                });
                for (place, &i) in order[..self.k].iter().enumerate() {
                    let value = if self.indices { i as f32 } else { at(i) };
                    found[(run * self.k + place) * inner + within] = value;
                }
            }
        }
        Tensor::from_data(TensorData::new(found, out_dims), &inputs[0].device())
    }

    fn output_grid(&self) -> OutputGrid {
        if self.indices { OutputGrid::Places } else { OutputGrid::Shared }
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
        false
    }

    fn keeps_channels_apart(&self, _axis: usize, _channels: usize) -> bool {
        false
    }
}
