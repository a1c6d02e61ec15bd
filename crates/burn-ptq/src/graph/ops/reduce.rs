//! Reductions over axes.

use std::ops::RangeInclusive;

use burn::tensor::Tensor;

use super::{Operator, OutputGrid};

/// What a reduction makes of its elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReduceFunction {
    /// Their mean.
    Mean,
    /// Their sum.
    Sum,
    /// The largest.
    Max,
    /// The smallest.
    Min,
    /// The sum of their magnitudes.
    L1,
    /// The root of the sum of their squares.
    L2,
    /// The sum of their squares.
    SumSquare,
}

/// A reduction over axes, which stay with an extent of 1.
#[derive(Clone, Debug)]
pub struct Reduce {
    /// What becomes of the elements.
    pub function: ReduceFunction,
    /// The axes of a sample, counted without the batch, in ascending order.
    pub axes: Vec<usize>,
    /// How many elements become one.
    pub elements: usize,
}

impl Operator for Reduce {
    fn name(&self) -> &'static str {
        match self.function {
            ReduceFunction::Mean => "ReduceMean",
            ReduceFunction::Sum => "ReduceSum",
            ReduceFunction::Max => "ReduceMax",
            ReduceFunction::Min => "ReduceMin",
            ReduceFunction::L1 => "ReduceL1",
            ReduceFunction::L2 => "ReduceL2",
            ReduceFunction::SumSquare => "ReduceSumSquare",
        }
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let mut shape = inputs[0].to_vec();
        let mut elements = 1;
        for &axis in &self.axes {
            let extent = shape
                .get_mut(axis)
                .ok_or_else(|| format!("a sample of {:?} has no axis {axis}", inputs[0]))?;
            elements *= std::mem::replace(extent, 1);
        }
        if self.axes.is_empty() || elements != self.elements {
            return Err(format!(
                "axes {:?} of samples of {:?} hold {elements} elements, expected {}",
                self.axes, inputs[0], self.elements
            ));
        }
        Ok(shape)
    }

    fn forward(&self, inputs: &[Tensor<4>], _parameters: &[Tensor<1>]) -> Tensor<4> {
        let x = inputs[0].clone();
        let x = match self.function {
            ReduceFunction::L1 => x.abs(),
            ReduceFunction::L2 | ReduceFunction::SumSquare => x.clone() * x,
            ReduceFunction::Mean
            | ReduceFunction::Sum
            | ReduceFunction::Max
            | ReduceFunction::Min => x,
        };
        let reduced = self.axes.iter().fold(x, |x, axis| match self.function {
            ReduceFunction::Mean => x.mean_dim(axis + 1),
            ReduceFunction::Max => x.max_dim(axis + 1),
            ReduceFunction::Min => x.min_dim(axis + 1),
            ReduceFunction::Sum
            | ReduceFunction::L1
            | ReduceFunction::L2
            | ReduceFunction::SumSquare => x.sum_dim(axis + 1),
        });
        if self.function == ReduceFunction::L2 { reduced.sqrt() } else { reduced }
    }

    fn output_grid(&self) -> OutputGrid {
        match self.function {
            ReduceFunction::Max | ReduceFunction::Min => OutputGrid::Shared,
            ReduceFunction::Mean
            | ReduceFunction::Sum
            | ReduceFunction::L1
            | ReduceFunction::L2
            | ReduceFunction::SumSquare => OutputGrid::Observed,
        }
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

    fn keeps_channels_apart(&self, _axis: usize, _channels: usize) -> bool {
        false
    }
}
