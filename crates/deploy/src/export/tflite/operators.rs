//! The operators that give the bytes of each integer operation.
//!
//! Only scales, shapes, weights and biases go into a file: TensorFlow Lite Micro derives multipliers,
//! bounds and padding from them again. An operation whose multipliers do not follow from the scales, or
//! that no operators compute alike, is refused.

use burn_ptq_kernels::geometry::PoolGeometry;
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::{Clamp, Reduction, Selection};
use burn_ptq_kernels::reference::{Alignment, resize_position, softmax_params};

use super::choices::TfLiteOptions;
use super::graph::{Graph, quantization, with_batch};
use super::multipliers::{derived, ratio};
use super::options;
use super::weighted::Stored;
use super::window::{Around, lowest, pad_explicitly, padding, paddings};
use super::{movement, pairs, weighted};
use crate::export::shared::movement::joined_axis;
use crate::export::shared::refusal::{NOT_DERIVED, Refusal};
use crate::op::{DType, IntOp};
use crate::program::{IntNode, IntTensor, TensorId};
use crate::tflite::schema::{
    ADD, ARG_MAX, ARG_MIN, AVERAGE_POOL_2D, Activation, Builtin, CAST, CONCATENATION, Element,
    GATHER, L2_NORMALIZATION, MAX_POOL_2D, MAXIMUM, MEAN, MINIMUM, MUL, PADV2, QUANTIZE,
    REDUCE_MAX, RESIZE_BILINEAR, SOFTMAX, SUM, TRANSPOSE,
};

/// Rows of a softmax from which on an interpreter stops.
const LONG_ROW: usize = 512;

