//! Operations in real numbers: what integers that overflow nowhere come close to.

use burn_ptq_deploy::program::{BinaryFunction, DType, IntOp, TensorId};
use burn_ptq_deploy::run::tensor_integers;
use burn_ptq_kernels::geometry::MatMulGeometry;
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::{AddParams, Clamp, Reduction, Strides};

use crate::problems::Problem;

/// A real output before bounds, and how far from it the integer may lie.
#[derive(Debug)]
pub(crate) struct Near {
    value: f64,
    tolerance: f64,
}

/// The outputs of the last operation and its bounds; `None` if it is not stated here.
pub(crate) fn stated(problem: &Problem) -> Option<(Vec<Near>, Clamp)> {
    let program = &problem.program;
    let node = program.nodes.last()?;
    let contents = problem.contents();
    let differences = |id: TensorId| -> Vec<f64> {
        let tensor = &program.tensors[id.0];
        let values = tensor_integers(tensor, &contents[id.0]);
        values.map(|x| f64::from(x - tensor.grid.zero_point)).collect()
    };
    let operands: Vec<Vec<f64>> = node.inputs.iter().map(|&id| differences(id)).collect();
    let output = &program.tensors[node.output.0];
    let zero_point = f64::from(output.grid.zero_point);
    let wide = output.dtype == DType::I16;
    let scaled = |multiplier: Multiplier, value: f64| Near {
        value: real(multiplier) * value + zero_point,
        tolerance: 1.0,
    };
    // 16 bits are rescaled by the upper half of a multiplier.
    let rescaled = |multiplier: Multiplier, value: f64| {
        let lost =
            if wide { value.abs() * f64::from(multiplier.exponent - 15).exp2() } else { 0.0 };
        Near { tolerance: 1.0 + lost, ..scaled(multiplier, value) }
    };
    let added = |params: &AddParams, [x, y]: [f64; 2], sign: f64| {
        let shift = f64::from(params.left_shift).exp2();
        let sum = real(params.a) * x * shift + sign * real(params.b) * y * shift;
        Near { tolerance: 1.0 + 2.0 * real(params.output), ..scaled(params.output, sum) }
    };
    match &node.op {
        IntOp::Add { params, broadcast, clamp } => {
            let strides = broadcast.strides(operands[0].len(), operands[1].len());
            Some((pairs(&strides, &operands, |x, y| added(params, [x, y], 1.0)), *clamp))
        }
        IntOp::Mul { multiplier, broadcast, clamp } => {
            let strides = broadcast.strides(operands[0].len(), operands[1].len());
            Some((pairs(&strides, &operands, |x, y| scaled(*multiplier, x * y)), *clamp))
        }
        IntOp::Binary { function, broadcast, clamp } => {
            let strides = broadcast.strides(operands[0].len(), operands[1].len());
            let binary = |x: f64, y: f64| match function {
                BinaryFunction::Sub(params) => added(params, [x, y], -1.0),
                BinaryFunction::Div(_) if x == 0.0 && y == 0.0 => {
                    Near { value: zero_point, tolerance: 0.0 }
                }
                BinaryFunction::Div(_) if y == 0.0 => {
                    Near { value: x * f64::INFINITY, tolerance: 0.0 }
                }
                BinaryFunction::Div(multiplier) => {
                    let near = scaled(*multiplier, x / y);
                    Near { tolerance: 1.0 + near.value.abs() * f64::from(-24).exp2(), ..near }
                }
                BinaryFunction::Minimum => Near { value: x.min(y) + zero_point, tolerance: 0.0 },
                BinaryFunction::Maximum => Near { value: x.max(y) + zero_point, tolerance: 0.0 },
                BinaryFunction::Prelu(params) if x >= 0.0 => scaled(params.positive, x),
                BinaryFunction::Prelu(params) => scaled(params.negative, x * y),
            };
            // One of the inputs, which need not lie on the grid.
            let unbounded = Clamp { min: i32::MIN, max: i32::MAX };
            let extreme = matches!(function, BinaryFunction::Minimum | BinaryFunction::Maximum);
            let clamp = if extreme { unbounded } else { *clamp };
            Some((pairs(&strides, &operands, binary), clamp))
        }
        IntOp::BatchMatMul { geometry, multiplier, clamp } => {
            let sums = products(geometry, &operands);
            Some((sums.into_iter().map(|sum| rescaled(*multiplier, sum)).collect(), *clamp))
        }
        IntOp::Reduce { reduction, outer, reduced, inner, multiplier, clamp } => {
            let near = |place: usize| {
                let first = place / inner * reduced * inner + place % inner;
                let run = (0..*reduced).map(|k| operands[0][first + k * inner]);
                match reduction {
                    Reduction::Max => scaled(*multiplier, run.fold(f64::MIN, f64::max)),
                    Reduction::Min => scaled(*multiplier, run.fold(f64::MAX, f64::min)),
                    Reduction::Sum => scaled(*multiplier, run.sum()),
                    Reduction::SumOfMagnitudes => scaled(*multiplier, run.map(f64::abs).sum()),
                    Reduction::SumOfSquares => rescaled(*multiplier, run.map(|x| x * x).sum()),
                    Reduction::RootOfSquares => {
                        let root = 256.0 * run.map(|x| x * x).sum::<f64>().sqrt();
                        Near { tolerance: 1.0 + real(*multiplier), ..scaled(*multiplier, root) }
                    }
                }
            };
            Some(((0..outer * inner).map(near).collect(), *clamp))
        }
        IntOp::Conv2d { .. }
        | IntOp::DepthwiseConv2d { .. }
        | IntOp::TransposeConv2d { .. }
        | IntOp::FullyConnected { .. }
        | IntOp::AveragePool { .. }
        | IntOp::MaxPool { .. }
        | IntOp::Table8 { .. }
        | IntOp::Table16 { .. }
        | IntOp::Gate { .. }
        | IntOp::Softmax { .. }
        | IntOp::LogSoftmax { .. }
        | IntOp::Requantize { .. }
        | IntOp::Concat { .. }
        | IntOp::Pad { .. }
        | IntOp::Transpose { .. }
        | IntOp::Pack
        | IntOp::Unpack
        | IntOp::Normalize { .. }
        | IntOp::TopK { .. }
        | IntOp::Rearrange { .. }
        | IntOp::ResizeLinear { .. }
        | IntOp::Lookup8 { .. }
        | IntOp::Lookup16 { .. }
        | IntOp::Constant { .. }
        | IntOp::Step { .. } => None,
    }
}

