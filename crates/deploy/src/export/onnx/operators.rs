//! The operators that compute what each integer operation does.

use burn_ptq_kernels::params::Selection;

use super::form::Form;
use super::graph::{Graph, whole};
use super::scales::{corrected, real, scale};
use super::schema::{Element, integer};
use super::style::Style;
use super::weighted::Stored;
use super::window::{AVERAGE_POOL, MAX_POOL, pool};
use super::{movement, normalize, pairs, resize, tables, weighted};
use crate::export::shared::refusal::Refusal;
use crate::op::{DType, IntOp};
use crate::program::{IntNode, TensorId};

/// Writes a node; says how its weights are stored, if it has any.
pub(super) fn translate(
    graph: &mut Graph,
    node: &IntNode,
    style: Style,
) -> Result<Option<Stored>, Refusal> {
    let y = node.output;
    if let IntOp::Constant { data } = &node.op {
        constant(graph, data, y);
        return Ok(None);
    }
    let Some(&x) = node.inputs.first() else { return Ok(None) };
    let (input, output) = (graph.of(x), graph.of(y));
    match &node.op {
        IntOp::Conv2d { .. }
        | IntOp::DepthwiseConv2d { .. }
        | IntOp::TransposeConv2d { .. }
        | IntOp::FullyConnected { .. } => return weighted::translate(graph, node, style),
        IntOp::Add { .. } | IntOp::Mul { .. } | IntOp::Binary { .. } => {
            pairs::translate(graph, node);
        }
        IntOp::BatchMatMul { geometry, multiplier, clamp } => {
            pairs::matmul(graph, node, geometry, (*multiplier, *clamp), style);
        }
        IntOp::AveragePool { geometry, clamp } => {
            pool(graph, AVERAGE_POOL, geometry, *clamp, [x, y])?;
        }
        IntOp::MaxPool { geometry, clamp } => pool(graph, MAX_POOL, geometry, *clamp, [x, y])?,
        IntOp::Softmax { rows, depth, .. } => {
            along_rows(graph, "Softmax", [*rows, *depth], [x, y]);
        }
        IntOp::LogSoftmax { rows, depth, .. } => {
            along_rows(graph, "LogSoftmax", [*rows, *depth], [x, y]);
        }
        IntOp::Requantize { multiplier, clamp } => {
            let form = graph.form(x);
            let value = graph.float(x, &form);
            let expected = scale(input) / scale(output);
            let factors = [real(*multiplier), expected];
            let mut value = corrected(graph, value, factors, output);
            if value == graph.float(x, &form) && *clamp == whole(output) {
                // ONNX Runtime would leave out one of two pairs of the operators that follow each other.
                let lowest = graph.real("lowest", output.grid.dequantize(clamp.min));
                value = graph.operator("Max", &[&value, &lowest], Vec::new());
            }
            graph.write(y, value, form, *clamp);
        }
        IntOp::Concat { outer, chunks } => {
            movement::concat(graph, &node.inputs, *outer, chunks, y);
        }
        IntOp::Pad { input: shape, before, after, value } => {
            movement::pad(graph, *shape, [*before, *after], *value, [x, y]);
        }
        IntOp::Transpose { input: shape, axes } => {
            movement::transpose(graph, *shape, *axes, [x, y]);
        }
        IntOp::Rearrange { first, axes } => movement::translate(graph, *first, axes, [x, y])?,
        IntOp::Reduce { reduction, outer, reduced, inner, multiplier, clamp } => {
            let extents = [*outer, *reduced, *inner];
            normalize::reduce(graph, *reduction, extents, (*multiplier, *clamp), [x, y]);
        }
        IntOp::Normalize { geometry, params, affine, clamp } => {
            normalize::normalize(graph, geometry, params, affine.as_ref(), *clamp, [x, y]);
        }
        IntOp::Table8 { table } => tables::of_bytes(graph, table, [x, y]),
        IntOp::Table16 { table } => tables::of_words(graph, table, [x, y]),
        IntOp::Gate { params } => tables::gate(graph, *params, [x, y]),
        IntOp::Lookup8 { width, table } => {
            let bytes = table.iter().map(|&entry| entry as u8).collect();
            tables::lookup(graph, *width, bytes, [x, y]);
        }
        IntOp::Lookup16 { width, table } => {
            let bytes = table.iter().flat_map(|entry| entry.to_le_bytes()).collect();
            tables::lookup(graph, *width, bytes, [x, y]);
        }
        IntOp::TopK { selection, rows, depth, k } => {
            top_k(graph, *selection, [*rows, *depth, *k], [x, y]);
        }
        IntOp::ResizeLinear { input: shape, rows, columns } => {
            resize::translate(graph, *shape, [rows, columns], [x, y]);
        }
        // Elements of four bits have a byte each.
        IntOp::Pack | IntOp::Unpack => graph.alias(y, x, |form| form),
        IntOp::Step { .. } => {
            return Err(Refusal::new("an operator runs once, not once for each step"));
        }
        IntOp::Constant { .. } => {}
    }
    Ok(None)
}

