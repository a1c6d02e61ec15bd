//! Differences, quotients, extremes and rectifiers of two values.

use std::ops::RangeInclusive;

use burn::tensor::Tensor;

use super::{Operator, OutputGrid, broadcast::broadcast_shape};

/// A function of two values, element by element; on each axis one of them may have extent 1 and is
/// repeated.
#[derive(Clone, Debug)]
pub struct Binary {
    /// The function.
    pub function: BinaryFunction,
}

/// The functions that [`Binary`] applies, of the first value `a` and the second `b`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryFunction {
    /// `a - b`.
    Sub,
    /// `a / b`. The quotient of 0 and 0 is 0: divisors that calibration did not meet may round to 0.
    Div,
    /// The smaller one.
    Minimum,
    /// The larger one.
    Maximum,
    /// `a` where it is not negative, else `a * b`.
    Prelu,
}

impl Operator for Binary {
    fn name(&self) -> &'static str {
        match self.function {
            BinaryFunction::Sub => "Sub",
            BinaryFunction::Div => "Div",
            BinaryFunction::Minimum => "Min",
            BinaryFunction::Maximum => "Max",
            BinaryFunction::Prelu => "PRelu",
        }
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        broadcast_shape(inputs[0], inputs[1])
    }

    fn forward(&self, inputs: &[Tensor<4>], _parameters: &[Tensor<1>]) -> Tensor<4> {
        let (a, b) = (inputs[0].clone(), inputs[1].clone());
        match self.function {
            BinaryFunction::Sub => a - b,
            BinaryFunction::Div => {
                let quotient = a / b;
                let undefined = quotient.clone().is_nan();
                quotient.mask_fill(undefined, 0.0)
            }
            BinaryFunction::Minimum => {
                let [a, b] = expanded(a, b);
                a.min_pair(b)
            }
            BinaryFunction::Maximum => {
                let [a, b] = expanded(a, b);
                a.max_pair(b)
            }
            BinaryFunction::Prelu => a.clone().clamp_min(0.0) + a.clamp_max(0.0) * b,
        }
    }

    fn output_grid(&self) -> OutputGrid {
        if self.chooses() { OutputGrid::Shared } else { OutputGrid::Observed }
    }

    fn macs(&self, _inputs: &[&[usize]], _output: &[usize]) -> usize {
        0
    }

    fn arity(&self) -> RangeInclusive<usize> {
        2..=2
    }

    fn moves_elements(&self) -> bool {
        self.chooses()
    }

    fn averages(&self) -> bool {
        false
    }

    fn class_axis(&self) -> Option<usize> {
        None
    }

    fn can_clamp(&self) -> bool {
        !self.chooses()
    }

    fn keeps_channels_apart(&self, _axis: usize, _channels: usize) -> bool {
        false
    }
}

impl Binary {
    /// Whether each element of the output is one of the inputs'.
    fn chooses(&self) -> bool {
        matches!(self.function, BinaryFunction::Minimum | BinaryFunction::Maximum)
    }
}

/// Both values, repeated along the axes on which the other one is larger.
fn expanded(a: Tensor<4>, b: Tensor<4>) -> [Tensor<4>; 2] {
    let (first, second) = (a.dims(), b.dims());
    let shape: [usize; 4] = std::array::from_fn(|axis| first[axis].max(second[axis]));
    [a.expand(shape), b.expand(shape)]
}