impl Near {
    /// Whether `found` is one of the integers that this may become.
    pub(crate) fn allows(&self, clamp: Clamp, found: i32) -> bool {
        let bounded = |x: f64| x.clamp(f64::from(clamp.min), f64::from(clamp.max));
        // Half of a last bit of the real numbers themselves.
        let tolerance = self.tolerance + 1e-6;
        let (least, most) = (bounded(self.value - tolerance), bounded(self.value + tolerance));
        least <= f64::from(found) && f64::from(found) <= most
    }
}

fn real(multiplier: Multiplier) -> f64 {
    f64::from(multiplier.quantized) * f64::from(multiplier.exponent - 31).exp2()
}

fn pairs(strides: &Strides, operands: &[Vec<f64>], f: impl Fn(f64, f64) -> Near) -> Vec<Near> {
    let [height, width, channels] = strides.extents;
    let mut found = Vec::with_capacity(height * width * channels);
    for i in 0..height {
        for j in 0..width {
            for k in 0..channels {
                let place = |steps: [usize; 3]| i * steps[0] + j * steps[1] + k * steps[2];
                found.push(f(operands[0][place(strides.a)], operands[1][place(strides.b)]));
            }
        }
    }
    found
}

fn products(g: &MatMulGeometry, operands: &[Vec<f64>]) -> Vec<f64> {
    let mut sums = vec![0.0; g.batch * g.rows * g.columns];
    for n in 0..g.batch {
        for i in 0..g.rows {
            for j in 0..g.columns {
                let term = |k: usize| {
                    let a = operands[0][n * g.a[0] + i * g.a[1] + k * g.a[2]];
                    a * operands[1][n * g.b[0] + k * g.b[1] + j * g.b[2]]
                };
                let place = n * g.output[0] + i * g.output[1] + j * g.output[2];
                sums[place] = (0..g.inner).map(term).sum();
            }
        }
    }
    sums
}
