//! Element-wise operators and softmax.

use super::attributes::{NodeView, sample_axis};
use super::constant::Constant;
use super::{Entry, Imported, Importer};
use crate::graph::ops::{
    Add, ChannelAffine, Clip, LogSoftmax, Mul, Permute, Reshape, Softmax, Unary, UnaryFunction,
};
use crate::graph::{Array, Clamp, Op, ValueId};

pub(super) fn relu(importer: &mut Importer, node: &NodeView) -> Imported {
    let input = importer.value(node, 0)?;
    importer.push(node, Clip { bounds: Clamp::RELU }, &[input])
}

pub(super) fn clip(importer: &mut Importer, node: &NodeView) -> Imported {
    let input = importer.value(node, 0)?;
    let bound = |index, name, default: f32| match importer.constant(node, index)? {
        Some(constant) => constant.scalar(),
        None => node.float(name, default),
    };
    let min = bound(1, "min", f32::NEG_INFINITY)?;
    let max = bound(2, "max", f32::INFINITY)?;
    if min.is_nan() || max.is_nan() || min > max {
        return Err(format!("its bounds {min} and {max} leave nothing between them"));
    }
    importer.push(node, Clip { bounds: Clamp { min, max } }, &[input])
}

pub(super) fn unary(importer: &mut Importer, node: &NodeView) -> Imported {
    let input = importer.value(node, 0)?;
    let function = match node.proto.op_type.as_str() {
        "LeakyRelu" => UnaryFunction::LeakyRelu { alpha: node.float("alpha", 0.01)? },
        "Sigmoid" => UnaryFunction::Sigmoid,
        "Tanh" => UnaryFunction::Tanh,
        "HardSwish" => UnaryFunction::HardSwish,
        _ => UnaryFunction::HardSigmoid {
            alpha: node.float("alpha", 0.2)?,
            beta: node.float("beta", 0.5)?,
        },
    };
    importer.push(node, Unary { function }, &[input])
}

pub(super) fn binary(importer: &mut Importer, node: &NodeView) -> Imported {
    match (importer.value(node, 0), importer.value(node, 1)) {
        (Ok(a), Ok(b)) => two_values(importer, node, a, b),
        (Ok(value), Err(_)) => with_constant(importer, node, value, 1),
        (Err(_), Ok(value)) => with_constant(importer, node, value, 0),
        (Err(problem), Err(_)) => Err(problem),
    }
}

fn two_values(importer: &mut Importer, node: &NodeView, a: ValueId, mut b: ValueId) -> Imported {
    let op: Op = match node.proto.op_type.as_str() {
        "Add" | "Sub" => Add.into(),
        "Mul" => Mul.into(),
        _ => return Err("quotients of two activations are not supported".into()),
    };
    let (shape_a, shape_b) = (importer.shape(a).to_vec(), importer.shape(b).to_vec());
    if shape_a.len() != shape_b.len() {
        return Err(format!(
            "samples of {shape_a:?} and {shape_b:?} have different numbers of axes"
        ));
    }
    if node.proto.op_type == "Sub" {
        let channels = shape_b[0];
        let minus = ChannelAffine {
            scale: Array::full([channels], -1.0),
            shift: Array::full([channels], 0.0),
        };
        b = importer.push_part(node, "minus", minus, &[b])?;
    }
    // The larger operand comes first: both operations commute.
    let larger = |x: &[usize], y: &[usize]| x.iter().zip(y).all(|(x, y)| x >= y);
    let inputs = if larger(&shape_a, &shape_b) { [a, b] } else { [b, a] };
    importer.push(node, op, &inputs)
}

