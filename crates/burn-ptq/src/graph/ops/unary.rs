//! Unary non-linearities: each becomes a lookup table in the integer program.

use std::ops::RangeInclusive;

use burn::tensor::{Tensor, activation};

use super::{Operator, OutputGrid};

/// A function applied to every element.
#[derive(Clone, Debug)]
pub struct Unary {
    /// The function.
    pub function: UnaryFunction,
}

/// The functions that [`Unary`] applies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum UnaryFunction {
    /// `x` where positive, else `alpha * x`.
    LeakyRelu {
        /// The slope of the negative side.
        alpha: f32,
    },
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `x * clamp(x / 6 + 1/2, 0, 1)`.
    HardSwish,
    /// `clamp(alpha * x + beta, 0, 1)`.
    HardSigmoid {
        /// The slope.
        alpha: f32,
        /// The value at zero.
        beta: f32,
    },
}

impl UnaryFunction {
    /// The function's value on the host, from which the integer program's table is made.
    pub fn apply(self, x: f32) -> f32 {
        match self {
            UnaryFunction::LeakyRelu { alpha } => {
                if x >= 0.0 {
                    x
                } else {
                    alpha * x
                }
            }
            UnaryFunction::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            UnaryFunction::Tanh => x.tanh(),
            UnaryFunction::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            UnaryFunction::HardSigmoid { alpha, beta } => (alpha * x + beta).clamp(0.0, 1.0),
        }
    }
}

impl Operator for Unary {
    fn name(&self) -> &'static str {
        match self.function {
            UnaryFunction::LeakyRelu { .. } => "LeakyRelu",
            UnaryFunction::Sigmoid => "Sigmoid",
            UnaryFunction::Tanh => "Tanh",
            UnaryFunction::HardSwish => "HardSwish",
            UnaryFunction::HardSigmoid { .. } => "HardSigmoid",
        }
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        Ok(inputs[0].to_vec())
    }

    fn forward(&self, inputs: &[Tensor<4>], _parameters: &[Tensor<1>]) -> Tensor<4> {
        let x = inputs[0].clone();
        match self.function {
            UnaryFunction::LeakyRelu { alpha } => activation::leaky_relu(x, alpha.into()),
            UnaryFunction::Sigmoid => activation::sigmoid(x),
            UnaryFunction::Tanh => activation::tanh(x),
            UnaryFunction::HardSwish => activation::hard_swish(x),
            UnaryFunction::HardSigmoid { alpha, beta } => {
                activation::hard_sigmoid(x, alpha.into(), beta.into())
            }
        }
    }

    fn output_grid(&self) -> OutputGrid {
        // TensorFlow Lite fixes these two grids, because the ranges are known.
        match self.function {
            UnaryFunction::Sigmoid => {
                OutputGrid::Fixed { scale: 1.0 / 256.0, zero_point: -128, doublings: 0 }
            }
            UnaryFunction::Tanh => {
                OutputGrid::Fixed { scale: 1.0 / 128.0, zero_point: 0, doublings: 0 }
            }
            _ => OutputGrid::Observed,
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
        false
    }

    fn keeps_channels_apart(&self, _axis: usize, _channels: usize) -> bool {
        true
    }
}
