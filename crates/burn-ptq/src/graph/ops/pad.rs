//! Constant padding that is not part of a window.

use std::ops::RangeInclusive;

use burn::tensor::{Tensor, ops::PadMode};

use super::{Operator, OutputGrid};

/// Surrounds a sample with a constant.
#[derive(Clone, Debug)]
pub struct Pad {
    /// Elements before each axis, trailing axes that a sample lacks being 0.
    pub before: [usize; 3],
    /// Elements after each axis.
    pub after: [usize; 3],
    /// The constant.
    pub value: f32,
}

impl Operator for Pad {
    fn name(&self) -> &'static str {
        "Pad"
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let rank = inputs[0].len();
        if self.before[rank..].iter().chain(&self.after[rank..]).any(|&p| p != 0) {
            return Err(format!("pads more axes than a sample of {:?} has", inputs[0]));
        }
        Ok((0..rank).map(|i| self.before[i] + inputs[0][i] + self.after[i]).collect())
    }

    fn forward(&self, inputs: &[Tensor<4>], _parameters: &[Tensor<1>]) -> Tensor<4> {
        let pairs = [0, 1, 2].map(|i| (self.before[i], self.after[i]));
        inputs[0].clone().pad(pairs, PadMode::Constant(self.value))
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

    fn keeps_channels_apart(&self, axis: usize, _channels: usize) -> bool {
        self.before[axis] == 0 && self.after[axis] == 0
    }
}