fn with_constant(
    importer: &mut Importer,
    node: &NodeView,
    value: ValueId,
    constant_index: usize,
) -> Imported {
    let constant = importer.constant(node, constant_index)?.ok_or("an operand is missing")?.clone();
    importer.array(node, constant_index)?;
    let shape = importer.shape(value).to_vec();
    let axis = constant_axis(&constant, &shape)?;
    let channels = shape[axis];
    let values = constant.floats()?;
    let values: Vec<f32> = (0..channels).map(|i| values[i % values.len()]).collect();
    let (scale, shift): (Vec<f32>, Vec<f32>) = values
        .into_iter()
        .map(|c| match (node.proto.op_type.as_str(), constant_index) {
            ("Add", _) => Ok((1.0, c)),
            ("Sub", 1) => Ok((1.0, -c)),
            ("Sub", _) => Ok((-1.0, c)),
            ("Mul", _) => Ok((c, 0.0)),
            ("Div", 1) if c != 0.0 => Ok((1.0 / c, 0.0)),
            ("Div", 1) => Err("it divides by zero"),
            _ => Err("a quotient with the activation below is not supported"),
        })
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .unzip();
    if let Some(entry) = add_to_bias(importer, node, value, constant_index, axis, &scale, &shift) {
        return Ok(entry);
    }
    let affine = ChannelAffine {
        scale: Array::new([channels], scale),
        shift: Array::new([channels], shift),
    };
    if axis == 0 {
        return importer.push(node, affine, &[value]);
    }
    // The affine map runs over the first axis: bring the constant's axis there and back.
    let mut axes: Vec<usize> = (0..shape.len()).collect();
    axes.swap(0, axis);
    let turned = importer.push_part(node, "in", Permute { axes: axes.clone() }, &[value])?;
    let mapped = importer.push_part(node, "affine", affine, &[turned])?;
    importer.push(node, Permute { axes }, &[mapped])
}

/// A term after a MatMul that nothing else reads is its bias.
fn add_to_bias(
    importer: &mut Importer,
    node: &NodeView,
    value: ValueId,
    constant_index: usize,
    axis: usize,
    scale: &[f32],
    shift: &[f32],
) -> Option<Entry> {
    let read_once = importer.reads.get(node.input(1 - constant_index)?) == Some(&1);
    let output = node.output().ok()?;
    let producer = importer.graph.nodes.iter_mut().find(|n| n.output == value)?;
    let Op::Linear(linear) = &mut producer.op else { return None };
    if linear.axis != axis || !read_once || scale.iter().any(|&s| s != 1.0) {
        return None;
    }
    linear.bias.data.iter_mut().zip(shift).for_each(|(bias, shift)| *bias += shift);
    importer.graph.values[value.0].name = output.into();
    Some(Entry::Value(value))
}

/// The only axis of a sample along which the constant varies.
fn constant_axis(constant: &Constant, shape: &[usize]) -> Result<usize, String> {
    let rank = shape.len() + 1;
    let unfit = || {
        format!(
            "a constant of shape {:?} does not fit samples of shape {shape:?}: it may vary along \
             one axis of a sample",
            constant.dims
        )
    };
    if constant.dims.len() > rank || constant.dims.contains(&0) {
        return Err(unfit());
    }
    let missing = rank - constant.dims.len();
    let varying: Vec<usize> =
        (0..constant.dims.len()).filter(|&i| constant.dims[i] != 1).map(|i| i + missing).collect();
    match varying[..] {
        [] => Ok(0),
        [axis] if axis > 0 && constant.dims[axis - missing] == shape[axis - 1] => Ok(axis - 1),
        _ => Err(unfit()),
    }
}

pub(super) fn softmax(importer: &mut Importer, node: &NodeView) -> Imported {
    let input = importer.value(node, 0)?;
    let shape = importer.shape(input).to_vec();
    let op = |axis| -> Op {
        if node.proto.op_type == "Softmax" {
            Softmax { axis }.into()
        } else {
            LogSoftmax { axis }.into()
        }
    };
    if node.opset >= 13 {
        let axis = sample_axis(node.int("axis", -1)?, shape.len())?;
        return importer.push(node, op(axis), &[input]);
    }
    // Before opset 13 the axes from `axis` on count as one.
    let axis = sample_axis(node.int("axis", 1)?, shape.len())?;
    if shape[axis + 1..].iter().all(|&d| d == 1) {
        return importer.push(node, op(axis), &[input]);
    }
    let [outer, inner] = [&shape[..axis], &shape[axis..]].map(|s| s.iter().product());
    let flat = Reshape { shape: vec![outer, inner] };
    let flat = importer.push_part(node, "flat", flat, &[input])?;
    let result = importer.push_part(node, "rows", op(1), &[flat])?;
    importer.push(node, Reshape { shape }, &[result])
}