/// Writes a node; says how its weights are stored, if it has any.
pub(super) fn translate(
    graph: &mut Graph,
    node: &IntNode,
    chosen: TfLiteOptions,
) -> Result<Option<Stored>, Refusal> {
    let y = node.output;
    if let IntOp::Constant { data } = &node.op {
        graph.define(y, data);
        return Ok(None);
    }
    let Some(&x) = node.inputs.first() else { return Ok(None) };
    let (input, output) = (graph.of(x), graph.of(y));
    match &node.op {
        IntOp::Conv2d { .. }
        | IntOp::DepthwiseConv2d { .. }
        | IntOp::TransposeConv2d { .. }
        | IntOp::FullyConnected { .. } => return weighted::translate(graph, node, chosen),
        IntOp::Add { .. } | IntOp::Mul { .. } | IntOp::Binary { .. } => {
            pairs::translate(graph, node, chosen)?;
        }
        IntOp::BatchMatMul { geometry, multiplier, clamp } => {
            pairs::matmul(graph, node, geometry, *multiplier, *clamp)?;
        }
        IntOp::AveragePool { geometry, clamp } => {
            pool(graph, AVERAGE_POOL_2D, geometry, *clamp, [x, y])?;
        }
        IntOp::MaxPool { geometry, clamp } => pool(graph, MAX_POOL_2D, geometry, *clamp, [x, y])?,
        IntOp::Softmax { rows, depth, input_multiplier, diff_min } => {
            if softmax_params(input.grid.scale) != Some((*input_multiplier, *diff_min)) {
                return Err(NOT_DERIVED);
            }
            if *depth >= LONG_ROW {
                return Err(Refusal::new("SOFTMAX takes rows of at most 511 elements"));
            }
            let flat = graph.flat(x);
            let at = match graph.shape(flat).last() {
                Some(last) if last == depth => flat,
                _ => graph.read(x, &[*rows, *depth]),
            };
            let shape = graph.shape(at);
            let y = graph.write(y, &shape);
            graph.operator(SOFTMAX, options::softmax(), &[at], y);
        }
        IntOp::Requantize { multiplier, clamp } => {
            derived(ratio(input, output), *multiplier, output)?;
            let x = graph.flat(x);
            let shape = graph.shape(x);
            graph.bounded(y, &shape, *clamp, false, |graph, _, y| {
                graph.operator(QUANTIZE, options::none(), &[x], y);
            });
        }
        IntOp::Concat { outer, chunks } => concat(graph, node, *outer, chunks),
        IntOp::Pad { input: shape, before, after, value } => {
            let x = graph.read(x, &with_batch(*shape));
            let pads = paddings(graph, *before, *after);
            let value = graph.element(output, *value);
            let padded = [0, 1, 2].map(|axis| before[axis] + shape[axis] + after[axis]);
            let y = graph.write(y, &with_batch(padded));
            graph.operator(PADV2, options::none(), &[x, pads, value], y);
        }
        IntOp::Transpose { input: shape, axes } => {
            let x = graph.read(x, &with_batch(*shape));
            let order = [0, axes[0] + 1, axes[1] + 1, axes[2] + 1].map(|axis| axis as i32);
            let order = graph.integers(&[4], &order);
            let y = graph.write(y, &with_batch(axes.map(|axis| shape[axis])));
            graph.operator(TRANSPOSE, options::none(), &[x, order], y);
        }
        IntOp::Reduce { reduction, outer, reduced, inner, multiplier, clamp } => {
            let builtin = reduction_operator(*reduction, *reduced, *multiplier, input, output)?;
            let x = graph.read(x, &[*outer, *reduced, *inner]);
            let axis = graph.integers(&[1], &[1]);
            let shape = [*outer, *inner];
            let moved = builtin == REDUCE_MAX && quantization(input) != quantization(output);
            graph.bounded(y, &shape, *clamp, false, |graph, _, y| {
                let largest = if moved { graph.temporary(input, &shape) } else { y };
                graph.operator(builtin, options::reducer(), &[x, axis], largest);
                if moved {
                    graph.operator(QUANTIZE, options::none(), &[largest], y);
                }
            });
        }
        IntOp::Normalize { geometry: g, params, affine, clamp } => {
            let grid = output.grid;
            let own = (grid.scale, grid.zero_point, output.bits) == (1.0 / 128.0, 0, 8);
            let rows = g.outer == 1 && g.steps[0] == g.inner && g.steps[2] == 1;
            if !own || !rows || params.center || params.epsilon != 0 || affine.is_some() {
                return Err(Refusal::new(
                    "only L2_NORMALIZATION of rows exists, without scales, to a grid of 1/128",
                ));
            }
            derived(Multiplier::from_real(128.0), params.multiplier, output)?;
            let x = graph.read(x, &[g.groups, g.inner]);
            graph.bounded(y, &[g.groups, g.inner], *clamp, false, |graph, activation, y| {
                graph.operator(L2_NORMALIZATION, options::fused(activation), &[x], y);
            });
        }
        IntOp::Table8 { table } => {
            let data = table.iter().map(|&value| value as u8).collect();
            let table = graph.constant(&[256], Element::Int8, Some(quantization(output)), data);
            let x = graph.flat(x);
            let shape = graph.shape(x);
            let ids = numbers(graph, x, &shape);
            let ids = arithmetic(graph, ADD, options::sum(Activation::None), ids, 128);
            let y = graph.write(y, &shape);
            graph.operator(GATHER, options::gather(0), &[table, ids], y);
        }
        IntOp::Lookup8 { width, table } => lookup(graph, *width, table, x, y),
        IntOp::TopK { selection, rows, depth, k } => {
            top_k(graph, *selection, [*rows, *depth, *k], x, y)?;
        }
        IntOp::ResizeLinear { input: shape, rows, columns } => {
            if input.dtype == DType::I16 {
                return Err(Refusal::wide("RESIZE_BILINEAR takes no 16-bit activations"));
            }
            let alignment = alignment(shape, [rows, columns])
                .ok_or(Refusal::new("RESIZE_BILINEAR has no such positions"))?;
            let x = graph.read(x, &with_batch(*shape));
            let size = graph.integers(&[2], &[rows.len() as i32, columns.len() as i32]);
            let y = graph.write(y, &[1, rows.len(), columns.len(), shape[2]]);
            let (corners, half) =
                (alignment == Alignment::Corners, alignment == Alignment::HalfPixel);
            graph.operator(RESIZE_BILINEAR, options::bilinear(corners, half), &[x, size], y);
        }
        IntOp::Rearrange { first, axes } => movement::translate(graph, *first, axes, [x, y])?,
        // Elements of four bits have a byte each.
        IntOp::Pack | IntOp::Unpack => graph.alias(y, x),
        IntOp::Table16 { .. } => {
            return Err(Refusal::wide("there are no tables of 16-bit functions"));
        }
        IntOp::Gate { .. } => {
            return Err(Refusal::new("LOGISTIC and TANH derive other factors of 16-bit inputs"));
        }
        IntOp::Lookup16 { .. } => {
            return Err(Refusal::wide("GATHER takes no tables of 16-bit elements"));
        }
        IntOp::LogSoftmax { .. } => {
            return Err(Refusal::new("LOG_SOFTMAX approximates the logarithm otherwise"));
        }
        IntOp::Step { .. } => return Err(Refusal::new("no operator runs once for each step")),
        IntOp::Constant { .. } => {}
    }
    Ok(None)
}

