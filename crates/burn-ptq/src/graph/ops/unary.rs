//! Unary non-linearities: each becomes a lookup table in the integer program.

use std::ops::RangeInclusive;

use burn::tensor::{Tensor, activation};
use burn_ptq_kernels::grid::Grid;
use burn_ptq_kernels::params::{GateFunction, GateParams};

use super::{Comparison, Operator, OutputGrid};

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
    /// `|x|`.
    Abs,
    /// `exp(x)`.
    Exp,
    /// The natural logarithm.
    Log,
    /// The square root.
    Sqrt,
    /// `1 / x`.
    Reciprocal,
    /// The sine.
    Sin,
    /// The cosine.
    Cos,
    /// -1, 0 or 1.
    Sign,
    /// The largest integer that is not above.
    Floor,
    /// The smallest integer that is not below.
    Ceil,
    /// The nearest integer, the even one of two.
    Round,
    /// The error function.
    Erf,
    /// `x` times the normal distribution function.
    Gelu {
        /// Whether that is approximated by a hyperbolic tangent.
        tanh: bool,
    },
    /// `x / (1 + exp(-alpha * x))`.
    Swish {
        /// The slope of the gate.
        alpha: f32,
    },
    /// `scale * x` where positive, else `scale * alpha * (exp(x / width) - 1)`: Elu, Selu and Celu.
    Elu {
        /// The magnitude of the lowest value, before `scale`.
        alpha: f32,
        /// What everything is multiplied by.
        scale: f32,
        /// How far the bend reaches.
        width: f32,
    },
    /// `log(1 + exp(x))`.
    Softplus,
    /// `x / (1 + |x|)`.
    Softsign,
    /// `x * tanh(log(1 + exp(x)))`.
    Mish,
    /// `x` where above `alpha`, else 0.
    ThresholdedRelu {
        /// The threshold.
        alpha: f32,
    },
    /// `x^exponent`.
    Pow {
        /// The exponent.
        exponent: f32,
    },
    /// 1 where the comparison with `bound` holds, else 0.
    Compare {
        /// How `x` is compared.
        with: Comparison,
        /// What it is compared with.
        bound: f32,
    },
    /// `x` where above `bound`, else `value`.
    Threshold {
        /// The threshold.
        bound: f32,
        /// The value at and below it.
        value: f32,
    },
    /// 0 from `-lambd` to `lambd`; `x + bias` below, `x - bias` above.
    Shrink {
        /// How far the zeros reach; not negative.
        lambd: f32,
        /// By how much the rest moves towards 0.
        bias: f32,
    },
}

impl UnaryFunction {
    /// How the kernel of gates computes it from one grid of 16 bits to another, if that can.
    pub(crate) fn gate(self, input: Grid, output: Grid) -> Option<GateParams> {
        let function = match self {
            UnaryFunction::Sigmoid => GateFunction::Sigmoid,
            UnaryFunction::Tanh => GateFunction::Tanh,
            _ => return None,
        };
        GateParams::new(function, input, output).filter(|_| input.max > i32::from(i8::MAX))
    }

    /// The function's value on the host, from which the integer program's table is made.
    ///
    /// A grid holds numbers that calibration did not meet, so that it is defined everywhere: where the
    /// function has no value it is 0, and where that is infinite the largest number of its sign. The
    /// logarithm of negative numbers is that of 0.
    pub fn apply(self, x: f32) -> f32 {
        let y = self.value(x);
        if y.is_nan() { 0.0 } else { y.clamp(f32::MIN, f32::MAX) }
    }

