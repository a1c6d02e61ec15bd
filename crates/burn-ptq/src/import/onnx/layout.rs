//! Operators that move or rename elements.

use super::attributes::{NodeView, sample_axis};
use super::constant::{BATCH, Constant, axes_of};
use super::{Entry, Imported, Importer};
use crate::graph::ValueId;
use crate::graph::ops::{Concat, Pad, Permute, Reshape};

pub(super) fn identity(importer: &mut Importer, node: &NodeView) -> Imported {
    Ok(Entry::Value(importer.value(node, 0)?))
}

pub(super) fn cast(importer: &mut Importer, node: &NodeView) -> Imported {
    // Half precision is computed in f32 here.
    match node.int("to", 1)? {
        1 | 10 | 11 | 16 => identity(importer, node),
        other => Err(format!("activations cannot be cast to ONNX data type {other}")),
    }
}

pub(super) fn shape(importer: &mut Importer, node: &NodeView) -> Imported {
    let value = importer.value(node, 0)?;
    let extents = importer.shape(value).iter().map(|&d| d as i64);
    let full: Vec<i64> = [BATCH].into_iter().chain(extents).collect();
    let len = full.len() as i64;
    let bound = |x: i64| (if x < 0 { x.saturating_add(len) } else { x }).clamp(0, len) as usize;
    let (start, end) = (bound(node.int("start", 0)?), bound(node.int("end", len)?));
    Ok(Entry::Constant(Constant::ints(full[start..end.max(start)].to_vec())))
}

/// Gives `value` another shape, unless it has it already.
fn reshaped(
    importer: &mut Importer,
    node: &NodeView,
    value: ValueId,
    shape: Vec<usize>,
) -> Imported {
    if shape.is_empty() || shape.len() > 3 {
        return Err(format!("samples of shape {shape:?} are not supported: one to three axes are"));
    }
    if importer.shape(value) == shape && value != importer.graph.input {
        return Ok(Entry::Value(value));
    }
    importer.push(node, Reshape { shape }, &[value])
}

pub(super) fn flatten(importer: &mut Importer, node: &NodeView) -> Imported {
    let value = importer.value(node, 0)?;
    let sample = importer.shape(value).to_vec();
    let rank = sample.len() as i64 + 1;
    let axis = node.int("axis", 1)?;
    let axis = if axis < 0 { axis.saturating_add(rank) } else { axis };
    let leading = usize::try_from(axis - 1).ok().filter(|&a| a <= sample.len());
    let mixes = |leading: usize| sample[..leading].iter().any(|&d| d != 1);
    match leading {
        Some(leading) if !mixes(leading) => {
            let features = sample.iter().product();
            reshaped(importer, node, value, vec![features])
        }
        _ => Err(format!("flattening at axis {axis} would mix the samples of a batch")),
    }
}

pub(super) fn reshape(importer: &mut Importer, node: &NodeView) -> Imported {
    let value = importer.value(node, 0)?;
    let target = match importer.constant(node, 1)? {
        Some(constant) => constant.integers()?.to_vec(),
        None => node.ints("shape")?.ok_or("the shape is missing")?,
    };
    let sample = importer.shape(value).to_vec();
    let allow_zero = node.int("allowzero", 0)? != 0;
    let [batch, rest @ ..] = target.as_slice() else {
        return Err("a scalar has no batch".into());
    };
    let keeps_batch = match *batch {
        BATCH | -1 => true,
        0 => !allow_zero,
        fixed => importer.batch == Some(fixed),
    };
    if !keeps_batch {
        return Err(format!(
            "the shape {target:?} does not keep the batch as its first axis: use 0 or -1 there"
        ));
    }
    let len: usize = sample.iter().product();
    let mut inferred = None;
    let mut shape = Vec::with_capacity(rest.len());
    for (i, &d) in rest.iter().enumerate() {
        shape.push(match d {
            -1 if inferred.is_none() && *batch != -1 => {
                inferred = Some(i);
                1
            }
            -1 => return Err("two extents are to be inferred".into()),
            0 if !allow_zero => *sample.get(i).ok_or("a 0 copies an axis that is not there")?,
            d => usize::try_from(d)
                .ok()
                .filter(|&d| d > 0 && d <= len)
                .ok_or_else(|| format!("extent {d} does not fit {len} elements"))?,
        });
    }
    let known = shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
    if let (Some(i), Some(known)) = (inferred, known) {
        shape[i] = len / known.max(1);
    }
    if shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d)) != Some(len) {
        return Err(format!("samples of shape {sample:?} cannot be reshaped to {target:?}"));
    }
    reshaped(importer, node, value, shape)
}

