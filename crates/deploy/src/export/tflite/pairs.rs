//! Operations of two activations.

use burn_ptq_kernels::geometry::MatMulGeometry;
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::{AddParams, Clamp, PreluParams};

use super::choices::TfLiteOptions;
use super::flatbuffer::Table;
use super::graph::{Graph, with_batch};
use super::multipliers::derived;
use super::options;
use crate::export::shared::movement::stored;
use crate::export::shared::refusal::{NOT_DERIVED, Refusal};
use crate::op::{BinaryFunction, Broadcast, DType, IntOp};
use crate::program::{IntNode, TensorId};
use crate::tflite::schema::{
    ADD, Activation, BATCH_MATMUL, Builtin, DIV, MAXIMUM, MINIMUM, MUL, PRELU, SUB, TRANSPOSE,
};

/// The smallest exponent with which `DIV` shifts by less than 32, whatever it divides by.
const SMALLEST_DIV_EXPONENT: i32 = 8;

/// Writes an operation on elements of two activations.
pub(super) fn translate(
    graph: &mut Graph,
    node: &IntNode,
    chosen: TfLiteOptions,
) -> Result<(), Refusal> {
    let (&[a, b], y) = (&node.inputs[..], node.output) else { return Ok(()) };
    let output = graph.of(y);
    let [scale_a, scale_b, scale] =
        [graph.of(a), graph.of(b), output].map(|tensor| tensor.grid.scale);
    let wide = output.dtype == DType::I16;
    let sum = |params: AddParams| match AddParams::new(scale_a, scale_b, scale, wide) {
        Some(derived) if derived == params => Ok(()),
        _ => Err(NOT_DERIVED),
    };
    let narrow = |reason| if wide { Err(Refusal::wide(reason)) } else { Ok(()) };
    type Options = fn(Activation) -> Table;
    let unfused: Options = |_| options::none();
    let (broadcast, clamp, builtin, options, fused) = match &node.op {
        IntOp::Add { params, broadcast, clamp } => {
            sum(*params)?;
            (*broadcast, *clamp, ADD, options::sum as Options, true)
        }
        IntOp::Mul { multiplier, broadcast, clamp } => {
            if graph.of(a).dtype != output.dtype {
                return Err(Refusal::new("MUL has no 8-bit output of 16-bit inputs"));
            }
            derived(Multiplier::of_scales(scale_a, scale_b, scale), *multiplier, output)?;
            (*broadcast, *clamp, MUL, options::fused as Options, true)
        }
        IntOp::Binary { function, broadcast, clamp } => {
            let (builtin, options, fused) = match function {
                BinaryFunction::Sub(params) => {
                    sum(*params)?;
                    (SUB, options::sum as Options, true)
                }
                BinaryFunction::Div(multiplier) => {
                    narrow("DIV takes 8 bits")?;
                    let real = f64::from(scale_a) / (f64::from(scale_b) * f64::from(scale));
                    derived(Multiplier::from_real(real), *multiplier, output)?;
                    divisible(graph, b, *multiplier, chosen)?;
                    (DIV, options::fused as Options, true)
                }
                BinaryFunction::Prelu(params) => {
                    narrow("PRELU takes 8 bits")?;
                    if PreluParams::new(scale_a, scale_b, scale) != Some(*params) {
                        return Err(NOT_DERIVED);
                    }
                    (PRELU, unfused, false)
                }
                // They know no bounds, but the bytes stay within the inputs'.
                BinaryFunction::Minimum => return extreme(graph, MINIMUM, *broadcast, node),
                BinaryFunction::Maximum => return extreme(graph, MAXIMUM, *broadcast, node),
            };
            (*broadcast, *clamp, builtin, options, fused)
        }
        _ => return Ok(()),
    };
    let (pair, shape) = operands(graph, broadcast, [a, b]);
    graph.bounded(y, &shape, clamp, fused, |graph, activation, y| {
        graph.operator(builtin, options(activation), &pair, y);
    });
    Ok(())
}

fn extreme(
    graph: &mut Graph,
    builtin: Builtin,
    broadcast: Broadcast,
    node: &IntNode,
) -> Result<(), Refusal> {
    let &[a, b] = &node.inputs[..] else { return Ok(()) };
    let (pair, shape) = operands(graph, broadcast, [a, b]);
    let y = graph.write(node.output, &shape);
    graph.operator(builtin, options::none(), &pair, y);
    Ok(())
}

