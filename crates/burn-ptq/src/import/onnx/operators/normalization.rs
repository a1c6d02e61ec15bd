//! Normalizations, softmax and dropout.

use super::super::constants::{Constant, normalize_axis};
use super::super::error::Refusal;
use super::super::growing::{Importer, Site};
use super::activation::finite;
use super::reduce::sample_axis;
use crate::graph::ops::{
    Binary, BinaryFunction, LogSoftmax, Normalize, NormalizeBy, Reduce, ReduceFunction, Reshape,
    Softmax, Unary, UnaryFunction,
};
use crate::graph::{Array, BatchNormStatistics, Op, ValueId, dims3};

pub(super) fn batch_normalization(
    importer: &mut Importer,
    site: &Site,
) -> Result<ValueId, Refusal> {
    let input = site.value(0)?;
    // Before opset 14 the statistics as further outputs asked for training.
    let is_old_training =
        site.opset < 14 && site.outputs.iter().filter(|name| !name.is_empty()).count() > 1;
    if is_old_training || site.attributes.flag("training_mode", false)? {
        return Err(training());
    }
    if site.opset < 9 && !site.attributes.flag("spatial", true)? {
        return Err(Refusal::new(
            "spatial = 0 normalizes every element on its own, expected every channel",
            "export the model with spatial = 1",
        ));
    }
    let epsilon = finite(site, "epsilon", 1e-5)?;
    let [channels, ..] = dims3(importer.shape(input));
    let mut parameter = |index, what| {
        let array = importer.array(&*site.constant(index, what)?)?;
        if array.shape != [channels] {
            return Err(Refusal::invalid(format!(
                "expected a {what} of [{channels}], found {:?}",
                array.shape
            )));
        }
        Ok(array.data)
    };
    let statistics = BatchNormStatistics {
        name: site.name.clone(),
        gamma: parameter(1, "scale")?,
        beta: parameter(2, "bias")?,
        mean: parameter(3, "mean")?,
        variance: parameter(4, "variance")?,
        epsilon,
    };
    if statistics.variance.iter().any(|v| f64::from(*v) + f64::from(epsilon) <= 0.0) {
        return Err(Refusal::new(
            "a variance plus epsilon is not positive",
            "train or export the model again",
        ));
    }
    importer.push_batch_norm(site, statistics, input)
}

fn training() -> Refusal {
    Refusal::new("it is in training mode", "export the model for inference (model.eval())")
}

/// Dropout does nothing at inference.
pub(super) fn dropout(_importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    if let Some(mode) = site.optional(2, "training mode")?
        && mode.to_scalar()? != 0.0
    {
        return Err(training());
    }
    site.value(0)
}

pub(super) fn softmax(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    along_axis(importer, site, |axis| Softmax { axis }.into())
}

pub(super) fn log_softmax(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    along_axis(importer, site, |axis| LogSoftmax { axis }.into())
}

fn along_axis(
    importer: &mut Importer,
    site: &Site,
    op: impl Fn(usize) -> Op,
) -> Result<ValueId, Refusal> {
    let input = site.value(0)?;
    let sample = importer.shape(input).to_vec();
    let default = if site.opset < 13 { 1 } else { -1 };
    let axis = normalize_axis(site.attributes.int("axis", default)?, sample.len() + 1)?;
    let Some(axis) = axis.checked_sub(1) else {
        return Err(Refusal::new(
            "it normalizes over the batch axis",
            "export the model with the axis of the classes",
        ));
    };
    let flattened: usize = sample[axis..].iter().product();
    if site.opset >= 13 || flattened == sample[axis] {
        return importer.push(site, op(axis), &[input]);
    }
    // Before opset 13 the axes from `axis` on were normalized together.
    let shape = [&sample[..axis], &[flattened]].concat();
    let flat = importer.push_part(site, "flattened", Reshape { shape }, &[input])?;
    let normalized = importer.push_part(site, "normalized", op(axis), &[flat])?;
    importer.push(site, Reshape { shape: sample }, &[normalized])
}

/// Mean and variance over the last axes.
pub(super) fn layer(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    over_last_axes(importer, site, NormalizeBy::Deviation)
}

/// Root mean square over the last axes.
pub(super) fn root_mean_square(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    over_last_axes(importer, site, NormalizeBy::RootMeanSquare)
}

