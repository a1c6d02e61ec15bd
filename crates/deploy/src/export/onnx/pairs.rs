//! Operations of two activations.

use burn_ptq_kernels::geometry::MatMulGeometry;
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::{AddParams, Clamp};

use super::form::Form;
use super::graph::{Graph, whole};
use super::scales;
use super::scales::{corrected, of_add, of_sums, real, scale};
use super::schema::Element;
use super::style::Style;
use crate::export::shared::movement::stored;
use crate::op::{BinaryFunction, Broadcast, DType, IntOp};
use crate::program::{IntNode, TensorId};

/// No grid reaches as far.
const LARGEST_QUOTIENT: f32 = 1e30;

/// Writes an operation on elements of two activations.
pub(super) fn translate(graph: &mut Graph, node: &IntNode) {
    let (&[a, b], y) = (&node.inputs[..], node.output) else { return };
    let output = graph.of(y);
    let [scale_a, scale_b, scale] = [graph.of(a), graph.of(b), output].map(scales::scale);
    let (broadcast, clamp) = match &node.op {
        IntOp::Add { broadcast, clamp, .. }
        | IntOp::Mul { broadcast, clamp, .. }
        | IntOp::Binary { broadcast, clamp, .. } => (*broadcast, *clamp),
        _ => return,
    };
    let ([x, w], form) = operands(graph, broadcast, [a, b]);
    let sum = |graph: &mut Graph, operator, params: &AddParams| {
        let [factor_a, factor_b] = of_add(params);
        let x = corrected(graph, x.clone(), [factor_a, scale_a / scale], output);
        let w = corrected(graph, w.clone(), [factor_b, scale_b / scale], output);
        graph.operator(operator, &[&x, &w], Vec::new())
    };
    let product = |graph: &mut Graph, operator, multiplier: Multiplier, expected: f64| {
        let value = graph.operator(operator, &[&x, &w], Vec::new());
        corrected(graph, value, [real(multiplier), expected], output)
    };
    let value = match &node.op {
        IntOp::Add { params, .. } => sum(graph, "Add", params),
        IntOp::Mul { multiplier, .. } => {
            product(graph, "Mul", *multiplier, scale_a * scale_b / scale)
        }
        IntOp::Binary { function, .. } => match function {
            BinaryFunction::Sub(params) => sum(graph, "Sub", params),
            BinaryFunction::Div(multiplier) => {
                let value = product(graph, "Div", *multiplier, scale_a / (scale_b * scale));
                defined(graph, value, b)
            }
            BinaryFunction::Minimum => {
                let value = graph.operator("Min", &[&x, &w], Vec::new());
                graph.write(y, value, form, whole(output));
                return;
            }
            BinaryFunction::Maximum => {
                let value = graph.operator("Max", &[&x, &w], Vec::new());
                graph.write(y, value, form, whole(output));
                return;
            }
            BinaryFunction::Prelu(params) => {
                let zero = graph.real("zero", 0.0);
                let positive = graph.operator("Relu", &[&x], Vec::new());
                let factors = [real(params.positive), scale_a / scale];
                let positive = corrected(graph, positive, factors, output);
                let negative = graph.operator("Min", &[&x, &zero], Vec::new());
                let negative = graph.operator("Mul", &[&negative, &w], Vec::new());
                let factors = [real(params.negative), scale_a * scale_b / scale];
                let negative = corrected(graph, negative, factors, output);
                let value = graph.operator("Add", &[&positive, &negative], Vec::new());
                graph.write(y, value, form, clamp);
                return;
            }
        },
        _ => return,
    };
    graph.write(y, value, form, clamp);
}

