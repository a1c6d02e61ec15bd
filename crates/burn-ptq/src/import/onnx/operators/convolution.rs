//! Convolution.

use super::super::error::Refusal;
use super::super::growing::{Importer, Site};
use super::window;
use crate::graph::ops::Conv2d;
use crate::graph::{Array, ValueId};

pub(super) fn conv(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let input = site.value(0)?;
    let sample = importer.shape(input).to_vec();
    let rank = window::spatial_extents(&sample)?.len();
    let mut weight = importer.array(&*site.constant(1, "weight")?)?;
    if weight.shape.len() != rank + 2 || weight.is_empty() {
        return Err(Refusal::new(
            format!(
                "expected a weight of {} axes for samples of {sample:?}, found {:?}",
                rank + 2,
                weight.shape
            ),
            "check the input's rank; convolutions over three axes are not supported",
        ));
    }
    let kernel = weight.shape[2..].to_vec();
    let declared = window::spatial_attribute(site, "kernel_shape", rank, 1)?;
    if declared.is_some_and(|d| d != kernel) {
        return Err(Refusal::invalid(format!(
            "attribute 'kernel_shape' contradicts the weight of shape {:?}",
            weight.shape
        )));
    }
    let bias = match site.optional(2, "bias")? {
        Some(bias) => importer.array(&bias)?,
        None => Array::full([weight.shape[0]], 0.0),
    };
    if bias.shape != [weight.shape[0]] {
        return Err(Refusal::invalid(format!(
            "expected a bias of [{}], found {:?}",
            weight.shape[0], bias.shape
        )));
    }
    let groups = usize::try_from(site.attributes.int("group", 1)?).unwrap_or(0);
    if groups == 0 || groups > weight.shape[0] {
        return Err(Refusal::invalid(format!(
            "attribute 'group': expected 1 to {} groups, found {groups}",
            weight.shape[0]
        )));
    }
    let sliding = window::read(site, &sample, &kernel)?;
    weight.shape.resize(4, 1);
    let op = Conv2d { weight, bias, window: sliding.window, groups };
    importer.push(site, op, &[input])
}