fn over_last_axes(
    importer: &mut Importer,
    site: &Site,
    by: NormalizeBy,
) -> Result<ValueId, Refusal> {
    let input = site.value(0)?;
    let axes = match site.attributes.ints("axes")? {
        Some(axes) => sample_axes(importer, input, axes)?,
        None => {
            let first = sample_axis(importer, input, site.attributes.int("axis", -1)?)?;
            (first.ok_or_else(over_batch)?..importer.shape(input).len()).collect()
        }
    };
    let epsilon = finite(site, "epsilon", 1e-5)?;
    let mut parameter = |index, what| match site.optional(index, what)? {
        Some(constant) => aligned(importer, input, &constant).map(Some),
        None => Ok(None),
    };
    let (scale, shift) = (parameter(1, "scale")?, parameter(2, "bias")?);
    push_normalize(importer, site, input, by, axes, 1, epsilon, [scale, shift])
}

/// Mean and variance of each channel.
pub(super) fn instance(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let input = site.value(0)?;
    let sample = importer.shape(input).to_vec();
    if sample.len() < 2 {
        return Err(Refusal::new(
            format!("samples of {sample:?} have no axes behind the channels to normalize"),
            "use LayerNormalization for vectors",
        ));
    }
    let axes = (1..sample.len()).collect();
    channels(importer, site, input, axes, 1)
}

/// Mean and variance of groups of channels. Its scales and shifts are one a group before opset 21, one
/// a channel since.
pub(super) fn group(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let input = site.value(0)?;
    let sample = importer.shape(input).to_vec();
    let groups = usize::try_from(site.attributes.int("num_groups", 0)?).unwrap_or(0);
    if groups == 0 || !sample[0].is_multiple_of(groups) {
        return Err(Refusal::invalid(format!(
            "expected groups that divide {} channels, found num_groups = {groups}",
            sample[0]
        )));
    }
    channels(importer, site, input, (0..sample.len()).collect(), groups)
}

/// A normalization with a scale and a shift for each channel, or each of `parts` of the channels.
fn channels(
    importer: &mut Importer,
    site: &Site,
    input: ValueId,
    axes: Vec<usize>,
    parts: usize,
) -> Result<ValueId, Refusal> {
    let sample = importer.shape(input).to_vec();
    let epsilon = finite(site, "epsilon", 1e-5)?;
    let mut parameter = |index, what| {
        let array = importer.array(&*site.constant(index, what)?)?;
        let channels = sample[0];
        let fits = array.shape.len() == 1 && [channels, parts].contains(&array.len());
        if !fits || (array.len() == 1 && channels != 1 && parts != 1) {
            return Err(Refusal::invalid(format!(
                "expected a {what} of [{channels}], found {:?}",
                array.shape
            )));
        }
        let repeats = channels / array.len();
        let data = array.data.iter().flat_map(|&x| std::iter::repeat_n(x, repeats)).collect();
        let mut shape = vec![1; sample.len()];
        shape[0] = channels;
        Ok(Some(Array::new(shape, data)))
    };
    let (scale, shift) = (parameter(1, "scale")?, parameter(2, "bias")?);
    push_normalize(
        importer,
        site,
        input,
        NormalizeBy::Deviation,
        axes,
        parts,
        epsilon,
        [scale, shift],
    )
}

/// Division by the root of the sum of squares along an axis.
pub(super) fn lp(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let input = site.value(0)?;
    let p = site.attributes.int("p", 2)?;
    let axes = match site.attributes.ints("axes")? {
        Some(axes) => sample_axes(importer, input, axes)?,
        None => sample_axes(importer, input, &[site.attributes.int("axis", -1)?])?,
    };
    let epsilon = finite(site, "epsilon", 0.0)?;
    let elements: usize = axes.iter().map(|&axis| importer.shape(input)[axis]).product();
    if elements == 1 && epsilon == 0.0 {
        return importer.push(site, Unary { function: UnaryFunction::Sign }, &[input]);
    }
    match p {
        1 => {
            let sum = Reduce { function: ReduceFunction::L1, axes, elements };
            let sum = importer.push_part(site, "sum", sum, &[input])?;
            importer.push(site, Binary { function: BinaryFunction::Div }, &[input, sum])
        }
        2 => {
            push_normalize(importer, site, input, NormalizeBy::Norm, axes, 1, epsilon, [None, None])
        }
        _ => Err(Refusal::invalid(format!("expected p = 1 or 2, found {p}"))),
    }
}

