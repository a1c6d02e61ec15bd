//! Empirical bias correction.

use burn::tensor::Tensor;

use super::{Correction, QuantizedGraph};
use crate::evaluate::to_vec;
use crate::graph::{Node, Op, ValueId, execute_node};
use crate::quant::FakeQuantize;

/// Shifts each layer's biases so that every output channel has the mean that it has in the float
/// network: `b -= E[y_q - y]`, before the activation function, layer by layer in order, each seeing
/// the inputs that the corrected layers before it produce (Nagel et al., Data-Free Quantization,
/// section 4.2, the empirical form).
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
        Self { samples: 128, max_bits: 7 }
    }
}

impl Correction for Bias {
    fn samples(&self) -> usize {
        self.samples
    }

    fn correct(&self, quantized: &mut QuantizedGraph, samples: Tensor<4>) {
        let graph = std::sync::Arc::clone(&quantized.graph);
        let device = samples.device();
        let rounded = |quantized: &QuantizedGraph, id: ValueId, x: Tensor<4>| {
            FakeQuantize::new(quantized.activations[id.0].grid).forward(x)
        };
        // The two networks side by side; a value lives until its last reader.
        let mut values: Vec<Option<[Tensor<4>; 2]>> = vec![None; graph.values.len()];
        let input = rounded(quantized, graph.input, samples.clone());
        values[graph.input.0] = Some([samples, input]);
        for (index, node) in graph.nodes.iter().enumerate() {
            let [float, mut simulated] = [0, 1].map(|network| {
                let inputs: Vec<Tensor<4>> = (node.inputs.iter())
                    .map(|v| values[v.0].as_ref().expect("a verified graph is in order"))
                    .map(|pair| pair[network].clone())
                    .collect();
                let weights = quantized.weights[index].as_ref().filter(|_| network == 1);
                let scale = quantized.activations[node.inputs[0].0].grid.scale;
                execute_node(node, weights.map(|w| (w, scale)), &inputs, &device)
            });
            let weights = quantized.weights[index].as_mut();
            if let Some(weights) = weights.filter(|w| w.bits <= self.max_bits) {
                let scale = quantized.activations[node.inputs[0].0].grid.scale;
                let shift = channel_means(node, simulated.clone() - float.clone());
                let mut applied = Vec::with_capacity(shift.len());
                for (c, shift) in shift.into_iter().enumerate() {
                    // In whole steps of the bias, so that the simulation stays exact.
                    let step = f64::from(scale) * f64::from(weights.scale(c));
                    let steps = (shift / step).round();
                    weights.bias[c] -= steps as i32;
                    applied.push((steps * step) as f32);
                }
                simulated = simulated.clone() - along_channels(node, &applied, &simulated);
            }
            let clamped =
                [float, simulated].map(|x| node.clamp.map_or(x.clone(), |c| c.forward(x)));
            let [float, simulated] = clamped;
            let simulated = rounded(quantized, node.output, simulated);
            values[node.output.0] = Some([float, simulated]);
            for input in &node.inputs {
                if graph.nodes[index + 1..].iter().all(|n| !n.inputs.contains(input)) {
                    values[input.0] = None;
                }
            }
        }
    }
}

/// The axis of `[batch, d1, d2, d3]` that the output channels of a weighted node lie along.
fn channel_axis(node: &Node) -> usize {
    match &node.op {
        Op::Linear(linear) => linear.axis + 1,
        _ => 1,
    }
}

/// The mean of each output channel.
fn channel_means(node: &Node, x: Tensor<4>) -> Vec<f64> {
    let axis = channel_axis(node);
    let channels = x.dims()[axis];
    let rows = to_vec(x.swap_dims(0, axis));
    let len = (rows.len() / channels).max(1);
    rows.chunks(len)
        .map(|row| row.iter().map(|&x| f64::from(x)).sum::<f64>() / len as f64)
        .collect()
}

/// One number a channel, in a shape that broadcasts over `like`.
fn along_channels(node: &Node, numbers: &[f32], like: &Tensor<4>) -> Tensor<4> {
    let mut shape = [1; 4];
    shape[channel_axis(node)] = numbers.len();
    Tensor::<1>::from_floats(numbers, &like.device()).reshape::<4, _>(shape)
}
