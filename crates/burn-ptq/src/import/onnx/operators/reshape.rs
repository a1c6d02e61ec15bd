//! Operators that change the axes of values, and with them where the batch is.

use super::super::constants::{Extent, normalize_axis, permute_axes, unsqueezed};
use super::super::error::Refusal;
use super::super::growing::{Importer, Site, check_elements};
use super::super::layout::{Batch, Layout};
use super::shape::{check_rank, moves_batch};
use crate::graph::ValueId;
use crate::graph::ops::{Permute, Rearrange, Reshape};

pub(super) fn flatten(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let (input, layout) = (site.value(0)?, site.layout(0));
    let sample = importer.shape(input).to_vec();
    let rank = layout.rank(&sample);
    let axis = site.attributes.int("axis", 1)?;
    let axis = if axis == rank as i64 { rank } else { normalize_axis(axis, rank)? };
    let extents = layout.whole(&sample, |d| d, |d| d);
    let product = |range: &[usize]| range.iter().product::<usize>() as i64;
    let (front, back) = (product(&extents[..axis]), product(&extents[axis..]));
    let target = match layout.batch_axis() {
        None => [Extent::Known(front), Extent::Known(back)],
        Some(batch) if batch < axis => [Extent::Batch(front), Extent::Known(back)],
        Some(_) => [Extent::Known(front), Extent::Batch(back)],
    };
    let refused = || moves_batch(format!("it flattens samples of {sample:?} at axis {axis}"));
    to_extents(importer, site, &target, true)?.ok_or_else(refused)
}

pub(super) fn reshape(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let sample = importer.shape(site.value(0)?).to_vec();
    let target = if site.opset < 5 {
        let attribute = site.attributes.ints("shape")?;
        attribute.unwrap_or_default().iter().map(|&d| Extent::Known(d)).collect()
    } else {
        site.constant(1, "shape")?.to_extents()?.to_vec()
    };
    let keep_zeros = site.attributes.flag("allowzero", false)?;
    to_extents(importer, site, &target, keep_zeros)?.ok_or_else(|| {
        let shown: Vec<String> = target.iter().map(Extent::to_string).collect();
        let layout = site.layout(0);
        let batch = match layout.batch {
            Batch::Absent => "without a batch axis".into(),
            Batch::Axis(0) => "with the batch in front".into(),
            Batch::Axis(axis) | Batch::Fused { axis, .. } => {
                format!("with the batch at axis {axis}")
            }
        };
        Refusal::new(
            format!("cannot reshape samples of {sample:?} to [{}], {batch}", shown.join(", ")),
            "the first extent must be the batch (0, -1 or the exported batch), the others must \
             hold one sample",
        )
        .across_batch()
    })
}

/// Gives the node's value the axes that `target` says; `None` if it does not fit.
///
/// Elements stay in the order of the file, so the batch must stay between the same elements: as many
/// in front of it, and as many behind it.
fn to_extents(
    importer: &mut Importer,
    site: &Site,
    target: &[Extent],
    keep_zeros: bool,
) -> Result<Option<ValueId>, Refusal> {
    let (input, layout) = (site.value(0)?, site.layout(0));
    let sample = importer.shape(input).to_vec();
    let whole = layout.whole(&sample, |d| Extent::Known(d as i64), |d| Extent::Batch(d as i64));
    let mut resolved = Vec::with_capacity(target.len());
    for (axis, extent) in target.iter().enumerate() {
        resolved.push(match extent {
            Extent::Known(0) if !keep_zeros => match whole.get(axis) {
                Some(extent) => *extent,
                None => return Ok(None),
            },
            other => *other,
        });
    }
    let elements: usize = sample.iter().product();
    if let Some(batch) = layout.batch_axis() {
        let own = match layout.batch {
            Batch::Fused { inner: true, .. } => batch + 1,
            _ => batch,
        };
        let before: usize = if layout.scalar { 1 } else { sample[..own].iter().product() };
        let fixed = importer.batch.map(|batch| batch as i64);
        for (axis, factor) in batch_places(&resolved, elements, fixed) {
            let mut shape = resolved.clone();
            shape[axis] = Extent::Known(factor as i64);
            let Some(shape) = known_shape(&shape, elements) else { continue };
            let front: usize = shape[..axis].iter().product();
            let is_own = factor == 1;
            let (fits, inner) = (front == before, front * factor == before);
            // A batch of 1 needs no place within an axis: the value is one sample.
            if !(fits || inner) || (!is_own && importer.batch == Some(1)) {
                continue;
            }
            let mut shape = shape;
            let batch = if is_own {
                shape.remove(axis);
                Batch::Axis(axis)
            } else {
                Batch::Fused { axis, inner: !fits }
            };
            return place(importer, site, input, shape, batch).map(Some);
        }
        if importer.batch != Some(1) {
            return Ok(None);
        }
    }
    // One sample: the batch axis, if there is one, is an axis as others.
    let one: Vec<Extent> = resolved
        .iter()
        .map(|extent| match extent {
            Extent::Batch(factor) if importer.batch == Some(1) => Extent::Known(*factor),
            other => *other,
        })
        .collect();
    let Some(mut shape) = known_shape(&one, elements) else { return Ok(None) };
    let mut batch = Batch::Absent;
    if importer.batch == Some(1) && shape.len() > 1 && shape[0] == 1 {
        shape.remove(0);
        batch = Batch::Axis(0);
    }
    place(importer, site, input, shape, batch).map(Some)
}