    fn value(self, x: f32) -> f32 {
        match self {
            UnaryFunction::Abs => x.abs(),
            UnaryFunction::Exp => x.exp(),
            UnaryFunction::Log => x.max(0.0).ln(),
            UnaryFunction::Sqrt => x.sqrt(),
            UnaryFunction::Reciprocal => x.recip(),
            UnaryFunction::Sin => x.sin(),
            UnaryFunction::Cos => x.cos(),
            UnaryFunction::Sign if x == 0.0 => 0.0,
            UnaryFunction::Sign => x.signum(),
            UnaryFunction::Floor => x.floor(),
            UnaryFunction::Ceil => x.ceil(),
            UnaryFunction::Round => x.round_ties_even(),
            UnaryFunction::Erf => erf(x.into()) as f32,
            UnaryFunction::Gelu { tanh: false } => {
                let x = f64::from(x);
                (0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2))) as f32
            }
            UnaryFunction::Gelu { tanh: true } => {
                let x = f64::from(x);
                (0.5 * x * (1.0 + (GELU_SLOPE * (x + GELU_CUBE * x.powi(3))).tanh())) as f32
            }
            UnaryFunction::Swish { alpha } => x / (1.0 + (-alpha * x).exp()),
            UnaryFunction::Elu { alpha, scale, width } => {
                scale * if x > 0.0 { x } else { alpha * (x / width).exp_m1() }
            }
            UnaryFunction::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
            UnaryFunction::Softsign => x / (1.0 + x.abs()),
            UnaryFunction::Mish => x * UnaryFunction::Softplus.value(x).tanh(),
            UnaryFunction::ThresholdedRelu { alpha } => {
                if x > alpha {
                    x
                } else {
                    0.0
                }
            }
            UnaryFunction::Pow { exponent } => x.powf(exponent),
            UnaryFunction::Compare { with, bound } => f32::from(u8::from(with.holds(x, bound))),
            UnaryFunction::Threshold { bound, value } => {
                if x > bound {
                    x
                } else {
                    value
                }
            }
            UnaryFunction::Shrink { lambd, bias } => {
                if x < -lambd {
                    x + bias
                } else if x > lambd {
                    x - bias
                } else {
                    0.0
                }
            }
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

/// `log(1 + exp(x))` without large exponentials.
fn softplus(x: Tensor<4>) -> Tensor<4> {
    activation::relu(x.clone()) + (-x.abs()).exp().log1p()
}

/// `sqrt(2 / pi)`, and the weight of the cube, of the approximation of Gelu by a tangent.
const GELU_SLOPE: f64 = 0.797_884_560_802_865_4;
const GELU_CUBE: f64 = 0.044_715;

/// The error function: its series about 0, and the continued fraction of its complement (Abramowitz and
/// Stegun, 7.1.6 and 7.1.14).
fn erf(x: f64) -> f64 {
    let magnitude = x.abs();
    if magnitude > 6.0 {
        return x.signum();
    }
    if magnitude < 2.5 {
        let (mut term, mut sum) = (x, x);
        for n in 1..60 {
            term *= 2.0 * x * x / f64::from(2 * n + 1);
            sum += term;
        }
        return std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum;
    }
    let fraction = (1..60).rev().fold(0.0, |f, n| f64::from(n) / 2.0 / (magnitude + f));
    let complement =
        (-x * x).exp() / (magnitude + fraction) * std::f64::consts::FRAC_2_SQRT_PI / 2.0;
    x.signum() * (1.0 - complement)
}

impl Operator for Unary {
    fn name(&self) -> &'static str {
        match self.function {
            UnaryFunction::LeakyRelu { .. } => "LeakyRelu",
            UnaryFunction::Sigmoid => "Sigmoid",
            UnaryFunction::Tanh => "Tanh",
            UnaryFunction::HardSwish => "HardSwish",
            UnaryFunction::HardSigmoid { .. } => "HardSigmoid",
            UnaryFunction::Abs => "Abs",
            UnaryFunction::Exp => "Exp",
            UnaryFunction::Log => "Log",
            UnaryFunction::Sqrt => "Sqrt",
            UnaryFunction::Reciprocal => "Reciprocal",
            UnaryFunction::Sin => "Sin",
            UnaryFunction::Cos => "Cos",
            UnaryFunction::Sign => "Sign",
            UnaryFunction::Floor => "Floor",
            UnaryFunction::Ceil => "Ceil",
            UnaryFunction::Round => "Round",
            UnaryFunction::Erf => "Erf",
            UnaryFunction::Gelu { .. } => "Gelu",
            UnaryFunction::Swish { .. } => "Swish",
            UnaryFunction::Elu { .. } => "Elu",
            UnaryFunction::Softplus => "Softplus",
            UnaryFunction::Softsign => "Softsign",
            UnaryFunction::Mish => "Mish",
            UnaryFunction::ThresholdedRelu { .. } => "ThresholdedRelu",
            UnaryFunction::Pow { .. } => "Pow",
            UnaryFunction::Compare { with, .. } => with.name(),
            UnaryFunction::Threshold { .. } => "Threshold",
            UnaryFunction::Shrink { .. } => "Shrink",
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
            UnaryFunction::Abs => x.abs(),
            UnaryFunction::Exp => x.exp(),
            UnaryFunction::Log => x.log(),
            UnaryFunction::Sqrt => x.sqrt(),
            UnaryFunction::Reciprocal => x.recip(),
            UnaryFunction::Sin => x.sin(),
            UnaryFunction::Cos => x.cos(),
            UnaryFunction::Sign => x.sign(),
            UnaryFunction::Floor => x.floor(),
            UnaryFunction::Ceil => x.ceil(),
            UnaryFunction::Round => x.round(),
            UnaryFunction::Erf => x.erf(),
            UnaryFunction::Gelu { tanh: false } => {
                let gate = (x.clone() / std::f32::consts::SQRT_2).erf() + 1.0;
                x * gate * 0.5
            }
            UnaryFunction::Gelu { tanh: true } => {
                let cubed = x.clone() * x.clone() * x.clone();
                let gate = ((x.clone() + cubed * GELU_CUBE) * GELU_SLOPE).tanh() + 1.0;
                x * gate * 0.5
            }
            UnaryFunction::Swish { alpha } => x.clone() * activation::sigmoid(x * alpha),
            UnaryFunction::Elu { alpha, scale, width } => {
                let bent = ((x.clone().clamp_max(0.0) / width).exp() - 1.0) * alpha;
                (activation::relu(x) + bent) * scale
            }
            UnaryFunction::Softplus => softplus(x),
            UnaryFunction::Softsign => x.clone() / (x.abs() + 1.0),
            UnaryFunction::Mish => x.clone() * softplus(x).tanh(),
            UnaryFunction::ThresholdedRelu { alpha } => {
                let above = x.clone().greater_elem(alpha).float();
                x * above
            }
            UnaryFunction::Pow { exponent } => x.powf_scalar(exponent),
            UnaryFunction::Compare { with, bound } => with.forward(x, bound),
            UnaryFunction::Threshold { bound, value } => {
                let below = x.clone().lower_equal_elem(bound);
                x.mask_fill(below, value)
            }
            UnaryFunction::Shrink { lambd, bias } => {
                let below = x.clone().lower_elem(-lambd);
                let above = x.clone().greater_elem(lambd);
                let kept = x.zeros_like().mask_where(above, x.clone() - bias);
                kept.mask_where(below, x + bias)
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

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::graph::to_vec;

    #[test]
    fn the_error_function_has_the_values_of_its_tables() {
        // Abramowitz and Stegun, table 7.1, and both sides of where the methods meet.
        for (x, expected) in [
            (0.0, 0.0),
            (0.5, 0.520_499_877_813_046_5),
            (1.0, 0.842_700_792_949_714_9),
            (2.0, 0.995_322_265_018_952_7),
            (2.499_999, 0.999_593_045_805_2),
            (2.500_001, 0.999_593_050_162_4),
            (3.0, 0.999_977_909_503_001_4),
        ] {
            assert!((erf(x) - expected).abs() < 2e-9, "erf({x}) is {}", erf(x));
            assert_eq!(erf(-x), -erf(x));
        }
    }

    /// Functions that are defined for positive numbers only, and the others.
    const POSITIVE: [UnaryFunction; 4] = [
        UnaryFunction::Log,
        UnaryFunction::Sqrt,
        UnaryFunction::Reciprocal,
        UnaryFunction::Pow { exponent: 0.5 },
    ];
    const ALL: [UnaryFunction; 21] = [
        UnaryFunction::Abs,
        UnaryFunction::Exp,
        UnaryFunction::Sin,
        UnaryFunction::Cos,
        UnaryFunction::Sign,
        UnaryFunction::Floor,
        UnaryFunction::Ceil,
        UnaryFunction::Round,
        UnaryFunction::Erf,
        UnaryFunction::Gelu { tanh: false },
        UnaryFunction::Gelu { tanh: true },
        UnaryFunction::Swish { alpha: 1.7 },
        UnaryFunction::Elu { alpha: 0.7, scale: 1.1, width: 0.9 },
        UnaryFunction::Softplus,
        UnaryFunction::Softsign,
        UnaryFunction::Mish,
        UnaryFunction::ThresholdedRelu { alpha: 0.8 },
        UnaryFunction::Pow { exponent: 2.0 },
        UnaryFunction::Compare { with: Comparison::GreaterOrEqual, bound: 0.3 },
        UnaryFunction::Threshold { bound: 0.3, value: -0.7 },
        UnaryFunction::Shrink { lambd: 0.5, bias: 0.2 },
    ];

    #[test]
    fn tables_are_made_of_what_burn_computes() {
        let all = ALL.iter().map(|f| (f, -60)).chain(POSITIVE.iter().map(|f| (f, 1)));
        for (&function, first) in all {
            let inputs: Vec<f32> = (first..60).map(|i| i as f32 * 0.07 + 0.003).collect();
            let data = TensorData::new(inputs.clone(), [1, inputs.len(), 1, 1]);
            let x = Tensor::from_data(data, &Device::flex());
            let found = to_vec(Unary { function }.forward(&[x], &[]));
            for (&x, y) in inputs.iter().zip(found) {
                let expected = function.apply(x);
                let bound = 2e-5 * expected.abs().max(1.0);
                assert!((y - expected).abs() < bound, "{function:?} of {x}: {y}, {expected}");
            }
        }
    }

    #[test]
    fn comparisons_hold_at_their_bound_and_beside_it_as_burn_says() {
        use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
        let inputs = [-1.0, 0.5, 2.0];
        for (with, expected) in [
            (Less, [1.0, 0.0, 0.0]),
            (LessOrEqual, [1.0, 1.0, 0.0]),
            (Greater, [0.0, 0.0, 1.0]),
            (GreaterOrEqual, [0.0, 1.0, 1.0]),
            (Equal, [0.0, 1.0, 0.0]),
            (NotEqual, [1.0, 0.0, 1.0]),
        ] {
            let function = UnaryFunction::Compare { with, bound: 0.5 };
            assert_eq!(inputs.map(|x| function.apply(x)), expected, "{with:?}");
            let x =
                Tensor::from_data(TensorData::new(inputs.to_vec(), [1, 3, 1, 1]), &Device::flex());
            assert_eq!(to_vec(Unary { function }.forward(&[x], &[])), expected, "{with:?}");
            assert!(inputs.iter().all(|&x| with.holds(x, 0.5) == with.turned().holds(0.5, x)));
        }
    }

    #[test]
    fn functions_are_defined_on_every_grid() {
        for function in ALL.into_iter().chain(POSITIVE) {
            for x in [0.0, -0.0, -1.0, 1e30, -1e30, f32::MAX, f32::MIN] {
                assert!(function.apply(x).is_finite(), "{function:?} of {x}");
            }
        }
        assert_eq!(UnaryFunction::Log.apply(-1.0), f32::MIN);
        assert_eq!(UnaryFunction::Sqrt.apply(-1.0), 0.0);
    }
}
