//! Operators with weights: Conv, Gemm, MatMul, BatchNormalization.

use super::attributes::NodeView;
use super::pooling::window;
use super::{Entry, Imported, Importer};
use crate::graph::ops::{BatchNormStatistics, ChannelAffine, Conv2d, Linear};
use crate::graph::{Array, dims3};

pub(super) fn conv(importer: &mut Importer, node: &NodeView) -> Imported {
    let input = importer.value(node, 0)?;
    let shape = importer.shape(input).to_vec();
    let mut weight = importer.array(node, 1)?;
    let spatial = shape.len() - 1;
    if weight.shape.len() != spatial + 2 || !(1..=2).contains(&spatial) {
        return Err(format!(
            "a weight of shape {:?} does not fit an input sample of shape {shape:?}; convolutions \
             over one or two axes are supported",
            weight.shape
        ));
    }
    if spatial == 1 {
        weight.shape.push(1);
    }
    let kernel = weight.shape[2..4].to_vec();
    if let Some(stated) = node.ints("kernel_shape")? {
        let actual: Vec<i64> = kernel[..spatial].iter().map(|&k| k as i64).collect();
        if stated != actual {
            return Err(format!("kernel_shape {stated:?} differs from the weight's {actual:?}"));
        }
    }
    let [_, height, width] = dims3(&shape);
    let (window, _) = window(node, [kernel[0], kernel[1]], [height, width], spatial, false)?;
    let groups = usize::try_from(node.int("group", 1)?).ok().filter(|&g| g > 0);
    let groups = groups.ok_or("group must be at least 1")?;
    let out = weight.shape[0];
    let bias = match node.input(2) {
        Some(_) => importer.array(node, 2)?,
        None => Array::full([out], 0.0),
    };
    if weight.is_empty() {
        return Err("the weight has no elements".into());
    }
    importer.push(node, Conv2d { weight, bias, window, groups }, &[input])
}

pub(super) fn gemm(importer: &mut Importer, node: &NodeView) -> Imported {
    let input = importer.value(node, 0)?;
    if importer.shape(input).len() != 1 {
        return Err(format!(
            "expected rows of features, found samples of {:?}",
            importer.shape(input)
        ));
    }
    if node.int("transA", 0)? != 0 {
        return Err("transA would mix the samples of a batch".into());
    }
    let alpha = node.float("alpha", 1.0)?;
    let beta = node.float("beta", 1.0)?;
    let mut weight = matrix(importer, node, node.int("transB", 0)? != 0)?;
    if alpha != 1.0 {
        weight.data.iter_mut().for_each(|w| *w *= alpha);
    }
    let out = weight.shape[0];
    let bias = match node.input(2) {
        None => Array::full([out], 0.0),
        Some(_) => {
            let c = importer.array(node, 2)?;
            let row = matches!(c.shape[..], [] | [_] | [1, _]) && (c.len() == 1 || c.len() == out);
            if !row {
                return Err(format!(
                    "C of shape {:?} must be one row of {out} or a scalar",
                    c.shape
                ));
            }
            let scaled = (0..out).map(|i| beta * c.data[i % c.len()]);
            Array::new([out], scaled.collect())
        }
    };
    importer.push(node, Linear { weight, bias, axis: 0 }, &[input])
}

pub(super) fn mat_mul(importer: &mut Importer, node: &NodeView) -> Imported {
    let Ok(input) = importer.value(node, 0) else {
        return Err("the left operand must depend on the model's input: write it as x @ W".into());
    };
    if importer.value(node, 1).is_ok() {
        return Err("products of two activations are not supported".into());
    }
    let axis = importer.shape(input).len() - 1;
    let weight = matrix(importer, node, false)?;
    let bias = Array::full([weight.shape[0]], 0.0);
    importer.push(node, Linear { weight, bias, axis }, &[input])
}

/// The right operand as `[out_features, in_features]`; `transposed` if the file has it so.
fn matrix(importer: &Importer, node: &NodeView, transposed: bool) -> Result<Array, String> {
    let constant = importer.constant(node, 1)?.ok_or("the weight is missing")?;
    if constant.dims.len() != 2 || constant.dims.contains(&0) {
        return Err(format!("expected a weight of two axes, found {:?}", constant.dims));
    }
    if transposed {
        return importer.array(node, 1);
    }
    let turned = constant.transposed(&[1, 0])?;
    importer.array(node, 1)?;
    Ok(Array::new(turned.dims.clone(), turned.floats()?))
}

pub(super) fn batch_normalization(importer: &mut Importer, node: &NodeView) -> Imported {
    let input = importer.value(node, 0)?;
    if node.int("training_mode", 0)? != 0 {
        return Err("it is in training mode; export the model for inference".into());
    }
    let channels = importer.shape(input)[0];
    let row = |index| -> Result<Vec<f32>, String> {
        let array = importer.array(node, index)?;
        if array.len() != channels {
            return Err(format!(
                "input {index} has {} elements: expected {channels}, one a channel",
                array.len()
            ));
        }
        Ok(array.data)
    };
    let statistics = BatchNormStatistics {
        gamma: row(1)?,
        beta: row(2)?,
        mean: row(3)?,
        variance: row(4)?,
        epsilon: node.float("epsilon", 1e-5)?,
    };
    if statistics.variance.iter().any(|&v| v + statistics.epsilon <= 0.0) {
        return Err("a variance is negative".into());
    }
    let affine = ChannelAffine::from_batch_norm(&statistics);
    if affine.scale.data.iter().chain(&affine.shift.data).any(|x| !x.is_finite()) {
        return Err("its scale or shift overflows".into());
    }
    let entry = importer.push(node, affine, &[input])?;
    if let (Entry::Value(_), Some(last)) = (&entry, importer.graph.nodes.last_mut()) {
        last.batch_norm = Some(statistics);
    }
    Ok(entry)
}
