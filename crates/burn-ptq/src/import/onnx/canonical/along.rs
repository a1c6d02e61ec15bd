//! Operators that count axes by numbers.

use std::rc::Rc;

use super::super::constants::{Constant, Extent, normalize_axis};
use super::super::error::Refusal;
use super::super::growing::{Binding, Importer, Site};
use super::super::layout::{Batch, Layout};
use super::super::operators::check_rank;
use super::{Canonical, Fault, Number, dropped, list, set, value, without_axis, wrong_length};
use crate::graph::ops::Reshape;

pub(super) fn along_axis(
    importer: &mut Importer,
    site: &Site,
    result: &mut Canonical,
    (default, from): (Option<i64>, bool),
    first: usize,
) -> Result<(), Fault> {
    let counted = value(importer, site, first)?;
    let given = match default {
        Some(default) => site.attributes.int("axis", default)?,
        // Old opsets have a default.
        None => site.attributes.int("axis", 1)?,
    };
    let what = match site.op {
        "Concat" => "it joins values along the batch axis",
        "Split" => "it splits the batch axis",
        _ => "it normalizes over the batch axis",
    };
    // Normalizations that were found in pieces name all axes.
    if let Some(axes) = site.attributes.ints("axes")? {
        let places = axes.iter().map(|&axis| counted.axis(axis, what).map(|(_, place)| place));
        let places = places.collect::<Result<Vec<_>, _>>()?;
        set(site, result, "axes", Number::List(places));
        return Ok(());
    }
    let (own, axis) = counted.axis(given, what)?;
    if from && counted.layout.batch_axis().is_some_and(|batch| batch >= own) {
        return Err(Fault::Mixes(what));
    }
    set(site, result, "axis", Number::One(axis));
    if site.op == "Concat" {
        for index in 0..site.inputs.len() {
            match &site.inputs[index] {
                Some(Binding::Value(id)) if site.layouts[index] != counted.layout => {
                    // A value without a batch is the same for every sample.
                    let (Batch::Absent, Batch::Axis(axis)) =
                        (site.layouts[index].batch, counted.layout.batch)
                    else {
                        return Err(Fault::Mixes("it joins values with the batch in other places"));
                    };
                    if importer.shape(*id).len() <= axis {
                        return Err(wrong_length("axes", counted.rank, axis).into());
                    }
                    let id = without_axis(importer, site, index, *id, axis)?;
                    result.inputs[index] = Some(Binding::Value(id));
                }
                Some(Binding::Constant(constant)) => {
                    let constant = joined(constant, counted.layout)?;
                    result.inputs[index] = Some(Binding::Constant(Rc::new(constant)));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// A constant that is joined with values of `layout`, with an axis of 1 in front.
fn joined(constant: &Constant, layout: Layout) -> Result<Constant, Fault> {
    let mut shape = constant.shape.clone();
    match layout.batch {
        Batch::Axis(axis) if shape.get(axis) == Some(&1) => {
            shape.remove(axis);
        }
        Batch::Axis(_) => return Err(Fault::Mixes("it joins a constant for each sample")),
        Batch::Fused { axis, .. } if shape.get(axis) != Some(&1) => {
            return Err(Fault::Mixes("it joins a constant for each sample"));
        }
        _ => {}
    }
    shape.insert(0, 1);
    Ok(Constant { shape, elements: constant.elements.clone() })
}

pub(super) fn reduce(
    importer: &mut Importer,
    site: &Site,
    result: &mut Canonical,
) -> Result<(), Fault> {
    let counted = value(importer, site, 0)?;
    let axes = site.integers("axes", 1)?.unwrap_or_default();
    if axes.is_empty() && site.attributes.flag("noop_with_empty_axes", false)? {
        return Ok(());
    }
    let all: Vec<i64> = (0..counted.rank as i64).collect();
    let axes = if axes.is_empty() { all } else { axes };
    let (mut own, mut canonical) = (Vec::new(), Vec::new());
    for axis in axes {
        let (axis, place) = counted.axis(axis, "it reduces over the batch axis")?;
        if !own.contains(&axis) {
            own.push(axis);
            canonical.push(place);
        }
    }
    if !site.attributes.flag("keepdims", true)? {
        result.layout = dropped(&counted, &own);
        result.scalar = result.layout.scalar;
    }
    // A scalar has nothing to reduce.
    if counted.layout.scalar {
        canonical = vec![1];
    }
    if site.inputs.len() > 1 {
        result.inputs[1] = list(canonical);
    } else {
        set(site, result, "axes", Number::List(canonical));
    }
    Ok(())
}

pub(super) fn gather(
    importer: &mut Importer,
    site: &Site,
    result: &mut Canonical,
) -> Result<(), Fault> {
    let given = site.attributes.int("axis", 0)?;
    let indices = match site.inputs.get(1) {
        Some(Some(Binding::Constant(indices))) => indices.clone(),
        // A table that is looked up.
        _ => {
            let counted = value(importer, site, 1)?;
            if let Some(Some(Binding::Constant(table))) = site.inputs.first() {
                let axis = normalize_axis(given, table.shape.len())?;
                result.layout = match counted.layout.batch_axis() {
                    Some(batch) => counted.layout.moved(batch + axis),
                    None => counted.layout,
                };
                result.layout.scalar = counted.layout.scalar && table.shape.len() == 1;
            }
            return Ok(());
        }
    };
    let counted = value(importer, site, 0)?;
    let own = normalize_axis(given, counted.rank)?;
    let batch = counted.layout.batch_axis();
    if counted.layout.batch == Batch::Axis(own) && importer.batch == Some(1) {
        let only = indices.to_integers()?.iter().all(|i| [0, -1].contains(i));
        if only && indices.shape.is_empty() {
            // The only sample of the batch: as a single one.
            result.op = Some("Identity");
            result.inputs.truncate(1);
            result.layout = Layout { batch: Batch::Absent, ..counted.layout };
            return Ok(());
        }
    }
    let (own, axis) = counted.axis(own as i64, "it gathers along the batch axis")?;
    set(site, result, "axis", Number::One(axis));
    let added = indices.shape.len();
    result.layout = match batch {
        Some(batch) if batch > own => counted.layout.moved(batch + added - 1),
        _ => counted.layout,
    };
    result.layout.scalar = counted.sample.len() == 1 && added == 0;
    if result.layout.scalar {
        // One axis is left, of extent 1.
        result.inputs[1] = list(indices.to_integers()?);
    }
    Ok(())
}

pub(super) fn slice(
    importer: &mut Importer,
    site: &Site,
    result: &mut Canonical,
) -> Result<(), Fault> {
    let counted = value(importer, site, 0)?;
    let old = site.opset < 10;
    let read = |name: &str, index: usize| match old {
        true => {
            let list = site.attributes.ints(name)?;
            Ok(list.map(|list| list.iter().map(|&n| Extent::Known(n)).collect()))
        }
        false => match site.optional(index, name)? {
            Some(constant) => constant.to_extents().map(|list| Some(list.to_vec())),
            None => Ok(None),
        },
    };
    let missing = || Refusal::invalid("its starts or ends are missing");
    let starts: Vec<Extent> = read("starts", 1)?.ok_or_else(missing)?;
    let ends = read("ends", 2)?.ok_or_else(missing)?;
    let count = starts.len() as i64;
    let axes = read("axes", 3)?.unwrap_or_else(|| (0..count).map(Extent::Known).collect());
    let steps = if old { None } else { read("steps", 4)? };
    let steps = steps.unwrap_or_else(|| vec![Extent::Known(1); starts.len()]);
    if [ends.len(), axes.len(), steps.len()].iter().any(|&n| n != starts.len()) {
        let problem = "its starts, ends, axes and steps differ in length";
        return Err(Refusal::invalid(problem).into());
    }
    let mut kept = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
    for (i, axis) in axes.iter().enumerate() {
        let own = normalize_axis(axis.known()?, counted.rank)?;
        let step = steps[i].known()?;
        let Some(place) = counted.layout.canonical(own) else {
            // The whole batch may be chosen: exporters write the largest number that there is, or the
            // batch that they exported with.
            let enough = importer.batch.map_or(i64::from(i32::MAX) - 1, |batch| batch as i64);
            let to_the_end = match ends[i] {
                Extent::Batch(_) => true,
                Extent::Known(end) => end >= enough,
            };
            if starts[i] == Extent::Known(0) && to_the_end && step == 1 {
                continue;
            }
            return Err(Fault::Mixes("it slices the batch axis"));
        };
        let numbers = [starts[i].known()?, ends[i].known()?, place as i64, step];
        for (list, number) in kept.iter_mut().zip(numbers) {
            list.push(number);
        }
    }
    if kept[0].is_empty() {
        result.op = Some("Identity");
        result.inputs.truncate(1);
        return Ok(());
    }
    if old {
        let names = ["starts", "ends", "axes"];
        for (name, values) in names.iter().zip(kept) {
            set(site, result, name, Number::List(values));
        }
        return Ok(());
    }
    result.inputs.resize(5, None);
    for (index, values) in kept.into_iter().enumerate() {
        result.inputs[index + 1] = list(values);
    }
    Ok(())
}

pub(super) fn pad(
    importer: &mut Importer,
    site: &Site,
    result: &mut Canonical,
) -> Result<(), Fault> {
    let counted = value(importer, site, 0)?;
    let old = site.opset < 11;
    let pads = if old {
        let name = if site.opset < 2 { "paddings" } else { "pads" };
        site.attributes.ints(name)?.map(<[i64]>::to_vec)
    } else {
        Some(site.constant(1, "pads")?.to_integers()?)
    };
    let pads = pads.ok_or_else(|| Refusal::invalid("its pads are missing"))?;
    let axes = match site.optional(3, "axes")? {
        Some(axes) => axes
            .to_integers()?
            .into_iter()
            .map(|axis| normalize_axis(axis, counted.rank))
            .collect::<Result<Vec<_>, _>>()?,
        None => (0..counted.rank).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return Err(wrong_length("pads", 2 * axes.len(), pads.len()).into());
    }
    let (mut before, mut after) = (vec![0; counted.rank], vec![0; counted.rank]);
    for (i, &axis) in axes.iter().enumerate() {
        (before[axis], after[axis]) = (pads[i], pads[axes.len() + i]);
    }
    if counted.layout.batch_axis().is_some_and(|axis| [before[axis], after[axis]] != [0; 2]) {
        return Err(Fault::Mixes("it pads the batch axis"));
    }
    let pads = [counted.layout.in_front(&before, 0), counted.layout.in_front(&after, 0)].concat();
    if old {
        set(site, result, "pads", Number::List(pads));
    } else {
        result.inputs[1] = list(pads);
        result.inputs.truncate(3);
    }
    Ok(())
}

pub(super) fn expand(
    importer: &mut Importer,
    site: &Site,
    result: &mut Canonical,
) -> Result<(), Fault> {
    let counted = value(importer, site, 0)?;
    let target = site.constant(1, "shape")?;
    let target = target.to_extents()?;
    let rank = target.len().max(counted.rank);
    let from_end = counted.layout.batch_axis().map(|axis| counted.rank - axis);
    let fixed = importer.batch.map_or(1, |batch| batch as i64);
    let mut shape = vec![1];
    for (axis, extent) in target.iter().enumerate() {
        let is_batch = from_end == Some(target.len() - axis);
        match (extent, is_batch) {
            (Extent::Batch(1), true) => {}
            (Extent::Known(n), true) if *n == 1 || *n == fixed || *n == -1 => {}
            (_, true) => return Err(Fault::Mixes("it repeats the batch axis")),
            (Extent::Known(n), false) => {
                shape.push(*n);
                continue;
            }
            // A value without a batch axis is the same for every sample.
            (Extent::Batch(n), false) if counted.layout.batch == Batch::Absent => {
                shape.push(*n);
                continue;
            }
            (Extent::Batch(_), false) => {
                return Err(Fault::Mixes("it makes another axis as long as the batch"));
            }
        }
        if let Batch::Fused { .. } = counted.layout.batch {
            shape.push(1);
        }
    }
    result.layout = match from_end {
        Some(from_end) => counted.layout.moved(rank - from_end),
        None => counted.layout,
    };
    let own = usize::from(matches!(counted.layout.batch, Batch::Axis(_)));
    result.layout.scalar = rank == own;
    result.inputs[1] = list(shape);
    // The axes that it puts in front are there before.
    if let (Some(Binding::Value(id)), true) = (&site.inputs[0], rank > counted.rank) {
        let own = if counted.layout.scalar { &[][..] } else { &counted.sample };
        let shape = [&vec![1; rank - counted.rank][..], own].concat();
        check_rank(&shape)?;
        let id = importer.push_part(site, "aligned", Reshape { shape }, &[*id])?;
        result.inputs[0] = Some(Binding::Value(id));
    }
    Ok(())
}