/// Lets the elements of a constant be the activation.
fn constant(graph: &mut Graph, data: &[u8], y: TensorId) {
    let tensor = graph.of(y);
    let [height, width, channels] = tensor.shape;
    let kind = super::graph::element(tensor.dtype);
    let name = format!("{}_quantized", tensor.name);
    let value = graph.constant(&name, kind, &[1, height, width, channels], data.to_vec());
    graph.hold(y, value, Form::plain(&tensor.shape));
}

/// Writes an operator along rows: channels of planes, or elements next to each other.
fn along_rows(
    graph: &mut Graph,
    operator: &'static str,
    [rows, depth]: [usize; 2],
    [x, y]: [TensorId; 2],
) {
    let held = graph.form(x);
    let planes = held.order == [1, 2, 0] && held.shape.first() == Some(&depth);
    let (form, axis) = if planes { (held, 1) } else { (Form::plain(&[rows, depth]), 2) };
    let source = graph.float(x, &form);
    let value = graph.operator(operator, &[&source], vec![integer("axis", axis)]);
    let output = graph.of(y);
    graph.write(y, value, form, whole(output));
}

fn top_k(
    graph: &mut Graph,
    selection: Selection,
    [rows, depth, k]: [usize; 3],
    [x, y]: [TensorId; 2],
) {
    let output = graph.of(y);
    let mut source = graph.integers(x, &Form::plain(&[rows, depth]));
    if selection.last {
        // Operators prefer those in front.
        let [starts, ends, axes, steps] =
            [("starts", -1), ("ends", i64::MIN + 1), ("axes", 2), ("steps", -1)]
                .map(|(what, number)| graph.list(what, &[number]));
        let inputs = [&source, &starts, &ends, &axes, &steps];
        source = graph.helper("Slice", "reversed", &inputs.map(String::as_str), Vec::new());
    }
    let source = graph.dequantized(x, source);
    let count = graph.list("k", &[k as i64]);
    let attributes = vec![integer("axis", 2), integer("largest", i64::from(!selection.smallest))];
    let mut value = graph.operator("TopK", &[&source, &count], attributes);
    graph.spare_output(selection.indices);
    if selection.indices {
        if selection.last {
            let last = graph.list("last", &[depth as i64 - 1]);
            value = graph.operator("Sub", &[&last, &value], Vec::new());
        }
        let to = integer("to", Element::Float.number());
        value = graph.operator("Cast", &[&value], vec![to]);
    }
    let form = Form::plain(&[rows, k]);
    if selection.indices && output.dtype == DType::I16 && output.grid.scale != 1.0 {
        // Places are integers whatever the grid says.
        let factor = graph.real("step", output.grid.scale);
        value = graph.operator("Mul", &[&value, &factor], Vec::new());
    }
    graph.write(y, value, form, whole(output));
}