fn pool(
    graph: &mut Graph,
    builtin: Builtin,
    g: &PoolGeometry,
    clamp: Clamp,
    [x, y]: [TensorId; 2],
) -> Result<(), Refusal> {
    if g.window.dilation != [1, 1] {
        return Err(Refusal::new("pools have no dilation"));
    }
    let source = graph.read(x, &with_batch([g.input[0], g.input[1], g.channels]));
    let (x, padding) = match padding(&g.window, g.input, g.output) {
        Some(padding) => (source, padding),
        // An average would count what stands around.
        None if builtin == AVERAGE_POOL_2D => {
            return Err(Refusal::new("the padding of an average pool is neither SAME nor VALID"));
        }
        None => pad_explicitly(graph, source, &g.window, g.output, graph.of(x), Around::Lowest),
    };
    let shape = with_batch([g.output[0], g.output[1], g.channels]);
    graph.bounded(y, &shape, clamp, true, |graph, activation, y| {
        let options = options::pool(padding, g.window.stride, g.window.kernel, activation);
        graph.operator(builtin, options, &[x], y);
    });
    Ok(())
}

/// Joins inputs along an axis of their shapes, if they differ along one only, else as rows.
fn concat(graph: &mut Graph, node: &IntNode, outer: usize, chunks: &[usize]) {
    let output = graph.of(node.output);
    let whole = with_batch(output.shape);
    let inner = |axis: usize| whole[axis + 1..].iter().product::<usize>();
    let axis = joined_axis(output.shape, outer, chunks).map(|axis| axis + 1);
    let shape = |chunk: usize| match axis {
        Some(axis) => {
            let mut shape = whole;
            shape[axis] = chunk / inner(axis);
            shape.to_vec()
        }
        None => vec![outer, chunk],
    };
    let parts: Vec<usize> =
        node.inputs.iter().zip(chunks).map(|(&id, &chunk)| graph.read(id, &shape(chunk))).collect();
    let y = graph.write(node.output, &shape(chunks.iter().sum()));
    graph.operator(CONCATENATION, options::concatenation(axis.unwrap_or(1)), &parts, y);
}

fn reduction_operator(
    reduction: Reduction,
    reduced: usize,
    multiplier: Multiplier,
    input: &IntTensor,
    output: &IntTensor,
) -> Result<Builtin, Refusal> {
    let ratio = ratio(input, output).ok_or(NOT_DERIVED)?;
    match reduction {
        Reduction::Max if input.dtype != DType::I8 => Err(Refusal::wide("REDUCE_MAX takes 8 bits")),
        // It gives an element of its input, which is moved to another grid afterwards if need be.
        Reduction::Max if multiplier == ratio => Ok(REDUCE_MAX),
        Reduction::Max if output.bits < 8 => Err(Refusal::few_bits()),
        Reduction::Max => Err(NOT_DERIVED),
        Reduction::Min => Err(Refusal::new("TensorFlow Lite Micro has no REDUCE_MIN")),
        Reduction::Sum if multiplier == ratio => Ok(SUM),
        Reduction::Sum if multiplier == ratio.divided_by(reduced as u32) => Ok(MEAN),
        Reduction::Sum if output.bits < 8 => Err(Refusal::few_bits()),
        Reduction::Sum => Err(NOT_DERIVED),
        Reduction::SumOfMagnitudes | Reduction::SumOfSquares | Reduction::RootOfSquares => {
            Err(Refusal::new("there are no reductions of magnitudes and squares"))
        }
    }
}

