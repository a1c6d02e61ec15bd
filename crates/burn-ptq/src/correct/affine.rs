//! Re-estimation of batch normalization on a network into which it is folded.

use std::sync::Arc;

use burn::tensor::Device;

use super::statistics::ChannelStatistics;
use super::{Correction, QuantizedGraph};
use crate::quant::Granularity;
use crate::walk::SideBySide;

/// Gives every output channel the mean and the deviation that it has in the float network.
///
/// What re-estimating batch normalization does on a folded network: before the activation function,
/// `s *= sigma / sigma_q` for the scale of the channel's weights and `b` so that the means agree,
/// layer by layer in order. Layers whose channels share a scale have only their biases corrected.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Affine {
    /// Calibration samples that the statistics are taken over.
    pub samples: usize,
    /// Layers whose weights have more bits are left alone.
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

    fn correct(&self, quantized: &mut QuantizedGraph, samples: Vec<f32>, device: &Device) {
        let graph = Arc::clone(&quantized.graph);
        let mut networks = SideBySide::new(samples, true, quantized, device);
        for (index, node) in graph.nodes.iter().enumerate() {
            let outputs = networks.outputs(index, quantized);
            let input = quantized.activations[node.inputs[0].0].grid.scale;
            let weights = quantized.weights[index].as_mut();
            let Some(weights) = weights.filter(|w| w.bits <= self.max_bits) else {
                networks.store(index, outputs, quantized);
                continue;
            };
            let mut statistics = [0, 1].map(|_| ChannelStatistics::default());
            for pair in &outputs {
                statistics.iter_mut().zip(pair).for_each(|(s, x)| s.add(node, x));
            }
            let [float, found] = &statistics;
            let biases = weights.dequantize_bias(input).data;
            let granularity = match weights.scales.len() {
                1 if biases.len() > 1 => Granularity::PerTensor,
                _ => Granularity::PerChannel,
            };
            let mut corrected = Vec::new();
            for c in 0..biases.len() {
                let (wanted, is) = (float.deviations()[c], found.deviations()[c]);
                let factor = if granularity == Granularity::PerTensor || is <= 1e-6 * wanted {
                    1.0
                } else {
                    (wanted / is).clamp(1.0 / LARGEST_FACTOR, LARGEST_FACTOR)
                };
                if granularity == Granularity::PerChannel {
                    weights.scales[c] = (f64::from(weights.scales[c]) * factor) as f32;
                }
                let without_bias = found.means()[c] - f64::from(biases[c]);
                corrected.push(float.means()[c] - factor * without_bias);
            }
            weights.set_bias(&corrected, input);
            networks.run(index, quantized);
        }
    }
}
