//! Operators that give the elements of values another shape or order.

use super::super::constants::normalize_axis;
use super::super::error::Refusal;
use super::super::growing::{Binding, Importer, Site};
use super::super::tensor::data_type;
use crate::graph::ops::{Concat, Reshape};
use crate::graph::{MAX_AXES, ValueId};

pub(super) fn identity(_importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    site.value(0)
}

/// Values are 32-bit floats here whatever float type the file gives them.
pub(super) fn cast(_importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let to = i32::try_from(site.attributes.int("to", 0)?).unwrap_or_default();
    if data_type::is_float(to) {
        return site.value(0);
    }
    Err(Refusal::new(
        format!("it casts a computed value to {}, expected a float type", data_type::name(to)),
        "export the model without rounding inside",
    ))
}

/// Refuses samples of more axes than values have, and of none.
pub(in super::super) fn check_rank(sample: &[usize]) -> Result<(), Refusal> {
    if (1..=MAX_AXES).contains(&sample.len()) {
        return Ok(());
    }
    Err(Refusal::new(
        format!("expected samples of 1 to {MAX_AXES} axes besides the batch, found {sample:?}"),
        "export the model with samples of as many axes",
    ))
}

/// The refusal of what does not leave the batch alone.
pub(super) fn moves_batch(what: String) -> Refusal {
    Refusal::new(
        format!("{what}, expected the batch to stay an axis of its own"),
        "export the model so that every sample is computed on its own",
    )
    .across_batch()
}

pub(super) fn concat(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let value = site.inputs.iter().flatten().find_map(|binding| match binding {
        Binding::Value(id) => Some(*id),
        _ => None,
    });
    let Some(value) = value else {
        return Err(Refusal::invalid("expected a computed value among the inputs"));
    };
    let rank = importer.shape(value).len() + 1;
    let mut inputs = Vec::with_capacity(site.inputs.len());
    for binding in site.inputs.iter().flatten() {
        match binding {
            Binding::Value(id) => inputs.push(*id),
            Binding::Constant(constant) if constant.len() == 0 => {}
            Binding::Constant(constant) if constant.shape.len() == rank => {
                inputs.push(importer.push_constant(site, constant, rank - 1)?);
            }
            Binding::Constant(constant) => {
                return Err(Refusal::invalid(format!(
                    "a constant of shape {:?} cannot be joined with values of {rank} axes",
                    constant.shape
                )));
            }
            Binding::Unknown => return Err(Refusal::invalid("an input is unknown")),
        }
    }
    let axis = normalize_axis(site.attributes.int("axis", 1)?, rank)?;
    let Some(axis) = axis.checked_sub(1) else {
        return Err(moves_batch("it joins values along the batch axis".into()));
    };
    let shape = importer.shape(inputs[0]).to_vec();
    if shape.len() <= 3 {
        return importer.push(site, Concat { axis }, &inputs);
    }
    // As values of three axes: those before, the one that grows, and those behind.
    let mut joined = shape;
    joined[axis] = 0;
    for input in &mut inputs {
        let shape = importer.shape(*input).to_vec();
        let fits = shape.len() == joined.len()
            && (0..shape.len()).all(|i| i == axis || shape[i] == joined[i]);
        if !fits {
            let problem = format!("samples of {shape:?} are joined along axis {}", axis + 1);
            return Err(Refusal::invalid(problem));
        }
        joined[axis] += shape[axis];
        let [before, after] = [&shape[..axis], &shape[axis + 1..]].map(|s| s.iter().product());
        let flat = Reshape { shape: vec![before, shape[axis], after] };
        *input = importer.push_part(site, "flat", flat, &[*input])?;
    }
    let whole = importer.push_part(site, "joined", Concat { axis: 1 }, &inputs)?;
    importer.push(site, Reshape { shape: joined }, &[whole])
}
