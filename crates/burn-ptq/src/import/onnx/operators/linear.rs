//! Fully connected layers.

use super::super::error::Refusal;
use super::super::growing::{Importer, Site};
use super::activation::finite;
use crate::graph::ops::{Linear, Permute};
use crate::graph::{Array, ValueId};

pub(super) fn gemm(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let mut input = site.value(0)?;
    // Samples are rows; a single sample is a matrix of rows.
    let axis = importer.shape(input).len() - 1;
    if axis > 1 {
        return Err(Refusal::invalid(format!(
            "expected samples of one axis, found {:?}",
            importer.shape(input)
        )));
    }
    if site.attributes.flag("transA", false)? {
        if axis == 0 {
            return Err(Refusal::new(
                "transA = 1 contracts over the batch axis",
                "export the layer with the batch as the first axis of its input",
            ));
        }
        input = importer.push_part(site, "rows", Permute { axes: vec![1, 0] }, &[input])?;
    }
    let alpha = finite(site, "alpha", 1.0)?;
    let beta = finite(site, "beta", 1.0)?;
    let matrix = importer.array(&*site.constant(1, "weight")?)?;
    let mut weight =
        if site.attributes.flag("transB", false)? { checked(matrix)? } else { transposed(matrix)? };
    let out = weight.shape[0];
    let mut bias = vec![0.0; out];
    if let Some(constant) = site.optional(2, "bias")? {
        let terms = importer.array(&constant)?;
        // C broadcasts to [batch, out]: its batch axis must be 1, its last 1 or `out`.
        let (last, leading) = terms.shape.split_last().unwrap_or((&1, &[]));
        if terms.shape.len() > 2 || leading.iter().any(|&d| d != 1) || ![1, out].contains(last) {
            return Err(Refusal::new(
                format!("expected a bias that broadcasts to [1, {out}], found {:?}", terms.shape),
                "export the layer with one bias an output",
            ));
        }
        for (bias, term) in bias.iter_mut().zip(terms.data.iter().cycle()) {
            *bias = beta * term;
        }
    }
    if alpha != 1.0 {
        weight.data.iter_mut().for_each(|w| *w *= alpha);
    }
    let op = Linear { weight, bias: Array::new([out], bias), axis };
    importer.push(site, op, &[input])
}

pub(super) fn unbiased(weight: Array, axis: usize) -> Linear {
    let bias = Array::full([weight.shape[0]], 0.0);
    Linear { weight, bias, axis }
}

/// An operand of `MatMul` without leading ones, which broadcast over the batch.
pub(super) fn matrix(mut operand: Array) -> Result<Array, Refusal> {
    let batch_axes = operand.shape.len().saturating_sub(2).min(1);
    while operand.shape.len() > 2 && operand.shape[..batch_axes] == [1] {
        operand.shape.remove(0);
    }
    checked(operand)
}

pub(super) fn checked(matrix: Array) -> Result<Array, Refusal> {
    if matrix.shape.len() == 2 && !matrix.is_empty() {
        return Ok(matrix);
    }
    Err(Refusal::new(
        format!("expected a weight matrix, found the shape {:?}", matrix.shape),
        "give every sample the same weight of two axes",
    ))
}

/// The transpose of a matrix.
pub(super) fn transposed(matrix: Array) -> Result<Array, Refusal> {
    let Array { shape, data } = checked(matrix)?;
    let [rows, columns] = [shape[0], shape[1]];
    let element = |i: usize| data[(i % rows) * columns + i / rows];
    Ok(Array::new([columns, rows], (0..data.len()).map(element).collect()))
}
