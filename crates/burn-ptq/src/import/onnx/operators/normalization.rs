//! Batch normalization, softmax and dropout.

use super::super::constants::normalize_axis;
use super::super::error::Refusal;
use super::super::growing::{Importer, Site};
use super::activation::finite;
use crate::graph::ops::{LogSoftmax, Reshape, Softmax};
use crate::graph::{BatchNormStatistics, Op, ValueId, dims3};

pub(super) fn batch_normalization(
    importer: &mut Importer,
    site: &Site,
) -> Result<ValueId, Refusal> {
    let input = site.value(0)?;
    // Before opset 14 the statistics as further outputs asked for training.
    let is_old_training = site.opset < 14 && site.outputs > 1;
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
