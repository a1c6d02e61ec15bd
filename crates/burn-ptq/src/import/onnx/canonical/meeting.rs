//! Operators of several inputs whose axes meet, and those that want the batch in front.

use std::rc::Rc;

use super::super::constants::{Constant, Elements};
use super::super::error::Refusal;
use super::super::growing::{Binding, Importer, Site};
use super::super::layout::{Batch, Layout};
use super::{Canonical, Counted, Fault, Number, set, without_axis};

/// Where the last axes of several inputs meet, with the batch of those that have one at the same
/// distance from the last axis.
pub(super) fn broadcast(
    importer: &mut Importer,
    site: &Site,
    result: &mut Canonical,
) -> Result<(), Fault> {
    let values: Vec<Option<Counted>> =
        (0..site.inputs.len()).map(|index| Counted::of(importer, site, index)).collect();
    let rank_of = |index: usize| match (&site.inputs[index], &values[index]) {
        (_, Some(counted)) => counted.rank,
        (Some(Binding::Constant(constant)), _) => constant.shape.len(),
        _ => 0,
    };
    let rank = (0..site.inputs.len()).map(rank_of).max().unwrap_or(0);
    let batched = values.iter().flatten().find(|counted| counted.layout.batch != Batch::Absent);
    let Some(batched) = batched else {
        result.layout = Layout { batch: Batch::Absent, scalar: rank == 0 };
        return Ok(());
    };
    let from_end = batched.rank - batched.layout.batch_axis().unwrap_or(0);
    let fused = matches!(batched.layout.batch, Batch::Fused { .. });
    let same = |counted: &Counted| {
        let place = counted.layout.batch_axis().map(|axis| counted.rank - axis);
        place == Some(from_end) && counted.layout.moved(0).batch == batched.layout.moved(0).batch
    };
    let meets = "the batch of one value meets another axis of the other";
    for (index, counted) in values.iter().enumerate() {
        let rank = rank_of(index);
        match (&site.inputs[index], counted) {
            (_, Some(counted)) if counted.layout.batch != Batch::Absent && !same(counted) => {
                return Err(Fault::Mixes(meets));
            }
            (_, Some(counted)) if counted.layout.batch != Batch::Absent => {}
            (Some(Binding::Value(id)), Some(counted)) if rank >= from_end => {
                let axis = rank - from_end;
                if counted.sample[axis] != 1 {
                    return Err(Fault::Mixes(meets));
                }
                if !fused {
                    let id = without_axis(importer, site, index, *id, axis)?;
                    result.inputs[index] = Some(Binding::Value(id));
                }
            }
            (Some(Binding::Constant(constant)), _) if rank >= from_end => {
                let axis = rank - from_end;
                if constant.shape[axis] != 1 {
                    return Err(Fault::Mixes(
                        "a constant differs from sample to sample of a batch",
                    ));
                }
                if !fused {
                    let mut shape = constant.shape.clone();
                    shape.remove(axis);
                    let elements = constant.elements.clone();
                    let constant = Constant { shape, elements };
                    result.inputs[index] = Some(Binding::Constant(Rc::new(constant)));
                }
            }
            _ => {}
        }
    }
    let own = rank - usize::from(!fused);
    result.layout = Layout { scalar: own == 0, ..batched.layout.moved(rank - from_end) };
    Ok(())
}