/// The axes of `target` that may hold the batch, each with the elements of a sample in it, the most
/// likely first.
fn batch_places(target: &[Extent], elements: usize, fixed: Option<i64>) -> Vec<(usize, usize)> {
    let factor = |n: i64| usize::try_from(n).ok().filter(|&n| n > 0);
    let stated = target.iter().enumerate().find_map(|(axis, extent)| match extent {
        Extent::Batch(n) => Some((axis, *n)),
        Extent::Known(_) => None,
    });
    if let Some((axis, n)) = stated {
        return factor(n).map(|n| (axis, n)).into_iter().collect();
    }
    let open = target.iter().position(|extent| *extent == Extent::Known(-1));
    let others: Option<usize> = target.iter().try_fold(1_usize, |product, extent| match extent {
        Extent::Known(-1) => Some(product),
        Extent::Known(n) => product.checked_mul(factor(*n)?),
        Extent::Batch(_) => None,
    });
    let mut places = Vec::new();
    if let (Some(axis), Some(others)) = (open, others)
        && others > 0
        && elements.is_multiple_of(others)
    {
        places.push((axis, elements / others));
    }
    // A fixed number stands for the batch that the model was exported with, which is 1 where the
    // input leaves it open.
    let batch = fixed.unwrap_or(1);
    for (axis, extent) in target.iter().enumerate() {
        let Extent::Known(n) = *extent else { continue };
        if n == batch || (batch > 1 && n > 0 && n % batch == 0) {
            places.extend(factor(n / batch).map(|n| (axis, n)));
        }
    }
    // The batch on an axis of its own is likelier than with others.
    places.sort_by_key(|(_, factor)| *factor != 1);
    places
}

/// A shape of `elements` elements, in which one extent may be -1.
fn known_shape(target: &[Extent], elements: usize) -> Option<Vec<usize>> {
    let mut shape = Vec::with_capacity(target.len());
    let mut inferred = None;
    for (axis, extent) in target.iter().enumerate() {
        shape.push(match extent {
            Extent::Known(-1) if inferred.replace(axis).is_none() => 1,
            Extent::Known(n) => usize::try_from(*n).ok()?,
            Extent::Batch(_) => return None,
        });
    }
    let product = |shape: &[usize]| shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
    if let Some(axis) = inferred {
        shape[axis] = elements.checked_div(product(&shape)?)?;
    }
    (product(&shape)? == elements).then_some(shape)
}

/// A reshape of each sample, whose batch is in another place then; nothing is appended where the
/// shape stays.
fn place(
    importer: &mut Importer,
    site: &Site,
    input: ValueId,
    mut shape: Vec<usize>,
    batch: Batch,
) -> Result<ValueId, Refusal> {
    let scalar = shape.is_empty();
    if scalar {
        shape.push(1);
    }
    importer.placed = Some(Layout { batch, scalar });
    if importer.shape(input) == shape {
        return Ok(input);
    }
    check_rank(&shape)?;
    check_elements(&shape)?;
    importer.push(site, Reshape { shape }, &[input])
}