/// A quotient of which a divisor of 0 leaves the bound on the side of the dividend, and 0 of 0 and 0.
fn defined(graph: &mut Graph, quotient: String, divisor: TensorId) -> String {
    let zero = graph.of(divisor).grid.zero_point as u8;
    if graph.constant_bytes(divisor).is_some_and(|bytes| !bytes.contains(&zero)) {
        return quotient;
    }
    let nothing = graph.real("zero", 0.0);
    let undefined = graph.operator("IsNaN", &[&quotient], Vec::new());
    let value = graph.operator("Where", &[&undefined, &nothing, &quotient], Vec::new());
    // Not all implementations saturate infinities.
    let low = graph.real("lowest_quotient", -LARGEST_QUOTIENT);
    let high = graph.real("highest_quotient", LARGEST_QUOTIENT);
    graph.operator("Clip", &[&value, &low, &high], Vec::new())
}

/// Both inputs of an operator on elements, and the form of its output.
fn operands(graph: &mut Graph, broadcast: Broadcast, [a, b]: [TensorId; 2]) -> ([String; 2], Form) {
    let own = graph.form(a);
    let (first, second) = match broadcast {
        Broadcast::None => (own.clone(), own),
        Broadcast::Scalar => {
            let one = Form::plain(&vec![1; own.shape.len()]);
            (own, one)
        }
        Broadcast::Channels => {
            let (length, channels) = (graph.of(a).len(), graph.of(b).len());
            match graph.of(a).shape {
                [height, width, depth] if depth == channels => {
                    (Form::planes([height, width, depth]), Form::planes([1, 1, depth]))
                }
                _ => (
                    Form::plain(&[length.checked_div(channels).unwrap_or(0), channels]),
                    Form::plain(&[1, channels]),
                ),
            }
        }
        Broadcast::Shapes { a, b } => (Form::planes(a), Form::planes(b)),
    };
    let shape: Vec<usize> =
        first.shape.iter().zip(&second.shape).map(|(&a, &b)| a.max(b)).collect();
    let form = Form { shape, order: first.order.clone() };
    ([graph.float(a, &first), graph.float(b, &second)], form)
}

/// Writes a product of matrices.
pub(super) fn matmul(
    graph: &mut Graph,
    node: &IntNode,
    g: &MatMulGeometry,
    (multiplier, clamp): (Multiplier, Clamp),
    style: Style,
) {
    let (&[a, b], y) = (&node.inputs[..], node.output) else { return };
    let output = graph.of(y);
    let form = |extents: [usize; 3], strides: [usize; 3]| {
        let (order, shape) = stored(extents, strides);
        Form { shape: shape.to_vec(), order: order.to_vec() }
    };
    let first = form([g.batch, g.rows, g.inner], g.a);
    let second = form([g.batch, g.inner, g.columns], g.b);
    let product = form([g.batch, g.rows, g.columns], g.output);
    let factor = of_sums(multiplier, graph.of(a).dtype);
    let expected = scale(graph.of(a)) * scale(graph.of(b)) / scale(output);
    let narrow = [a, b, y].iter().all(|&id| graph.of(id).dtype == DType::I8);
    if style == Style::QOperator && narrow {
        let (x, w) = (graph.integers(a, &first), graph.integers(b, &second));
        let [_, a_zero] = graph.grid(a);
        let [b_scale, b_zero] = graph.grid(b);
        let [y_scale, y_zero] = graph.grid(y);
        // The program's factor, constants and all.
        let a_scale = (factor * scale(output) / scale(graph.of(b))) as f32;
        let a_scale = a_scale.to_le_bytes().to_vec();
        let a_scale = graph.own_constant("scale", Element::Float, &[], a_scale);
        let inputs = [&x, &a_scale, &a_zero, &w, &b_scale, &b_zero, &y_scale, &y_zero];
        let value = graph.operator("QLinearMatMul", &inputs.map(String::as_str), Vec::new());
        graph.write_limited(y, value, product, clamp);
        return;
    }
    let (x, w) = (graph.float(a, &first), graph.float(b, &second));
    let value = graph.operator("MatMul", &[&x, &w], Vec::new());
    let value = corrected(graph, value, [factor, expected], output);
    graph.write(y, value, product, clamp);
}
