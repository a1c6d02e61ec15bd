//! Bias correction without data.

use std::sync::Arc;

use burn::tensor::Device;

use super::{Correction, QuantizedGraph};
use crate::graph::ops::BatchNormStatistics;
use crate::graph::{Array, Clamp, Graph, Node, Op, ValueId};

/// Shifts each layer's biases by what the rounded weights do to the mean that theory expects.
///
/// `b -= sum_k (W_q - W)_k E[x_k]`, with `E[x]` from the batch normalization before: a channel is
/// normal with mean `beta` and deviation `|gamma|`, clipped by the activation function (Nagel et al.,
/// Data-Free Quantization, 2019, section 4.2, the analytic form). Sums of channels are taken for
/// independent, and zeros of the padding for values; where the mean is not known, as for the model's
/// input, nothing is corrected.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AnalyticBias {
    /// Layers whose weights have more bits are left alone.
    pub max_bits: u8,
}

impl Default for AnalyticBias {
    fn default() -> Self {
        Self { max_bits: 7 }
    }
}

impl Correction for AnalyticBias {
    fn correct(&self, quantized: &mut QuantizedGraph, _: Vec<f32>, _: &Device) {
        let graph = Arc::clone(&quantized.graph);
        let expected = expected_values(&graph);
        for (index, node) in graph.nodes.iter().enumerate() {
            let input = quantized.activations[node.inputs[0].0].grid.scale;
            let weights = quantized.weights[index].as_mut().filter(|w| w.bits <= self.max_bits);
            let (Some(weights), Some((float, _)), Some(expected)) =
                (weights, node.op.weight_and_bias(), &expected[node.inputs[0].0])
            else {
                continue;
            };
            let shifts = shifts(&node.op, float, &weights.dequantize(&float.shape), expected);
            let biases = weights.dequantize_bias(input).data;
            let pairs = biases.iter().zip(shifts);
            let corrected: Vec<f64> = pairs.map(|(&bias, shift)| f64::from(bias) - shift).collect();
            weights.set_bias(&corrected, input);
        }
    }
}

/// Mean and variance of a channel.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Expected {
    mean: f64,
    variance: f64,
}

/// The shift of each output channel's mean.
fn shifts(op: &Op, float: &Array, rounded: &Array, expected: &[Expected]) -> Vec<f64> {
    let groups = match op {
        Op::Conv2d(conv) => conv.groups,
        Op::ChannelAffine(_) => float.shape[0],
        _ => 1,
    };
    let per_group = float.shape[0] / groups;
    let channels = float.shape.get(1).copied().unwrap_or(1);
    let rows = float.rows().zip(rounded.rows()).enumerate();
    rows.map(|(o, (float, rounded))| {
        let taps = float.len() / channels;
        let shift = |(i, (w, q)): (usize, (&f32, &f32))| {
            let channel = o / per_group * channels + i / taps;
            f64::from(q - w) * expected.get(channel).map_or(0.0, |e| e.mean)
        };
        float.iter().zip(rounded).enumerate().map(shift).sum()
    })
    .collect()
}

/// What theory expects of the channels of each value; `None` where it knows nothing.
fn expected_values(graph: &Graph) -> Vec<Option<Vec<Expected>>> {
    let mut values: Vec<Option<Vec<Expected>>> = vec![None; graph.values.len()];
    for node in &graph.nodes {
        let before = match &node.batch_norm {
            Some(statistics) => Some(normalized(statistics)),
            None => propagated(graph, node, &values),
        };
        values[node.output.0] = before.map(|channels| {
            let clip = |e| node.clamp.map_or(e, |clamp| clipped(e, clamp));
            channels.into_iter().map(clip).collect()
        });
    }
    values
}

fn normalized(statistics: &BatchNormStatistics) -> Vec<Expected> {
    let pairs = statistics.beta.iter().zip(&statistics.gamma);
    pairs.map(|(&b, &g)| Expected { mean: b.into(), variance: f64::from(g).powi(2) }).collect()
}

