//! No correction.

use burn::tensor::Device;

use super::{Correction, QuantizedGraph};
use crate::graph::Batch;

/// Leaves everything as it was rounded.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NoCorrection {}

impl Correction for NoCorrection {
    fn correct(&self, _: &mut QuantizedGraph, _: &Batch, _: &Device) {}
}
