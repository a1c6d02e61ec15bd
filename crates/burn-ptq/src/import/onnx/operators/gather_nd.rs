//! `GatherND` by constant indices: every list of indices chooses an element, or what lies behind it.

use super::super::constants::{Constant, Elements, normalize_axis};
use super::super::error::Refusal;
use super::super::growing::{Importer, Site};
use super::super::layout::{Batch, Layout};
use super::movement::check_result;
use super::shape::{check_rank, moves_batch};
use crate::graph::ops::{Rearrange, Reshape};
use crate::graph::{ValueId, strides};

/// PyTorch's exporter writes indexing so, between transpositions that bring the indexed axes to the front.
pub(super) fn gather_nd(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let (input, layout) = (site.value(0)?, site.layout(0));
    let sample = importer.shape(input).to_vec();
    let indices = site.constant(1, "indices")?;
    let Some((&depth, lists)) = indices.shape.split_last() else {
        return Err(Refusal::invalid("its indices have no axes"));
    };
    let (lists, layout) = match site.attributes.int("batch_dims", 0)? {
        0 => (lists, layout),
        // The same lists for the only sample there is.
        1 if layout.batch == Batch::Axis(0) && !layout.scalar && lists.first() == Some(&1) => {
            (&lists[1..], Layout::ABSENT)
        }
        other => {
            return Err(Refusal::new(
                format!("batch_dims is {other}: its indices differ from sample to sample"),
                "export the model with the same indices for every sample (batch_dims = 0)",
            ));
        }
    };
    if depth == 0 || depth > layout.rank(&sample) || layout.scalar {
        return Err(Refusal::invalid(format!(
            "lists of {depth} indices do not fit samples of {sample:?}"
        )));
    }
    if layout.batch_axis().is_some_and(|batch| batch < depth) {
        return Err(moves_batch("it gathers along the batch axis".into()));
    }
    let behind = &sample[depth..];
    let shape = [lists, behind].concat();
    check_result(&sample, &shape)?;
    let steps = strides(&sample);
    let places = numbers(&indices)?
        .chunks(depth)
        .map(|list| {
            let place = |(axis, &index): (usize, &i64)| {
                normalize_axis(index, sample[axis]).map(|index| index * steps[axis])
            };
            list.iter().enumerate().map(place).sum()
        })
        .collect::<Result<Vec<usize>, Refusal>>()?;
    let along = |(axis, &extent): (usize, &usize)| {
        (0..extent).map(|index| index * steps[depth + axis]).collect()
    };
    let others: Vec<Vec<usize>> = behind.iter().enumerate().map(along).collect();
    let op = Rearrange {
        name: "GatherND",
        input: sample.clone(),
        places: [vec![places], others].concat(),
    };
    let batch = match (site.layout(0).batch, layout.batch) {
        (own, Batch::Absent) => own,
        // The lists' axes are in place of those that they index.
        (_, Batch::Axis(axis)) => Batch::Axis(axis - depth + lists.len()),
        (_, Batch::Fused { axis, inner }) => {
            Batch::Fused { axis: axis - depth + lists.len(), inner }
        }
    };
    let scalar = shape.is_empty();
    importer.placed = Some(Layout { batch, scalar });
    if lists.len() == 1 || scalar {
        return importer.push(site, op, &[input]);
    }
    check_rank(&shape)?;
    let gathered = importer.push_part(site, "gathered", op, &[input])?;
    importer.push(site, Reshape { shape }, &[gathered])
}

/// All indices: those of an image are more than a list that a shape is made of.
fn numbers(indices: &Constant) -> Result<Vec<i64>, Refusal> {
    match &indices.elements {
        Elements::Integer(data) => data.iter().map(|index| index.known()).collect(),
        Elements::Float(_) => Err(Refusal::invalid("expected integer indices, found floats")),
    }
}
