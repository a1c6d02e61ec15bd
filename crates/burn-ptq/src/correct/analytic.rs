//! Bias correction without data.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};

use super::clipped_normal::clipped_normal;
use super::statistics::ChannelStatistics;
use super::{Correction, QuantizedGraph};
use crate::graph::ops::{Add, BatchNormStatistics, Binary, BinaryFunction, Pad};
use crate::graph::{Array, Batch, Clamp, Graph, Node, Op, Parameters, ValueId, to_vec};
use crate::quant::QuantizedWeights;

/// Shifts each layer's biases by what the rounded weights do to the mean that theory expects.
///
/// `b_q = b - sum_k (W_q - W)_k E[x_k]`, with `E[x]` from the batch normalization before: a channel
/// is normal with the mean and the deviation that it had in training, clipped by the activation
/// function (Nagel et al., Data-Free Quantization, 2019, section 4.2, the analytic form). Means are
/// followed through sums, average pools, concatenations, padding and reshapes; terms of a sum are
/// taken for independent. The zeros of a padded convolution count. Where the mean is not known, as
/// for the model's input and after a maximum, the layer is left as it is. It needs no samples; biases
/// that the rounding or a reconstruction has fitted are replaced.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AnalyticBias {
    /// Layers whose weights have more bits are left unchanged.
    pub max_bits: u8,
}

impl Default for AnalyticBias {
    fn default() -> Self {
        Self { max_bits: 7 }
    }
}

impl Correction for AnalyticBias {
    fn correct(&self, quantized: &mut QuantizedGraph, _: &Batch, device: &Device) {
        let graph = Arc::clone(&quantized.graph);
        let expected = expected_values(&graph, device);
        for (index, node) in graph.nodes.iter().enumerate() {
            let Some(&ValueId(input)) = node.inputs.first() else { continue };
            let scale = quantized.activations[input].grid.scale;
            let weights = quantized.weights[index].as_mut().filter(|w| w.bits <= self.max_bits);
            let (Some(weights), Some((weight, bias)), Some(expected)) =
                (weights, node.op.weight_and_bias(), &expected[input])
            else {
                continue;
            };
            let shifts = shifts(node, weight, weights, &expected.mean);
            let pairs = bias.data.iter().zip(shifts);
            let corrected: Vec<f64> = pairs.map(|(&bias, shift)| f64::from(bias) - shift).collect();
            weights.set_bias(&corrected, scale);
        }
    }
}

/// The shift of each output channel's mean: what the layer makes of the expected input with the
/// errors of its weights in their place.
fn shifts(node: &Node, weight: &Array, rounded: &QuantizedWeights, mean: &Tensor<4>) -> Vec<f64> {
    let mut errors = rounded.dequantize(&weight.shape);
    errors.data.iter_mut().zip(&weight.data).for_each(|(q, w)| *q -= w);
    let no_bias = Array::full([rounded.bias.len()], 0.0);
    let parameters = Parameters::new([&errors, &no_bias], &mean.device()).values();
    let mut statistics = ChannelStatistics::default();
    statistics.add(node, &node.op.operator().forward(std::slice::from_ref(mean), &parameters));
    statistics.means()
}

/// What theory expects of each element of a sample, as a batch of one.
#[derive(Clone, Debug)]
struct Expected {
    mean: Tensor<4>,
    variance: Tensor<4>,
}

/// The expected statistics of each value; `None` where theory has none.
fn expected_values(graph: &Graph, device: &Device) -> Vec<Option<Expected>> {
    let mut values: Vec<Option<Expected>> = vec![None; graph.values.len()];
    for node in &graph.nodes {
        let inputs = node.inputs.iter().map(|v| values[v.0].as_ref());
        let before = match &node.batch_norm {
            Some(statistics) => {
                Some(Expected::normalized(statistics, graph.value(node.output).dims(), device))
            }
            None => {
                inputs.collect::<Option<Vec<_>>>().and_then(|x| Expected::through(node, &x, device))
            }
        };
        values[node.output.0] = match node.clamp {
            Some(bounds) => before.map(|x| x.clipped(bounds)),
            None => before,
        };
    }
    values
}

impl Expected {
    /// Of the output of a batch normalization, whose channels are a sample's first axis.
    fn normalized(statistics: &BatchNormStatistics, dims: [usize; 3], device: &Device) -> Self {
        let [a, b, c] = dims;
        let along = |numbers: Vec<f32>| {
            let row = Tensor::<1>::from_floats(numbers.as_slice(), device);
            row.reshape::<4, _>([1, a, 1, 1]).expand([1, a, b, c])
        };
        let variances = statistics.deviations().into_iter().map(|d| (d * d) as f32).collect();
        Self { mean: along(statistics.beta.clone()), variance: along(variances) }
    }

    /// Of the output of `node` before its activation function, if it moves, adds or averages.
    fn through(node: &Node, inputs: &[&Self], device: &Device) -> Option<Self> {
        let means: Vec<Tensor<4>> = inputs.iter().map(|x| x.mean.clone()).collect();
        let variances: Vec<Tensor<4>> = inputs.iter().map(|x| x.variance.clone()).collect();
        let mean = |op: &Op| op.operator().forward(&means, &[]);
        let variance = |op: &Op| op.operator().forward(&variances, &[]);
        match &node.op {
            // Neighbours are so alike that an average varies nearly as much as they do.
            Op::Add(_)
            | Op::AveragePool(_)
            | Op::Reshape(_)
            | Op::Permute(_)
            | Op::Concat(_)
            | Op::Rearrange(_)
            | Op::Requantize(_)
            | Op::ResizeLinear(_)
            | Op::Dilate(_) => Some(Self { mean: mean(&node.op), variance: variance(&node.op) }),
            Op::Pad(pad) => {
                let constant = Op::from(Pad { value: 0.0, ..pad.clone() });
                Some(Self { mean: mean(&node.op), variance: variance(&constant) })
            }
            Op::Binary(Binary { function: BinaryFunction::Sub }) => {
                Some(Self { mean: mean(&node.op), variance: variance(&Add.into()) })
            }
            Op::Clip(clip) => Some(inputs[0].clipped(clip.bounds)),
            Op::Constant(constant) => {
                let mean = Parameters::new([&constant.array], device).values();
                let mean = node.op.operator().forward(&[], &mean);
                Some(Self { variance: mean.zeros_like(), mean })
            }
            Op::Conv2d(_)
            | Op::Linear(_)
            | Op::ChannelAffine(_)
            | Op::Mul(_)
            | Op::MaxPool(_)
            | Op::Unary(_)
            | Op::Softmax(_)
            | Op::LogSoftmax(_)
            | Op::MatMul(_)
            | Op::Reduce(_)
            | Op::Normalize(_)
            | Op::TopK(_)
            | Op::Binary(_)
            | Op::Step(_)
            | Op::Lookup(_) => None,
        }
    }

    /// Each element as a normal variable, clamped.
    fn clipped(&self, bounds: Clamp) -> Self {
        let (dims, device) = (self.mean.dims(), self.mean.device());
        let elements = to_vec(self.mean.clone()).into_iter().zip(to_vec(self.variance.clone()));
        let (means, variances): (Vec<f32>, Vec<f32>) = elements
            .map(|(mean, variance)| {
                let (mean, variance) = clipped_normal(mean.into(), variance.into(), bounds);
                (mean as f32, variance as f32)
            })
            .unzip();
        let tensor = |x: Vec<f32>| Tensor::from_data(TensorData::new(x, dims), &device);
        Self { mean: tensor(means), variance: tensor(variances) }
    }
}