pub(super) fn squeeze(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let (input, layout) = (site.value(0)?, site.layout(0));
    let sample = importer.shape(input).to_vec();
    let rank = layout.rank(&sample);
    // The batch counts as 1 where the file fixes it there.
    let batch = importer.batch.unwrap_or(0);
    let extents = layout.whole(&sample, |d| d, |d| d * batch);
    let axes: Vec<usize> = match site.integers("axes", 1)? {
        Some(axes) => axes.iter().map(|&a| normalize_axis(a, rank)).collect::<Result<_, _>>()?,
        None => (0..rank).filter(|&a| extents[a] == 1).collect(),
    };
    let batch_axis = layout.batch_axis();
    if let Some(axis) = axes.iter().find(|&&a| extents[a] != 1) {
        if batch_axis == Some(*axis) {
            return Err(moves_batch("it drops the batch axis".into()));
        }
        return Err(Refusal::invalid(format!("axis {axis} of samples of {sample:?} is not 1")));
    }
    let kept: Vec<usize> = (0..rank).filter(|a| !axes.contains(a)).collect();
    let shape = kept.iter().filter(|&&a| layout.batch != Batch::Axis(a)).map(|&a| extents[a]);
    let batch = match batch_axis.and_then(|axis| kept.iter().position(|&a| a == axis)) {
        Some(axis) => layout.moved(axis).batch,
        None => Batch::Absent,
    };
    let shape = if let Batch::Fused { .. } = batch {
        kept.iter().map(|&a| sample[a]).collect()
    } else {
        shape.collect()
    };
    place(importer, site, input, shape, batch)
}

pub(super) fn unsqueeze(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let (input, layout) = (site.value(0)?, site.layout(0));
    let axes = site.integers("axes", 1)?.ok_or_else(|| Refusal::invalid("its axes are missing"))?;
    let sample = importer.shape(input).to_vec();
    // Extents and the batch as 0, which no other extent is.
    let whole = layout.whole(&sample, |d| d, |_| 0);
    let mut shape = unsqueezed(&whole, &axes)?;
    let batch = match shape.iter().position(|&extent| extent == 0) {
        Some(axis) => layout.moved(axis).batch,
        None => Batch::Absent,
    };
    match batch {
        Batch::Axis(axis) => {
            shape.remove(axis);
        }
        Batch::Fused { axis, .. } => {
            shape[axis] = layout.batch_axis().map_or(1, |axis| sample[axis]);
        }
        // The batch of a model of single samples.
        Batch::Absent if importer.batch == Some(1) && shape.len() > 1 && shape[0] == 1 => {
            shape.remove(0);
            return place(importer, site, input, shape, Batch::Axis(0));
        }
        Batch::Absent => {}
    }
    place(importer, site, input, shape, batch)
}

pub(super) fn transpose(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let (input, layout) = (site.value(0)?, site.layout(0));
    let rank = layout.rank(importer.shape(input));
    let permutation = permute_axes(site.attributes.ints("perm")?, rank)?;
    let moved = layout.batch_axis().and_then(|axis| permutation.iter().position(|&a| a == axis));
    importer.placed = Some(moved.map_or(layout, |axis| layout.moved(axis)));
    let own = |axis: &&usize| layout.batch != Batch::Axis(**axis);
    let behind = |axis: usize| match layout.batch {
        Batch::Axis(batch) if axis > batch => axis - 1,
        _ => axis,
    };
    let axes: Vec<usize> = permutation.iter().filter(own).map(|&axis| behind(axis)).collect();
    if axes.is_sorted() {
        return Ok(input);
    }
    let sample = importer.shape(input);
    if sample.len() <= 3 {
        return importer.push(site, Permute { axes }, &[input]);
    }
    let op = Rearrange::permuted("Transpose", sample, &axes);
    importer.push(site, op, &[input])
}
