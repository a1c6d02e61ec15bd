//! Scales for what calibration says nothing of: values that are zero on all samples, and scales
//! below what the integer arithmetic before them can resolve.

use burn_ptq_kernels::grid::Grid;

use super::Range;
use crate::graph::ops::{BinaryFunction, ReduceFunction, Unary, UnaryFunction};
use crate::graph::{Clamp, Node, Op};

/// Magnitudes below this count as zero: their steps would leave the normal 32-bit floats.
pub(crate) const SMALLEST_MAGNITUDE: f32 = 7.703_72e-34;

/// The range of a value that is zero whatever is put in.
pub(crate) const UNKNOWN: Range = Range { min: -1.0, max: 1.0 };

/// The most steps of its output's grid that an operation's result may reach: rescaled accumulators
/// have 30 bits, and rounding may enlarge weights.
const LARGEST_RESULT: f64 = (1_u32 << 27) as f64;

/// The smallest scale of inputs of softmax, whose arithmetic has 26 fraction bits.
const SMALLEST_LOGIT_SCALE: f64 = 1.0 / (1_u32 << 26) as f64;

/// Whether no element of a value differs from zero in steps that floats can express.
pub(crate) fn is_zero(range: Range) -> bool {
    range.min.abs().max(range.max.abs()) < SMALLEST_MAGNITUDE
}

/// An interval that holds what `node` gives for inputs within `inputs`.
pub(crate) fn possible(node: &Node, inputs: &[Range]) -> Range {
    let [low, high] = match inputs.first() {
        Some(first) => [f64::from(first.min), f64::from(first.max)],
        None => [0.0, 0.0],
    };
    let (low, high) = match &node.op {
        Op::Conv2d(_) | Op::Linear(_) | Op::ChannelAffine(_) => weighted(node, low, high),
        Op::Add(_) => (low + f64::from(inputs[1].min), high + f64::from(inputs[1].max)),
        Op::Mul(_) => hull(
            [low, high]
                .into_iter()
                .flat_map(|a| [inputs[1].min, inputs[1].max].map(|b| a * f64::from(b))),
        ),
        Op::Binary(op) => binary(op.function, (low, high), inputs[1]),
        Op::MatMul(op) => {
            let ends = [low, high]
                .into_iter()
                .flat_map(|a| [inputs[1].min, inputs[1].max].map(|b| a * f64::from(b)));
            let (low, high) = hull(ends);
            let terms = op.inner as f64 * f64::from(op.factor);
            (low * terms, high * terms)
        }
        Op::Reduce(op) => {
            let (count, largest) = (op.elements as f64, low.abs().max(high.abs()));
            match op.function {
                ReduceFunction::Mean | ReduceFunction::Max | ReduceFunction::Min => (low, high),
                ReduceFunction::Sum => (low * count, high * count),
                ReduceFunction::L1 => (0.0, largest * count),
                ReduceFunction::L2 => (0.0, largest * count.sqrt()),
                ReduceFunction::SumSquare => (0.0, largest * largest * count),
            }
        }
        Op::Normalize(op) => (-op.largest(), op.largest()),
        Op::Lookup(op) => hull(op.table.data.iter().map(|&x| f64::from(x))),
        Op::TopK(op) if op.indices => (0.0, f64::from(i16::MAX)),
        // An equal number may lie between any steps.
        Op::Unary(Unary { function: UnaryFunction::Compare { .. } }) => (0.0, 1.0),
        Op::Unary(op) => {
            // Few are not monotone, and those bend slowly; the minimum of HardSwish is at -1.5.
            let steps = (0..=64).map(|i| low + (high - low) * f64::from(i) / 64.0);
            let ends = steps.chain([-1.5_f64.clamp(low, high), high]);
            hull(ends.map(|x| f64::from(op.function.apply(x as f32))))
        }
        Op::Clip(op) => bounded(op.bounds, low, high),
        Op::Dilate(_) => (low.min(0.0), high.max(0.0)),
        Op::Pad(op) => (low.min(op.value.into()), high.max(op.value.into())),
        Op::Softmax(_) => (0.0, 1.0),
        Op::LogSoftmax(_) => (-16.0, 0.0),
        Op::Concat(_) => hull(inputs.iter().flat_map(|r| [r.min.into(), r.max.into()])),
        Op::Constant(op) => hull(op.array.data.iter().map(|&x| f64::from(x))),
        Op::AveragePool(_)
        | Op::ResizeLinear(_)
        | Op::MaxPool(_)
        | Op::Reshape(_)
        | Op::Permute(_)
        | Op::Rearrange(_)
        | Op::Requantize(_)
        | Op::Step(_)
        | Op::TopK(_) => (low, high),
    };
    let (low, high) = match node.clamp {
        Some(bounds) => bounded(bounds, low, high),
        None => (low, high),
    };
    let finite = |x: f64| x.clamp(-1e30, 1e30) as f32;
    Range { min: finite(low), max: finite(high) }
}

