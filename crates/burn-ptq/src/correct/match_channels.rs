//! Output channels of the quantized network are given the statistics of the float network's.

use std::sync::Arc;

use burn::tensor::Device;

use super::QuantizedGraph;
use super::statistics::{ChannelStatistics, along_channels};
use crate::graph::{Batch, Node};
use crate::quant::{Pair, QuantizedWeights, SideBySide};

/// Stretches each output channel by a factor and moves it to its mean in the float network, before
/// the activation function, layer by layer in order: each layer sees the inputs that the layers
/// before it produce once they are corrected.
///
/// `factors` are of a layer's channels, given their statistics in the float network and in the
/// quantized one; channels that share a scale must get 1. Layers whose weights have more than
/// `max_bits` bits are left alone, and everything is if there are no samples.
pub(super) fn match_channels(
    quantized: &mut QuantizedGraph,
    samples: &Batch,
    device: &Device,
    max_bits: u8,
    factors: impl Fn(&QuantizedWeights, &ChannelStatistics, &ChannelStatistics) -> Vec<f64>,
) {
    let coarse = |weights: &Option<QuantizedWeights>| {
        weights.as_ref().is_some_and(|weights| weights.bits <= max_bits)
    };
    // Behind the last layer that is corrected, nothing needs to be known.
    let last = quantized.weights.iter().rposition(coarse);
    let Some(last) = last.filter(|_| !samples.is_empty()) else { return };
    let graph = Arc::clone(&quantized.graph);
    let mut networks = SideBySide::new(samples, true, quantized, device);
    for (index, node) in graph.nodes.iter().enumerate().take(last + 1) {
        let mut outputs = networks.outputs(index, quantized);
        let input = node.inputs.first().map(|input| quantized.activations[input.0].grid.scale);
        let weights = quantized.weights[index].as_mut().zip(input);
        if let Some((weights, input)) = weights.filter(|(w, _)| w.bits <= max_bits) {
            let [mut float, mut found] = [0, 1].map(|_| ChannelStatistics::default());
            for [x, y] in &outputs {
                float.add(node, x);
                found.add(node, y);
            }
            let factors = factors(weights, &float, &found);
            let change = correct(weights, input, &factors, &float.means(), &found.means());
            change.apply(node, &mut outputs);
        }
        networks.store(index, outputs, quantized);
    }
}

/// What a correction does to the quantized network's output: `y * factor[c] + term[c]`.
struct Change {
    factors: Vec<f32>,
    terms: Vec<f32>,
}

/// Corrects the scales and biases of a layer whose input has scale `input`.
fn correct(
    weights: &mut QuantizedWeights,
    input: f32,
    factors: &[f64],
    wanted: &[f64],
    found: &[f64],
) -> Change {
    let channels = weights.bias.len();
    let scales = |weights: &QuantizedWeights| -> Vec<f64> {
        (0..channels).map(|c| f64::from(weights.scale(c))).collect()
    };
    let biases = |weights: &QuantizedWeights| -> Vec<f64> {
        weights.dequantize_bias(input).data.into_iter().map(f64::from).collect()
    };
    let (old_scales, old_biases) = (scales(weights), biases(weights));
    for (scale, factor) in weights.scales.iter_mut().zip(factors) {
        *scale = (f64::from(*scale) * factor) as f32;
    }
    let applied: Vec<f64> = scales(weights).iter().zip(old_scales).map(|(n, o)| n / o).collect();
    let bias = |c: usize| wanted[c] - applied[c] * (found[c] - old_biases[c]);
    weights.set_bias(&(0..channels).map(bias).collect::<Vec<_>>(), input);
    // The bias is rounded to whole steps: the difference is what the integer program will do.
    let terms = biases(weights).into_iter().enumerate();
    let terms = terms.map(|(c, bias)| (bias - applied[c] * old_biases[c]) as f32).collect();
    Change { factors: applied.into_iter().map(|f| f as f32).collect(), terms }
}

impl Change {
    fn apply(&self, node: &Node, outputs: &mut [Pair]) {
        let stretches = self.factors.iter().any(|&f| f != 1.0);
        for [_, simulated] in outputs {
            let mut changed = simulated.clone();
            if stretches {
                changed = changed * along_channels(node, &self.factors, simulated);
            }
            *simulated = changed + along_channels(node, &self.terms, simulated);
        }
    }
}