/// Checks that `DIV` says what the quotients are.
fn divisible(
    graph: &Graph,
    divisor: TensorId,
    multiplier: Multiplier,
    chosen: TfLiteOptions,
) -> Result<(), Refusal> {
    if multiplier.exponent < SMALLEST_DIV_EXPONENT {
        return Err(Refusal::new("DIV shifts quotients as small as its by more than 31 bits"));
    }
    let zero = graph.of(divisor).grid.zero_point as u8;
    let constant = graph.constant_bytes(divisor).is_some_and(|bytes| !bytes.contains(&zero));
    match constant || chosen.divisors_are_not_zero {
        true => Ok(()),
        false => Err(Refusal::new("DIV by 0 is undefined, and the divisor can become 0")),
    }
}

/// Both inputs of an operation on elements, and the shape of its output.
fn operands(
    graph: &mut Graph,
    broadcast: Broadcast,
    [a, b]: [TensorId; 2],
) -> ([usize; 2], Vec<usize>) {
    let own = graph.of(a).shape;
    if broadcast == Broadcast::None {
        let first = graph.flat(a);
        let shape = graph.shape(first);
        return ([first, graph.read(b, &shape)], shape);
    }
    let first = with_batch(own);
    let (first, second) = match broadcast {
        Broadcast::None => (first, first),
        Broadcast::Channels => (first, [1, 1, 1, first[3]]),
        Broadcast::Scalar => (first, [1; 4]),
        Broadcast::Shapes { a, b } => (with_batch(a), with_batch(b)),
    };
    let pair = [graph.read(a, &first), graph.read(b, &second)];
    (pair, first.iter().zip(second).map(|(&a, b)| a.max(b)).collect())
}

/// Writes a product of matrices whose axes are put in order first, and the product's afterwards.
pub(super) fn matmul(
    graph: &mut Graph,
    node: &IntNode,
    g: &MatMulGeometry,
    multiplier: Multiplier,
    clamp: Clamp,
) -> Result<(), Refusal> {
    let (&[a, b], y) = (&node.inputs[..], node.output) else { return Ok(()) };
    let output = graph.of(y);
    let [scale_a, scale_b, scale] =
        [graph.of(a), graph.of(b), output].map(|tensor| tensor.grid.scale);
    derived(Multiplier::of_product(scale_a, scale_b, scale), multiplier, output)?;
    let extents = [[g.batch, g.rows, g.inner], [g.batch, g.inner, g.columns]];
    let (mut adjoint, mut operands) = ([false; 2], [0; 2]);
    for (side, (id, strides)) in [(a, g.a), (b, g.b)].into_iter().enumerate() {
        let (order, extents) = stored(extents[side], strides);
        let x = graph.read(id, &order.map(|axis| extents[axis]));
        adjoint[side] = order == [0, 2, 1];
        operands[side] = if order == [0, 1, 2] || adjoint[side] {
            x
        } else {
            let place = |axis| order.iter().position(|&other| other == axis).unwrap_or(axis) as i32;
            let order = graph.integers(&[3], &[0, 1, 2].map(place));
            let turned = graph.temporary(graph.of(id), &extents);
            graph.operator(TRANSPOSE, options::none(), &[x, order], turned);
            turned
        };
    }
    let product = [g.batch, g.rows, g.columns];
    let (order, extents) = stored(product, g.output);
    let multiply = |graph: &mut Graph, y| {
        graph.operator(BATCH_MATMUL, options::batch_matmul(adjoint), &operands, y);
    };
    if order == [0, 1, 2] {
        graph.bounded(y, &product, clamp, false, |graph, _, y| multiply(graph, y));
        return Ok(());
    }
    let straight = graph.temporary(output, &product);
    multiply(graph, straight);
    let shape = order.map(|axis| extents[axis]);
    let order = graph.integers(&[3], &order.map(|axis| axis as i32));
    graph.bounded(y, &shape, clamp, false, |graph, _, y| {
        graph.operator(TRANSPOSE, options::none(), &[straight, order], y);
    });
    Ok(())
}
