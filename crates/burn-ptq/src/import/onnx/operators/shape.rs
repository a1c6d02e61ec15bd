//! Operators that give the elements of values another shape or order.

use super::super::constants::{Extent, normalize_axis, permute_axes, unsqueezed};
use super::super::error::Refusal;
use super::super::growing::{Binding, Importer, Site, check_elements};
use super::super::tensor::data_type;
use crate::graph::ops::{Concat, Permute, Rearrange, Reshape};
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

/// A reshape of each sample; nothing is appended where the shape stays.
fn push_reshape(
    importer: &mut Importer,
    site: &Site,
    input: ValueId,
    shape: Vec<usize>,
) -> Result<ValueId, Refusal> {
    if importer.shape(input) == shape {
        return Ok(input);
    }
    check_rank(&shape)?;
    check_elements(&shape)?;
    importer.push(site, Reshape { shape }, &[input])
}

/// Refuses samples of more axes than values have, and of none.
pub(super) fn check_rank(sample: &[usize]) -> Result<(), Refusal> {
    if (1..=MAX_AXES).contains(&sample.len()) {
        return Ok(());
    }
    Err(Refusal::new(
        format!("expected samples of 1 to {MAX_AXES} axes besides the batch, found {sample:?}"),
        "export the model with samples of as many axes",
    ))
}

/// The refusal of what does not leave the batch alone in front.
pub(super) fn moves_batch(what: String) -> Refusal {
    Refusal::new(
        format!("{what}, expected the batch to stay the first axis, alone"),
        "export the model so that every sample is computed on its own",
    )
}

pub(super) fn flatten(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let input = site.value(0)?;
    let sample = importer.shape(input).to_vec();
    let rank = sample.len() + 1;
    let axis = site.attributes.int("axis", 1)?;
    let axis = if axis == rank as i64 { rank } else { normalize_axis(axis, rank)? };
    // The axes in front join the batch, which only extents of 1 may.
    if axis == 0 || sample[..axis - 1].iter().any(|&d| d != 1) {
        return Err(moves_batch(format!("it flattens samples of {sample:?} at axis {axis}")));
    }
    push_reshape(importer, site, input, vec![sample.iter().product()])
}

pub(super) fn reshape(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let input = site.value(0)?;
    let sample = importer.shape(input).to_vec();
    let target = site.constant(1, "shape")?;
    let target = target.to_extents()?;
    if !(2..=MAX_AXES + 1).contains(&target.len()) {
        let (most, found) = (MAX_AXES + 1, target.len());
        return Err(Refusal::new(
            format!("expected a target shape of 2 to {most} extents, found {found}"),
            format!("export the model with samples of 1 to {MAX_AXES} axes besides the batch"),
        ));
    }
    let shown: Vec<String> = target
        .iter()
        .map(|e| match e {
            Extent::Known(value) => value.to_string(),
            Extent::Batch => "batch".into(),
        })
        .collect();
    let shown = format!("samples of {sample:?} to [{}]", shown.join(", "));
    let refused = || {
        Refusal::new(
            format!("cannot reshape {shown}, with the batch in front"),
            "the first extent must be the batch (0, -1 or the exported batch), the others must \
             hold one sample",
        )
    };
    let keep_zeros = site.attributes.flag("allowzero", false)?;
    let (Some(first), rest) = (target.first(), target.get(1..).unwrap_or_default()) else {
        return Err(refused());
    };
    let elements: usize = sample.iter().product();
    let mut shape = Vec::with_capacity(rest.len());
    let mut inferred = None;
    for (i, extent) in rest.iter().enumerate() {
        shape.push(match extent {
            Extent::Known(0) if !keep_zeros => *sample.get(i).ok_or_else(refused)?,
            Extent::Known(-1) if inferred.replace(i).is_none() => 1,
            Extent::Known(value) => usize::try_from(*value).map_err(|_| refused())?,
            Extent::Batch => return Err(moves_batch(format!("it reshapes {shown}"))),
        });
    }
    check_elements(&shape)?;
    if let Some(axis) = inferred {
        shape[axis] = elements.checked_div(shape.iter().product()).ok_or_else(refused)?;
    }
    let keeps_batch = match first {
        Extent::Batch => true,
        Extent::Known(0) => !keep_zeros,
        Extent::Known(-1) => inferred.is_none(),
        // A fixed number stands for the batch that the model was exported with, which is 1 where the
        // input leaves it open.
        Extent::Known(value) => {
            usize::try_from(*value).is_ok_and(|v| v == importer.batch.unwrap_or(1))
        }
    };
    if !keeps_batch || shape.iter().product::<usize>() != elements {
        return Err(refused());
    }
    push_reshape(importer, site, input, shape)
}