/// Mean and variance over given axes.
pub(super) fn mean_variance(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let input = site.value(0)?;
    let axes = site.attributes.ints("axes")?.unwrap_or(&[0, 2, 3]);
    let found = sample_axes(importer, input, axes)?;
    // The standard's own epsilon, 1e-9 beside a deviation, is below what floats resolve.
    let epsilon = finite(site, "epsilon", 0.0)?;
    push_normalize(importer, site, input, NormalizeBy::Deviation, found, 1, epsilon, [None, None])
}

/// Axes of a sample, ascending.
fn sample_axes(importer: &Importer, input: ValueId, axes: &[i64]) -> Result<Vec<usize>, Refusal> {
    let mut found = Vec::with_capacity(axes.len());
    for &axis in axes {
        found.push(sample_axis(importer, input, axis)?.ok_or_else(over_batch)?);
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn over_batch() -> Refusal {
    Refusal::new(
        "it normalizes over the batch axis",
        "export the model with a normalization of the axes behind the batch",
    )
}

/// A constant that broadcasts to samples of `input`, with as many axes as they have.
pub(super) fn aligned(
    importer: &mut Importer,
    input: ValueId,
    constant: &Constant,
) -> Result<Array, Refusal> {
    let Array { mut shape, data } = importer.array(constant)?;
    let sample = importer.shape(input);
    while shape.len() > sample.len() && shape[0] == 1 {
        shape.remove(0);
    }
    while shape.len() < sample.len() {
        shape.insert(0, 1);
    }
    let meets = shape.len() == sample.len()
        && shape.iter().zip(sample).all(|(&own, &extent)| own == 1 || own == extent);
    if !meets {
        return Err(Refusal::invalid(format!(
            "a constant of shape {:?} does not meet samples of {sample:?}",
            constant.shape
        )));
    }
    Ok(Array::new(shape, data))
}

/// Appends a normalization; scales of one and shifts of zero are left out.
#[allow(clippy::too_many_arguments)]
fn push_normalize(
    importer: &mut Importer,
    site: &Site,
    input: ValueId,
    by: NormalizeBy,
    axes: Vec<usize>,
    parts: usize,
    epsilon: f32,
    [scale, shift]: [Option<Array>; 2],
) -> Result<ValueId, Refusal> {
    if epsilon < 0.0 {
        return Err(Refusal::invalid(format!(
            "expected an epsilon of at least 0, found {epsilon}"
        )));
    }
    let sample = importer.shape(input).to_vec();
    if sample.len() > 3 {
        return Err(Refusal::new(
            format!("it normalizes samples of {sample:?}, expected at most three axes"),
            "reshape the samples to three axes before it",
        ));
    }
    let all = |array: &Array, value: f32| array.data.iter().all(|&x| x == value);
    let mut scale = scale.filter(|scale| !all(scale, 1.0));
    let mut shift = shift.filter(|shift| !all(shift, 0.0));
    // Both have one shape.
    let shapes = [&scale, &shift].map(|array| array.as_ref().map(|array| array.shape.clone()));
    if let [Some(a), Some(b)] = &shapes
        && a != b
    {
        let shape: Vec<usize> = a.iter().zip(b).map(|(a, b)| *a.max(b)).collect();
        importer.budget.allocate(&shape, 2 * size_of::<f32>())?;
        scale = scale.map(|array| expanded(&array, &shape));
        shift = shift.map(|array| expanded(&array, &shape));
    }
    let elements = axes.iter().map(|&axis| sample[axis]).product::<usize>() / parts;
    let op = Normalize { by, axes, parts, epsilon, elements, scale, shift };
    importer.push(site, op, &[input])
}

/// An array of one to three axes, repeated along those of extent 1.
fn expanded(array: &Array, shape: &[usize]) -> Array {
    let (from, to) = (dims3(&array.shape), dims3(shape));
    let mut data = Vec::with_capacity(shape.iter().product());
    for i in 0..to[0] {
        for j in 0..to[1] {
            for k in 0..to[2] {
                let at = |axis: usize, index: usize| if from[axis] == 1 { 0 } else { index };
                data.push(array.data[(at(0, i) * from[1] + at(1, j)) * from[2] + at(2, k)]);
            }
        }
    }
    Array::new(shape, data)
}