/// The elements of `x` as 32-bit integers.
fn numbers(graph: &mut Graph, x: usize, shape: &[usize]) -> usize {
    let from = graph.tensors.get(x).map_or(Element::Int8, |tensor| tensor.element);
    let y = graph.numbers(shape);
    graph.operator(CAST, options::cast(from, Element::Int32), &[x], y);
    y
}

/// An operator on 32-bit integers and one number.
fn arithmetic(
    graph: &mut Graph,
    builtin: Builtin,
    options: super::flatbuffer::Table,
    x: usize,
    number: i32,
) -> usize {
    let shape = graph.shape(x);
    let number = graph.integers(&[1], &[number]);
    let y = graph.numbers(&shape);
    graph.operator(builtin, options, &[x, number], y);
    y
}

fn lookup(graph: &mut Graph, width: usize, table: &[i8], x: TensorId, y: TensorId) {
    let (input, output) = (graph.of(x), graph.of(y));
    let (zero_point, count) = (input.grid.zero_point, (table.len() / width.max(1)) as i32);
    let ids = graph.read(x, &[input.len()]);
    let mut ids = numbers(graph, ids, &[input.len()]);
    let sum = || options::sum(Activation::None);
    if zero_point != 0 {
        ids = arithmetic(graph, ADD, sum(), ids, -zero_point);
    }
    ids = arithmetic(graph, MINIMUM, options::none(), ids, count - 1);
    let negative = lowest(input) < zero_point;
    ids = arithmetic(graph, MAXIMUM, options::none(), ids, if negative { -count } else { 0 });
    if negative {
        // They count from the end.
        let product = || options::fused(Activation::None);
        let below = arithmetic(graph, MUL, product(), ids, -1);
        let below = arithmetic(graph, MAXIMUM, options::none(), below, 0);
        let below = arithmetic(graph, MINIMUM, options::none(), below, 1);
        let below = arithmetic(graph, MUL, product(), below, count);
        let y = graph.numbers(&[input.len()]);
        graph.operator(ADD, sum(), &[ids, below], y);
        ids = y;
    }
    let data = table.iter().map(|&value| value as u8).collect();
    let own = Some(quantization(output));
    let table = graph.constant(&[count as usize, width], Element::Int8, own, data);
    let y = graph.write(y, &[input.len(), width]);
    graph.operator(GATHER, options::gather(0), &[table, ids], y);
}

fn top_k(
    graph: &mut Graph,
    selection: Selection,
    [rows, depth, k]: [usize; 3],
    x: TensorId,
    y: TensorId,
) -> Result<(), Refusal> {
    if !selection.indices || k != 1 || selection.last {
        return Err(Refusal::new("only ARG_MAX and ARG_MIN exist, the places of first extremes"));
    }
    if graph.of(x).dtype != DType::I8 {
        return Err(Refusal::wide("ARG_MAX and ARG_MIN take 8 bits"));
    }
    let x = graph.read(x, &[rows, depth]);
    let axis = graph.integers(&[1], &[1]);
    let places = graph.numbers(&[rows]);
    let builtin = if selection.smallest { ARG_MIN } else { ARG_MAX };
    graph.operator(builtin, options::output_type(Element::Int32), &[x, axis], places);
    let y = graph.write(y, &[rows]);
    graph.operator(CAST, options::cast(Element::Int32, Element::Int16), &[places], y);
    Ok(())
}

/// How `RESIZE_BILINEAR` places elements so.
fn alignment(shape: &[usize; 3], positions: [&Vec<u32>; 2]) -> Option<Alignment> {
    [Alignment::Start, Alignment::HalfPixel, Alignment::Corners].into_iter().find(|&alignment| {
        positions.into_iter().zip(shape).all(|(positions, &extent)| {
            let count = positions.len();
            let derived = (0..count).map(|i| resize_position(alignment, i, extent, count));
            derived.eq(positions.iter().copied())
        })
    })
}