pub(super) fn matmul(
    importer: &mut Importer,
    site: &Site,
    result: &mut Canonical,
) -> Result<(), Fault> {
    let (a, b) = site.pair()?;
    let values = [0, 1].map(|index| Counted::of(importer, site, index));
    let rank = |binding: &Binding, counted: &Option<Counted>| match (binding, counted) {
        (_, Some(counted)) => counted.rank,
        (Binding::Constant(constant), _) => constant.shape.len(),
        _ => 0,
    };
    let ranks = [rank(a, &values[0]), rank(b, &values[1])];
    if ranks.contains(&0) {
        return Err(Refusal::invalid("a matrix product of scalars is not defined").into());
    }
    let out = match ranks {
        [1, 1] => 0,
        [1, rank] | [rank, 1] => rank - 1,
        [a, b] => a.max(b),
    };
    let place = |index: usize| {
        let counted = values[index].as_ref()?;
        counted.layout.batch_axis().map(|axis| ranks[index] - axis)
    };
    let contracts = Fault::Mixes("it contracts over the batch axis");
    let layout_of = |index: usize| values[index].as_ref().map_or(Layout::ABSENT, |c| c.layout);
    let (index, from_end) = match [place(0), place(1)] {
        [None, None] => {
            result.layout = Layout { batch: Batch::Absent, scalar: out == 0 };
            return Ok(());
        }
        [Some(1), _] | [_, Some(2)] => return Err(contracts),
        [Some(first), Some(second)] => {
            let alike = layout_of(0).moved(0) == layout_of(1).moved(0);
            if first != second || first < 3 || !alike {
                return Err(Fault::Mixes("the batch of one value meets another axis of the other"));
            }
            result.layout = layout_of(0).moved(out - first);
            return Ok(());
        }
        [Some(first), None] => (0, first),
        [None, Some(second)] => (1, second),
    };
    let layout = layout_of(index);
    let fused = matches!(layout.batch, Batch::Fused { .. });
    let other = 1 - index;
    if (index, from_end) == (1, 1) {
        // W X with the samples as columns: the samples are rows of the transposes' product.
        if let (Binding::Constant(weight), 2, 2, false) = (a, ranks[0], ranks[1], fused) {
            let turned = transposed(weight)?;
            result.inputs = vec![site.inputs[1].clone(), Some(Binding::Constant(Rc::new(turned)))];
            result.layout = Layout::axis(1);
            return Ok(());
        }
        return Err(Fault::Mixes("the samples of a batch are the columns of a matrix"));
    }
    if from_end == 2 && ranks[other] > 2 && !fused {
        return Err(Fault::Mixes("the samples of a batch are the rows of several matrices"));
    }
    if from_end >= 3 && ranks[other] >= from_end {
        let axis = ranks[other] - from_end;
        match &site.inputs[other] {
            Some(Binding::Constant(constant)) if constant.shape[axis] == 1 && !fused => {
                let mut shape = constant.shape.clone();
                shape.remove(axis);
                let constant = Constant { shape, elements: constant.elements.clone() };
                result.inputs[other] = Some(Binding::Constant(Rc::new(constant)));
            }
            Some(Binding::Constant(constant)) if constant.shape[axis] == 1 => {}
            Some(Binding::Value(id)) if !fused => {
                let id = without_axis(importer, site, other, *id, axis)?;
                result.inputs[other] = Some(Binding::Value(id));
            }
            _ => return Err(Fault::Mixes("it multiplies every sample by a matrix of its own")),
        }
    }
    // A vector on the right drops the last axis, one on the left the one before it.
    let axis = match (ranks[other], index) {
        (1, 0) => ranks[0] - from_end,
        (1, _) => ranks[1] - from_end,
        _ => out - from_end,
    };
    let own = out - usize::from(!fused);
    result.layout = Layout { scalar: own == 0, ..layout.moved(axis) };
    Ok(())
}

fn transposed(weight: &Constant) -> Result<Constant, Refusal> {
    let [rows, columns] = weight.shape[..] else {
        return Err(Refusal::invalid("expected a matrix"));
    };
    let data = weight.to_floats()?;
    let element = |i: usize| data[(i % rows) * columns + i / rows];
    let elements = Elements::Float((0..data.len()).map(element).collect());
    Ok(Constant { shape: vec![columns, rows], elements })
}

pub(super) fn gemm(
    importer: &mut Importer,
    site: &Site,
    result: &mut Canonical,
) -> Result<(), Fault> {
    let Some(counted) = Counted::of(importer, site, 0) else {
        // Its translation says what it wants.
        return Ok(());
    };
    if counted.rank != 2 {
        let problem = format!("expected samples of one axis, found {:?}", counted.sample);
        return Err(Refusal::invalid(problem).into());
    }
    let turned = site.attributes.flag("transA", false)?;
    let rows = usize::from(turned);
    match counted.layout.batch {
        Batch::Absent => {}
        Batch::Axis(axis) if axis == rows => {
            set(site, result, "transA", Number::One(0));
            result.layout = Layout::FIRST;
        }
        Batch::Fused { axis: 0, .. } if !turned => {}
        _ => return Err(Fault::Mixes("it contracts over the batch axis")),
    }
    Ok(())
}

pub(super) fn batch_first(
    importer: &mut Importer,
    site: &Site,
    result: &mut Canonical,
) -> Result<(), Fault> {
    for index in 0..site.inputs.len() {
        let Some(Binding::Value(id)) = site.inputs[index] else { continue };
        let layout = site.layouts[index];
        match layout.batch {
            Batch::Axis(0) if !layout.scalar => {}
            Batch::Absent if importer.batch == Some(1) => {
                let shape = importer.shape(id);
                if shape.first() != Some(&1) || shape.len() < 2 {
                    return Err(no_batch().into());
                }
                let id = without_axis(importer, site, index, id, 0)?;
                result.inputs[index] = Some(Binding::Value(id));
            }
            Batch::Absent => return Err(no_batch().into()),
            _ => return Err(Fault::Mixes("the batch is not the first axis of its input")),
        }
    }
    result.layout = Layout::FIRST;
    Ok(())
}

fn no_batch() -> Refusal {
    Refusal::new(
        "its input has no batch axis",
        "export the model with a batch as the first axis of its input, and without dropping it \
         (`x.squeeze()` drops every axis of extent 1: give it the axis)",
    )
    .across_batch()
}
