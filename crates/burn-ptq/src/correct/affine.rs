//! Re-estimation of batch normalization on a network into which it is folded.

use burn::tensor::Device;

use super::match_channels::match_channels;
use super::statistics::ChannelStatistics;
use super::{Correction, QuantizedGraph};
use crate::graph::Batch;
use crate::quant::QuantizedWeights;

/// Gives every output channel the mean and the deviation that it has in the float network.
///
/// `s *= sigma / sigma_q` for the scale of the channel's weights, and `b` so that the means agree,
/// before the activation function, layer by layer in order: what re-estimating batch normalization
/// (AIMET's correction of that name) comes to on a network into which it is folded. No channel is
/// scaled by more than 2 or less than 1/2. Layers whose channels share a scale have only their biases
/// corrected, and scales that are powers of two stay powers of two.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Affine {
    /// The number of calibration samples for the statistics.
    pub samples: usize,
    /// Layers whose weights have more bits are left unchanged.
    pub max_bits: u8,
}

impl Default for Affine {
    fn default() -> Self {
        Self { samples: 256, max_bits: 7 }
    }
}

/// No channel is stretched or shrunk by more.
const LARGEST_FACTOR: f64 = 2.0;

impl Correction for Affine {
    fn samples(&self) -> usize {
        self.samples
    }

    fn correct(&self, quantized: &mut QuantizedGraph, samples: &Batch, device: &Device) {
        match_channels(quantized, samples, device, self.max_bits, factors);
    }
}

/// The factors that give each channel of a layer its deviation in the float network.
fn factors(
    weights: &QuantizedWeights,
    float: &ChannelStatistics,
    found: &ChannelStatistics,
) -> Vec<f64> {
    let channels = weights.bias.len();
    if weights.scales.len() != channels {
        return vec![1.0; channels];
    }
    // The layer keeps no record of its scheme, but scales do not become powers of two by chance.
    let power_of_two = weights.scales.iter().all(|scale| scale.log2().fract() == 0.0);
    let factor = |(wanted, found): (f64, f64)| {
        if found <= 1e-6 * wanted {
            return 1.0;
        }
        let factor = (wanted / found).clamp(1.0 / LARGEST_FACTOR, LARGEST_FACTOR);
        if power_of_two { factor.log2().round().exp2() } else { factor }
    };
    float.deviations().into_iter().zip(found.deviations()).map(factor).collect()
}
