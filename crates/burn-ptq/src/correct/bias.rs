//! Empirical bias correction.

use std::sync::Arc;

use burn::tensor::Device;

use super::statistics::{ChannelStatistics, along_channels};
use super::{Correction, QuantizedGraph};
use crate::walk::SideBySide;

/// Shifts each layer's biases so that every output channel has its mean of the float network.
///
/// `b -= E[y_q - y]`, before the activation function, layer by layer in order, each seeing the inputs
/// that the corrected layers before it produce (Nagel et al., Data-Free Quantization, 2019, section
/// 4.2, the empirical form).
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bias {
    /// Calibration samples that the means are taken over.
    pub samples: usize,
    /// Layers whose weights have more bits are left alone: at 8 bits there is no shift worth the
    /// change.
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

    fn correct(&self, quantized: &mut QuantizedGraph, samples: Vec<f32>, device: &Device) {
        let graph = Arc::clone(&quantized.graph);
        let mut networks = SideBySide::new(samples, true, quantized, device);
        for (index, node) in graph.nodes.iter().enumerate() {
            let mut outputs = networks.outputs(index, quantized);
            let scale = quantized.activations[node.inputs[0].0].grid.scale;
            let weights = quantized.weights[index].as_mut();
            if let Some(weights) = weights.filter(|w| w.bits <= self.max_bits) {
                let mut shift = ChannelStatistics::default();
                for [float, simulated] in &outputs {
                    shift.add(node, &(simulated.clone() - float.clone()));
                }
                let mut applied = Vec::new();
                for (c, shift) in shift.means().into_iter().enumerate() {
                    // In whole steps of the bias, so that the simulation stays exact.
                    let step = f64::from(scale) * f64::from(weights.scale(c));
                    let steps = (shift / step).round();
                    weights.bias[c] = weights.bias[c].saturating_sub(steps as i32);
                    applied.push((steps * step) as f32);
                }
                for [_, simulated] in &mut outputs {
                    let shift = along_channels(node, &applied, simulated);
                    *simulated = simulated.clone() - shift;
                }
            }
            networks.store(index, outputs, quantized);
        }
    }
}
