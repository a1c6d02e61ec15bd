//! Operators that copy some elements of a value, perhaps several times: slices, splits, gathers by
//! constants, repetitions.

use super::super::constants::{Extent, Span, normalize_axis};
use super::super::error::Refusal;
use super::super::growing::{Binding, Importer, Site, check_elements};
use super::lookup;
use super::shape::{check_rank, moves_batch};
use crate::graph::ops::{Rearrange, Reshape};
use crate::graph::{Op, ValueId};

/// The operation that copies the elements of `input` at `indices` of each axis of a sample; `None`
/// where they are all of them in their order.
pub(super) fn selection(
    importer: &mut Importer,
    site: &Site,
    input: ValueId,
    indices: &[Vec<usize>],
) -> Result<Option<Op>, Refusal> {
    let sample = importer.shape(input);
    let all = |(indices, &extent): (&Vec<usize>, &usize)| indices.iter().copied().eq(0..extent);
    if indices.len() == sample.len() && indices.iter().zip(sample).all(all) {
        return Ok(None);
    }
    check_result(sample, &indices.iter().map(Vec::len).collect::<Vec<_>>())?;
    Ok(Some(Rearrange::at(site.op, sample, indices).into()))
}

/// Refuses what makes samples of `shape`, out of those of `sample`, without elements or with too many.
pub(super) fn check_result(sample: &[usize], shape: &[usize]) -> Result<(), Refusal> {
    if shape.contains(&0) {
        return Err(Refusal::new(
            format!("of samples of {sample:?} it makes samples of {shape:?}, without an element"),
            "export the model with bounds that leave elements",
        ));
    }
    check_elements(shape)
}

/// Appends the [`selection`].
pub(super) fn push_selection(
    importer: &mut Importer,
    site: &Site,
    input: ValueId,
    indices: &[Vec<usize>],
) -> Result<ValueId, Refusal> {
    match selection(importer, site, input, indices)? {
        Some(op) => importer.push(site, op, &[input]),
        None => Ok(input),
    }
}

/// All indices of each axis of a sample.
pub(super) fn whole(sample: &[usize]) -> Vec<Vec<usize>> {
    sample.iter().map(|&extent| (0..extent).collect()).collect()
}

pub(super) fn slice(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let input = site.value(0)?;
    let sample = importer.shape(input).to_vec();
    let rank = sample.len() + 1;
    let list = |name: &str, index: usize| match site.opset {
        ..10 => Ok(site
            .attributes
            .ints(name)?
            .map(|list| list.iter().copied().map(Extent::Known).collect())),
        _ => match site.optional(index, name)? {
            Some(constant) => constant.to_extents().map(|extents| Some(extents.to_vec())),
            None => Ok(None),
        },
    };
    let missing = || Refusal::invalid("its starts or ends are missing");
    let starts: Vec<Extent> = list("starts", 1)?.ok_or_else(missing)?;
    let ends: Vec<Extent> = list("ends", 2)?.ok_or_else(missing)?;
    let known = |list: Option<Vec<Extent>>, default: Vec<i64>| match list {
        Some(list) => list.into_iter().map(Extent::known).collect::<Result<Vec<i64>, _>>(),
        None => Ok(default),
    };
    let count = starts.len();
    let axes = known(list("axes", 3)?, (0..count as i64).collect())?;
    let steps = known(if site.opset < 10 { None } else { list("steps", 4)? }, vec![1; count])?;
    if [ends.len(), axes.len(), steps.len()] != [count; 3] {
        return Err(Refusal::invalid("its starts, ends, axes and steps differ in length"));
    }
    let mut indices = whole(&sample);
    let mut sliced = vec![false; rank];
    for i in 0..count {
        let axis = normalize_axis(axes[i], rank)?;
        if steps[i] == 0 || std::mem::replace(&mut sliced[axis], true) {
            return Err(Refusal::invalid("a slice has step 0 or names an axis twice"));
        }
        let Some(axis) = axis.checked_sub(1) else {
            if !keeps_batch(importer, starts[i], ends[i], steps[i]) {
                return Err(moves_batch("it slices the batch axis".into()));
            }
            continue;
        };
        let span = Span::new(sample[axis], starts[i].known()?, ends[i].known()?, steps[i]);
        indices[axis] = span.indices().collect();
    }
    push_selection(importer, site, input, &indices)
}

/// Whether a slice of the batch axis takes all of it.
fn keeps_batch(importer: &Importer, start: Extent, end: Extent, step: i64) -> bool {
    let to_the_end = match end {
        Extent::Batch(_) => true,
        // Exporters write the largest number that there is, or the batch that they exported with.
        Extent::Known(end) => {
            end >= i64::from(i32::MAX) || importer.batch.is_some_and(|b| end == b as i64)
        }
    };
    start == Extent::Known(0) && to_the_end && step == 1
}

