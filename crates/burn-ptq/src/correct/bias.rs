//! Empirical bias correction.

use burn::tensor::Device;

use super::match_channels::match_channels;
use super::{Correction, QuantizedGraph};
use crate::graph::Batch;

/// Shifts each layer's biases so that every output channel has its mean of the float network.
///
/// `b -= E[y_q - y]`, before the activation function, layer by layer in order, each seeing the inputs
/// that the corrected layers before it produce (Nagel et al., Data-Free Quantization, 2019, section
/// 4.2, the empirical form).
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Bias {
    /// The number of calibration samples for the means.
    pub samples: usize,
    /// Layers whose weights have more bits are left unchanged: at 8 bits there is no shift worth
    /// the change.
    pub max_bits: u8,
}

impl Default for Bias {
    fn default() -> Self {
        Self { samples: 256, max_bits: 7 }
    }
}

impl Correction for Bias {
    fn samples(&self) -> usize {
        self.samples
    }

    fn correct(&self, quantized: &mut QuantizedGraph, samples: &Batch, device: &Device) {
        match_channels(quantized, samples, device, self.max_bits, |weights, _, _| {
            vec![1.0; weights.bias.len()]
        });
    }
}