pub(super) fn squeeze(importer: &mut Importer, node: &NodeView) -> Imported {
    let value = importer.value(node, 0)?;
    let sample = importer.shape(value).to_vec();
    let removed: Vec<bool> = match axes_of(node, importer.constant(node, 1)?)? {
        None => sample.iter().map(|&d| d == 1).collect(),
        Some(axes) => {
            let mut removed = vec![false; sample.len()];
            for axis in axes {
                let axis = sample_axis(axis, sample.len())?;
                if sample[axis] != 1 {
                    return Err(format!("axis {} has extent {}, not 1", axis + 1, sample[axis]));
                }
                removed[axis] = true;
            }
            removed
        }
    };
    let kept = sample.iter().zip(removed).filter(|(_, removed)| !removed).map(|(&d, _)| d);
    reshaped(importer, node, value, kept.collect())
}

pub(super) fn unsqueeze(importer: &mut Importer, node: &NodeView) -> Imported {
    let value = importer.value(node, 0)?;
    let sample = importer.shape(value).to_vec();
    let axes = axes_of(node, importer.constant(node, 1)?)?.ok_or("the axes are missing")?;
    let rank = sample.len() + axes.len();
    let mut inserted = vec![false; rank];
    for axis in axes {
        inserted[sample_axis(axis, rank)?] = true;
    }
    let mut old = sample.iter();
    let shape = inserted.iter().map(|&new| if new { 1 } else { *old.next().unwrap_or(&1) });
    reshaped(importer, node, value, shape.collect())
}

pub(super) fn transpose(importer: &mut Importer, node: &NodeView) -> Imported {
    let value = importer.value(node, 0)?;
    let rank = importer.shape(value).len();
    let perm = match node.ints("perm")? {
        Some(perm) => perm,
        None => (0..=rank as i64).rev().collect(),
    };
    if perm.first() != Some(&0) || perm.len() != rank + 1 {
        return Err(format!("perm {perm:?} must keep the batch first and name {} axes", rank + 1));
    }
    let axes = perm[1..].iter().map(|&p| sample_axis(p, rank)).collect::<Result<_, _>>()?;
    importer.push(node, Permute { axes }, &[value])
}

pub(super) fn concat(importer: &mut Importer, node: &NodeView) -> Imported {
    let mut inputs = Vec::with_capacity(node.proto.input.len());
    for index in 0..node.proto.input.len() {
        inputs.push(importer.value(node, index)?);
    }
    let first = *inputs.first().ok_or("it has no inputs")?;
    let rank = importer.shape(first).len();
    let axis = sample_axis(node.int("axis", 1)?, rank)?;
    importer.push(node, Concat { axis }, &inputs)
}

pub(super) fn pad(importer: &mut Importer, node: &NodeView) -> Imported {
    let value = importer.value(node, 0)?;
    let rank = importer.shape(value).len();
    let mode = node.string("mode")?.unwrap_or_else(|| "constant".into());
    if mode != "constant" {
        return Err(format!("padding mode '{mode}' is not supported; only 'constant' is"));
    }
    let pads = match importer.constant(node, 1)? {
        Some(constant) => constant.integers()?.to_vec(),
        None => node.ints("pads")?.ok_or("the pads are missing")?,
    };
    let constant = match importer.constant(node, 2)? {
        Some(constant) => constant.scalar()?,
        None => node.float("value", 0.0)?,
    };
    if !constant.is_finite() {
        return Err(format!("padding with {constant} is not supported"));
    }
    let axes: Vec<i64> = match importer.constant(node, 3)? {
        Some(axes) => axes.integers()?.to_vec(),
        None => (0..=rank as i64).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return Err(format!("expected {} pads, found {}", 2 * axes.len(), pads.len()));
    }
    let mut pad = Pad { before: [0; 3], after: [0; 3], value: constant };
    for (i, &axis) in axes.iter().enumerate() {
        let (before, after) = (pads[i], pads[i + axes.len()]);
        if (before, after) == (0, 0) {
            continue;
        }
        let axis = sample_axis(axis, rank)?;
        let checked = |p: i64| {
            let found = usize::try_from(p).ok().filter(|&p| p < 1 << 16);
            found.ok_or_else(|| format!("a padding of {p} is not supported: 0 to 65535 are"))
        };
        pad.before[axis] = checked(before)?;
        pad.after[axis] = checked(after)?;
    }
    importer.push(node, pad, &[value])
}