pub(super) fn squeeze(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let input = site.value(0)?;
    let sample = importer.shape(input).to_vec();
    let rank = sample.len() + 1;
    let axes: Vec<usize> = match site.integers("axes", 1)? {
        Some(axes) => axes.iter().map(|&a| normalize_axis(a, rank)).collect::<Result<_, _>>()?,
        None if importer.batch == Some(1) => return squeeze_all(importer, site, input),
        None => (1..rank).filter(|&a| sample[a - 1] == 1).collect(),
    };
    if axes.contains(&0) {
        return Err(moves_batch("it drops the batch axis".into()));
    }
    if let Some(axis) = axes.iter().find(|&&a| sample[a - 1] != 1) {
        return Err(Refusal::invalid(format!("axis {axis} of samples of {sample:?} is not 1")));
    }
    let kept = (1..rank).filter(|a| !axes.contains(a));
    push_reshape(importer, site, input, kept.map(|a| sample[a - 1]).collect())
}

/// Without axes, and with a batch of 1 in the file, the batch axis goes too.
fn squeeze_all(importer: &mut Importer, site: &Site, input: ValueId) -> Result<ValueId, Refusal> {
    let kept = importer.shape(input).iter().copied().filter(|&extent| extent != 1);
    let shape: Vec<usize> = kept.collect();
    check_rank(&shape)?;
    // A value of its own, since the input keeps its batch axis for other nodes.
    let squeezed = importer.push(site, Reshape { shape }, &[input])?;
    importer.drop_batch(squeezed);
    Ok(squeezed)
}

pub(super) fn unsqueeze(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let input = site.value(0)?;
    let axes = site.integers("axes", 1)?.ok_or_else(|| Refusal::invalid("its axes are missing"))?;
    let rank = importer.shape(input).len() + 1 + axes.len();
    if axes.iter().any(|&a| normalize_axis(a, rank).is_ok_and(|a| a == 0)) {
        return Err(moves_batch("it puts an axis in front of the batch".into()));
    }
    // A 0 stands for the batch, which no other extent is.
    let with_batch = [&[0], importer.shape(input)].concat();
    let shape = unsqueezed(&with_batch, &axes)?[1..].to_vec();
    push_reshape(importer, site, input, shape)
}

pub(super) fn transpose(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let input = site.value(0)?;
    let rank = importer.shape(input).len() + 1;
    let axes = permute_axes(site.attributes.ints("perm")?, rank)?;
    if axes[0] != 0 {
        return Err(moves_batch(format!("its permutation {axes:?} moves the batch axis")));
    }
    let axes: Vec<usize> = axes[1..].iter().map(|a| a - 1).collect();
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

pub(super) fn concat(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let mut inputs = Vec::with_capacity(site.inputs.len());
    for binding in &site.inputs {
        match binding {
            Some(Binding::Value(id)) => inputs.push(*id),
            _ => {
                return Err(Refusal::new(
                    "it joins constants with computed values",
                    "append the constants outside of the model",
                ));
            }
        }
    }
    let rank = importer.shape(inputs[0]).len() + 1;
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