/// Before the fused activation, for a node without batch normalization.
fn propagated(
    graph: &Graph,
    node: &Node,
    values: &[Option<Vec<Expected>>],
) -> Option<Vec<Expected>> {
    let of = |v: ValueId| values[v.0].clone();
    let input = of(node.inputs[0]);
    match &node.op {
        Op::Add(_) => {
            let (a, b) = (input?, of(node.inputs[1])?);
            let sum = |(a, b): (Expected, Expected)| Expected {
                mean: a.mean + b.mean,
                variance: a.variance + b.variance,
            };
            (a.len() == b.len()).then(|| a.into_iter().zip(b).map(sum).collect())
        }
        Op::AveragePool(_) | Op::Requantize(_) | Op::Clip(_) => input,
        Op::Reshape(_) => {
            // Flattening repeats a channel for each of its pixels.
            let (channels, target) = (input?, graph.value(node.output));
            let repeats = target.shape[0] / channels.len().max(1);
            let flat = target.shape.len() == 1 && repeats * channels.len() == target.len();
            flat.then(|| channels.into_iter().flat_map(|e| vec![e; repeats]).collect())
        }
        _ => None,
    }
}

/// Mean and variance of a normal variable clamped to an interval.
fn clipped(Expected { mean, variance }: Expected, clamp: Clamp) -> Expected {
    let sigma = variance.sqrt();
    if sigma <= 1e-12 {
        let mean = mean.clamp(clamp.min.into(), clamp.max.into());
        return Expected { mean, variance: 0.0 };
    }
    let (low, high) = (f64::from(clamp.min), f64::from(clamp.max));
    let standard = |x: f64| (x - mean) / sigma;
    let (a, b) = (standard(low), standard(high));
    let (below, above) = (probability_below(a), 1.0 - probability_below(b));
    let inside = 1.0 - below - above;
    let (density_a, density_b) = (density(a), density(b));
    // Infinite bounds have no weight; their products must not become NaN.
    let weighted = |bound: f64, weight: f64| if bound.is_finite() { bound * weight } else { 0.0 };
    let first = mean * inside + sigma * (density_a - density_b);
    let tail = weighted(a, density_a) - weighted(b, density_b);
    let second = (mean * mean + variance) * inside
        + 2.0 * mean * sigma * (density_a - density_b)
        + variance * tail;
    let clipped_mean = first + weighted(low, below) + weighted(high, above);
    let square = |x: f64| if x.is_finite() { x * x } else { 0.0 };
    let clipped_second = second + weighted(square(low), below) + weighted(square(high), above);
    Expected { mean: clipped_mean, variance: (clipped_second - clipped_mean.powi(2)).max(0.0) }
}

/// The density of the standard normal distribution.
fn density(x: f64) -> f64 {
    if x.is_infinite() {
        return 0.0;
    }
    (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

/// The standard normal distribution function, to about 1e-7 (Abramowitz and Stegun, 7.1.26).
fn probability_below(x: f64) -> f64 {
    if x.is_infinite() {
        return if x > 0.0 { 1.0 } else { 0.0 };
    }
    let z = x.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let polynomial = t
        * (0.254_829_592
            + t * (-0.284_496_736
                + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    let tail = 0.5 * polynomial * (-z * z).exp();
    if x > 0.0 { 1.0 - tail } else { tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Means and variances by summing over many quantiles of the normal distribution.
    fn numeric(mean: f64, sigma: f64, clamp: Clamp) -> (f64, f64) {
        let (mut first, mut second, mut weight) = (0.0, 0.0, 0.0);
        for i in -8000..=8000 {
            let z = f64::from(i) / 1000.0;
            let x = (mean + sigma * z).clamp(clamp.min.into(), clamp.max.into());
            let p = (-0.5 * z * z).exp();
            first += p * x;
            second += p * x * x;
            weight += p;
        }
        (first / weight, second / weight - (first / weight).powi(2))
    }

    #[test]
    fn clipped_normals_have_the_moments_of_the_integral() {
        let relu6 = Clamp { min: 0.0, max: 6.0 };
        for clamp in [Clamp::RELU, relu6, Clamp { min: -1.0, max: 0.5 }] {
            for (mean, sigma) in [(0.0, 1.0), (1.5, 0.7), (-2.0, 1.0), (5.0, 3.0)] {
                let found = clipped(Expected { mean, variance: sigma * sigma }, clamp);
                let (first, variance) = numeric(mean, sigma, clamp);
                assert!((found.mean - first).abs() < 1e-4, "{found:?}: {first}");
                assert!((found.variance - variance).abs() < 1e-3, "{found:?}: {variance}");
            }
        }
    }
}
