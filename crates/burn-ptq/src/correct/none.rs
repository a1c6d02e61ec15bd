//! No correction.

use burn::tensor::Tensor;

use super::{Correction, QuantizedGraph};

/// Leaves everything as it was rounded.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoCorrection {}

impl Correction for NoCorrection {
    fn samples(&self) -> usize {
        0
    }

    fn correct(&self, _quantized: &mut QuantizedGraph, _samples: Tensor<4>) {}
}