/// The smallest scale of `node`'s output that its result can be rescaled to, whatever its inputs
/// hold; 0 where nothing is rescaled.
pub(crate) fn smallest_scale(node: &Node, inputs: &[Grid]) -> f64 {
    let reach = |i: usize| reach(inputs[i]);
    let mut smallest = 0.0_f64;
    let largest = match &node.op {
        Op::Conv2d(_) | Op::Linear(_) | Op::ChannelAffine(_) => largest_result(node, reach(0)),
        Op::Add(_) => {
            smallest = smallest_term(inputs);
            reach(0) + reach(1)
        }
        Op::Mul(_) => reach(0) * reach(1),
        Op::Binary(op) => match op.function {
            BinaryFunction::Sub => {
                smallest = smallest_term(inputs);
                reach(0) + reach(1)
            }
            // The divisor is at least one step.
            BinaryFunction::Div => reach(0) / f64::from(inputs[1].scale),
            BinaryFunction::Prelu => reach(0) * reach(1).max(1.0),
            BinaryFunction::Minimum | BinaryFunction::Maximum => 0.0,
        },
        Op::MatMul(op) => reach(0) * reach(1) * op.inner as f64 * f64::from(op.factor),
        Op::Clip(_) | Op::Requantize(_) => reach(0),
        Op::Reduce(op) => {
            let (count, reach) = (op.elements as f64, reach(0));
            match op.function {
                ReduceFunction::Mean => reach,
                ReduceFunction::Sum | ReduceFunction::L1 => reach * count,
                ReduceFunction::L2 => reach * count.sqrt(),
                ReduceFunction::SumSquare => reach * reach * count,
                ReduceFunction::Max | ReduceFunction::Min => 0.0,
            }
        }
        // Quotients of deviation and root have 26 bits.
        Op::Normalize(op) => 8.0 * op.largest(),
        // Tables, movements and what keeps to its input's grid.
        Op::Unary(_)
        | Op::AveragePool(_)
        | Op::MaxPool(_)
        | Op::Reshape(_)
        | Op::Permute(_)
        | Op::Concat(_)
        | Op::Pad(_)
        | Op::Softmax(_)
        | Op::LogSoftmax(_)
        | Op::TopK(_)
        | Op::Rearrange(_)
        | Op::Dilate(_)
        | Op::ResizeLinear(_)
        | Op::Lookup(_)
        | Op::Step(_)
        | Op::Constant(_) => 0.0,
    };
    smallest.max(largest / LARGEST_RESULT)
}

/// The smallest scale of a sum or difference: terms are rounded to fractions of the coarser input's
/// step before they meet.
fn smallest_term(inputs: &[Grid]) -> f64 {
    let fractions = if inputs[0].max > 127 { 1 << 13 } else { 1 << 18 };
    f64::from(inputs[0].scale.max(inputs[1].scale)) / f64::from(fractions)
}

/// The smallest scale of an input of `node`; 0 where any will do.
pub(crate) fn smallest_input_scale(node: &Node) -> f64 {
    node.op.operator().class_axis().map_or(0.0, |_| SMALLEST_LOGIT_SCALE)
}

/// The largest magnitude that the bytes of a value can stand for.
fn reach(grid: Grid) -> f64 {
    let wide = grid.max > 127;
    let steps = if wide { 32768 } else { 128 + grid.zero_point.abs() };
    f64::from(steps) * f64::from(grid.scale)
}

/// The interval of a layer's outputs for inputs from `low` to `high`.
fn weighted(node: &Node, low: f64, high: f64) -> (f64, f64) {
    let Some((weight, bias)) = node.op.weight_and_bias() else { return (0.0, 0.0) };
    hull(weight.rows().zip(&bias.data).flat_map(|(row, &bias)| {
        let ends = row.iter().map(|&w| {
            let (a, b) = (f64::from(w) * low, f64::from(w) * high);
            (a.min(b), a.max(b))
        });
        let (low, high) = ends.fold((0.0, 0.0), |sum, end| (sum.0 + end.0, sum.1 + end.1));
        [f64::from(bias) + low, f64::from(bias) + high]
    }))
}

/// The largest magnitude of a layer's outputs for inputs of magnitudes up to `reach`.
fn largest_result(node: &Node, reach: f64) -> f64 {
    let Some((weight, bias)) = node.op.weight_and_bias() else { return 0.0 };
    let rows = weight.rows().zip(&bias.data).map(|(row, &bias)| {
        f64::from(bias.abs()) + reach * row.iter().map(|&w| f64::from(w.abs())).sum::<f64>()
    });
    rows.fold(0.0, f64::max)
}

/// The interval of a function of two values; of quotients, that by the largest divisors there are:
/// small ones have no bound.
fn binary(function: BinaryFunction, (low, high): (f64, f64), second: Range) -> (f64, f64) {
    let [min, max] = [f64::from(second.min), f64::from(second.max)];
    match function {
        BinaryFunction::Sub => (low - max, high - min),
        BinaryFunction::Div => {
            let divisor = min.abs().max(max.abs()).max(f64::from(SMALLEST_MAGNITUDE));
            let largest = low.abs().max(high.abs()) / divisor;
            (-largest, largest)
        }
        BinaryFunction::Minimum => (low.min(min), high.min(max)),
        BinaryFunction::Maximum => (low.max(min), high.max(max)),
        BinaryFunction::Prelu => {
            let negative = low.min(0.0);
            hull([low.max(0.0), high.max(0.0), negative * min, negative * max].into_iter())
        }
    }
}

fn bounded(bounds: Clamp, low: f64, high: f64) -> (f64, f64) {
    let [min, max] = [f64::from(bounds.min), f64::from(bounds.max)];
    (low.max(min).min(max), high.max(min).min(max))
}

fn hull(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let around = (f64::INFINITY, f64::NEG_INFINITY);
    values.fold(around, |(low, high), x| (low.min(x), high.max(x)))
}