pub(super) fn split(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let input = site.value(0)?;
    let sample = importer.shape(input).to_vec();
    let axis = normalize_axis(site.attributes.int("axis", 0)?, sample.len() + 1)?;
    let Some(axis) = axis.checked_sub(1) else {
        return Err(moves_batch("it splits the batch axis".into()));
    };
    let extent = sample[axis];
    let parts = site.outputs.len();
    let sizes = match site.integers("split", 1)? {
        Some(sizes) => sizes,
        None => {
            let count = site.attributes.int("num_outputs", parts as i64)?;
            let even = site.attributes.has("num_outputs") || extent.is_multiple_of(parts);
            if count != parts as i64 || !even {
                return Err(Refusal::invalid(format!(
                    "it splits {extent} steps of axis {} into {count} equal parts and has {parts} \
                     outputs",
                    axis + 1
                )));
            }
            let longest = extent.div_ceil(parts);
            let size = |part: usize| longest.min(extent.saturating_sub(part * longest)) as i64;
            (0..parts).map(size).collect()
        }
    };
    let whole_axis = sizes.iter().try_fold(0_i64, |sum, &size| sum.checked_add(size));
    let is_negative = sizes.iter().any(|&size| size < 0);
    if sizes.len() != parts || whole_axis != Some(extent as i64) || is_negative {
        return Err(Refusal::invalid(format!(
            "its parts {sizes:?} along axis {} do not give {extent} steps to {parts} outputs",
            axis + 1
        )));
    }
    let mut indices = whole(&sample);
    let (mut start, mut first) = (0, input);
    for (part, &size) in sizes.iter().enumerate() {
        let end = start + size as usize;
        // The first output stands for the node, whether or not something reads it.
        if part == 0 || importer.is_read(site.outputs[part]) {
            indices[axis] = (start..end).collect();
            let value = match selection(importer, site, input, &indices)? {
                Some(op) => importer.push_output(site, part, op, &[input])?,
                None => input,
            };
            if part == 0 {
                first = value;
            } else {
                importer.further.push((part, value));
            }
        }
        start = end;
    }
    Ok(first)
}

pub(super) fn gather(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    if let Some(Some(Binding::Constant(_))) = site.inputs.first() {
        return lookup::gather(importer, site);
    }
    let input = site.value(0)?;
    let sample = importer.shape(input).to_vec();
    let chosen = site.constant(1, "indices")?;
    let axis = normalize_axis(site.attributes.int("axis", 0)?, sample.len() + 1)?;
    let Some(axis) = axis.checked_sub(1) else {
        return Err(moves_batch("it gathers along the batch axis".into()));
    };
    let mut indices = whole(&sample);
    indices[axis] = (chosen.to_integers()?.into_iter())
        .map(|index| normalize_axis(index, sample[axis]))
        .collect::<Result<_, _>>()?;
    if chosen.shape.len() == 1 {
        return push_selection(importer, site, input, &indices);
    }
    // The axis makes way for those of the indices: none, if they are a single number.
    let shape = [&sample[..axis], &chosen.shape, &sample[axis + 1..]].concat();
    check_rank(&shape)?;
    let value = match selection(importer, site, input, &indices)? {
        Some(op) => importer.push_part(site, "gathered", op, &[input])?,
        None => input,
    };
    importer.push(site, Reshape { shape }, &[value])
}

pub(super) fn tile(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let input = site.value(0)?;
    let sample = importer.shape(input).to_vec();
    let repeats = site.constant(1, "repeats")?.to_integers()?;
    let repeats: Option<Vec<usize>> = repeats.iter().map(|&r| usize::try_from(r).ok()).collect();
    let repeats = repeats.filter(|repeats| repeats.len() == sample.len() + 1).ok_or_else(|| {
        Refusal::invalid(format!(
            "expected a number of repeats for each of {} axes",
            sample.len() + 1
        ))
    })?;
    if repeats[0] != 1 {
        return Err(moves_batch("it repeats the batch axis".into()));
    }
    let extents = sample.iter().zip(&repeats[1..]);
    let shape: Vec<usize> = extents.clone().map(|(e, r)| e.saturating_mul(*r)).collect();
    check_result(&sample, &shape)?;
    let along =
        |(&extent, &repeats): (&usize, &usize)| (0..extent * repeats).map(|i| i % extent).collect();
    let indices: Vec<Vec<usize>> = extents.map(along).collect();
    push_selection(importer, site, input, &indices)
}

pub(super) fn expand(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let input = site.value(0)?;
    let sample = importer.shape(input).to_vec();
    let target = site.constant(1, "shape")?;
    let target = target.to_extents()?;
    // Both are aligned at their last axes.
    let more = target.len().saturating_sub(sample.len() + 1);
    if more > 0 {
        return Err(moves_batch(format!("it puts {more} axes in front of the batch")));
    }
    let skipped = sample.len() + 1 - target.len();
    let mut shape = sample.clone();
    for (i, &extent) in target.iter().enumerate() {
        let Some(axis) = (skipped + i).checked_sub(1) else {
            let batch = importer.batch.map_or(1, |batch| batch as i64);
            if matches!(extent, Extent::Batch(_))
                || extent == Extent::Known(1)
                || extent == Extent::Known(batch)
            {
                continue;
            }
            return Err(moves_batch("it repeats the batch axis".into()));
        };
        let extent = extent.known()?;
        let expected = sample[axis] as i64;
        if extent == 1 || extent == expected {
            continue;
        }
        let longer = usize::try_from(extent).ok().filter(|_| expected == 1).ok_or_else(|| {
            Refusal::invalid(format!(
                "axis {} of samples of {sample:?} does not expand to {extent}",
                axis + 1
            ))
        })?;
        shape[axis] = longer;
    }
    check_result(&sample, &shape)?;
    let along = |(&from, &to): (&usize, &usize)| (0..to).map(|i| i.min(from - 1)).collect();
    let indices: Vec<Vec<usize>> = sample.iter().zip(&shape).map(along).collect();
    push_selection(importer, site, input, &indices)
}
