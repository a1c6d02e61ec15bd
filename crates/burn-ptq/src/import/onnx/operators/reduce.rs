//! Reductions over axes, and the places of extremes.

use super::super::constants::normalize_axis;
use super::super::error::Refusal;
use super::super::growing::{Importer, Site};
use crate::graph::ValueId;
use crate::graph::ops::{Reduce, ReduceFunction, Reshape, TopK};

/// The axes of a sample that a node reduces.
pub(super) struct Reduced {
    /// The axes, in ascending order.
    pub axes: Vec<usize>,
    /// Whether they stay with an extent of 1.
    pub keep: bool,
}

/// The axis of a sample that `axis` of a node means; `None` for the batch.
pub(super) fn sample_axis(
    importer: &Importer,
    input: ValueId,
    axis: i64,
) -> Result<Option<usize>, Refusal> {
    let axis = normalize_axis(axis, importer.shape(input).len() + 1)?;
    Ok(axis.checked_sub(1))
}

/// Reads which axes a node reduces; `None` if none.
pub(super) fn reduced(
    importer: &Importer,
    site: &Site,
    input: ValueId,
) -> Result<Option<Reduced>, Refusal> {
    let given = site.integers("axes", 1)?.unwrap_or_default();
    if given.is_empty() && site.attributes.flag("noop_with_empty_axes", false)? {
        return Ok(None);
    }
    let over_batch = || {
        Refusal::new(
            "it reduces over the batch",
            "export the model with a reduction over the axes behind the batch",
        )
    };
    let mut axes = Vec::with_capacity(given.len());
    if given.is_empty() {
        return Err(over_batch());
    }
    for axis in given {
        axes.push(sample_axis(importer, input, axis)?.ok_or_else(over_batch)?);
    }
    axes.sort_unstable();
    axes.dedup();
    Ok(Some(Reduced { axes, keep: site.attributes.flag("keepdims", true)? }))
}

/// The shape without `axes`; a single element keeps an axis.
pub(super) fn dropped(shape: &[usize], axes: &[usize]) -> Vec<usize> {
    let kept = (0..shape.len()).filter(|axis| !axes.contains(axis)).map(|axis| shape[axis]);
    let kept: Vec<usize> = kept.collect();
    if kept.is_empty() { vec![1] } else { kept }
}

fn push(
    importer: &mut Importer,
    site: &Site,
    function: ReduceFunction,
    input: ValueId,
    Reduced { axes, keep }: Reduced,
) -> Result<ValueId, Refusal> {
    let shape = importer.shape(input).to_vec();
    let elements = axes.iter().map(|&axis| shape[axis]).product();
    let op = Reduce { function, axes: axes.clone(), elements };
    if keep {
        return importer.push(site, op, &[input]);
    }
    let reduced = importer.push_part(site, "reduced", op, &[input])?;
    importer.push(site, Reshape { shape: dropped(&shape, &axes) }, &[reduced])
}

fn reduce(
    importer: &mut Importer,
    site: &Site,
    function: ReduceFunction,
) -> Result<ValueId, Refusal> {
    let input = site.value(0)?;
    match reduced(importer, site, input)? {
        // Nothing is reduced, but magnitudes and squares are taken.
        None if !matches!(
            function,
            ReduceFunction::Mean | ReduceFunction::Sum | ReduceFunction::Max | ReduceFunction::Min
        ) =>
        {
            Err(Refusal::new(
                "it reduces no axis (noop_with_empty_axes)",
                "write Abs or Mul where nothing is reduced",
            ))
        }
        None => Ok(input),
        Some(reduced) => push(importer, site, function, input, reduced),
    }
}

pub(super) fn mean(
    importer: &mut Importer,
    site: &Site,
    input: ValueId,
    reduced: Reduced,
) -> Result<ValueId, Refusal> {
    push(importer, site, ReduceFunction::Mean, input, reduced)
}

pub(super) fn sum(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    reduce(importer, site, ReduceFunction::Sum)
}

pub(super) fn max(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    reduce(importer, site, ReduceFunction::Max)
}

pub(super) fn min(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    reduce(importer, site, ReduceFunction::Min)
}

pub(super) fn l1(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    reduce(importer, site, ReduceFunction::L1)
}

pub(super) fn l2(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    reduce(importer, site, ReduceFunction::L2)
}

pub(super) fn sum_square(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    reduce(importer, site, ReduceFunction::SumSquare)
}

pub(super) fn arg_max(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    arg_extreme(importer, site, false)
}

pub(super) fn arg_min(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    arg_extreme(importer, site, true)
}

fn arg_extreme(importer: &mut Importer, site: &Site, smallest: bool) -> Result<ValueId, Refusal> {
    let input = site.value(0)?;
    let axis = site.attributes.int("axis", 0)?;
    let Some(axis) = sample_axis(importer, input, axis)? else {
        return Err(Refusal::new(
            "it searches along the batch",
            "export the model with the axis of the classes",
        ));
    };
    let last = site.attributes.flag("select_last_index", false)?;
    let op = TopK { axis, k: 1, smallest, last, indices: true };
    if site.attributes.flag("keepdims", true)? {
        return importer.push(site, op, &[input]);
    }
    let shape = dropped(importer.shape(input), &[axis]);
    let places = importer.push_part(site, "places", op, &[input])?;
    importer.push(site, Reshape { shape }, &[places])
}

/// The first elements along an axis, sorted, and their places.
pub(super) fn top_k(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let input = site.value(0)?;
    let k = match site.opset {
        ..10 => site.attributes.int("k", 0)?,
        _ => match site.constant(1, "k")?.to_integers()?[..] {
            [k] => k,
            ref other => {
                return Err(Refusal::invalid(format!("expected one number k, found {other:?}")));
            }
        },
    };
    let axis = site.attributes.int("axis", -1)?;
    let Some(axis) = sample_axis(importer, input, axis)? else {
        return Err(Refusal::new(
            "it selects along the batch",
            "export the model with a selection within each sample",
        ));
    };
    let smallest = !site.attributes.flag("largest", true)?;
    let k = usize::try_from(k).unwrap_or(0);
    let op = |indices| TopK { axis, k, smallest, last: false, indices };
    let values = importer.push_output(site, 0, op(false), &[input])?;
    if site.outputs.get(1).is_some_and(|name| importer.is_read(name)) {
        let places = importer.push_output(site, 1, op(true), &[input])?;
        importer.further.push((1, places));
    }
    Ok(values)
}
