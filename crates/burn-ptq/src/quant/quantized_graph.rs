//! The quantized graph: the float graph, a grid for every value, and integer weights.

use std::sync::Arc;

use burn::tensor::Device;
use burn_ptq_kernels::grid::Grid;

use crate::graph::{Array, Graph, Parameters, ValueId};

/// A graph in which everything that the integer program needs is decided.
#[derive(Clone, Debug)]
pub struct QuantizedGraph {
    /// The prepared float graph.
    pub graph: Arc<Graph>,
    /// The quantization of each value, by index.
    pub activations: Vec<QuantizedActivation>,
    /// The integer weights of each node that has weights, by index.
    pub weights: Vec<Option<QuantizedWeights>>,
}

/// The grid of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuantizedActivation {
    /// 2 to 8, or 16.
    pub bits: u8,
    /// The grid.
    pub grid: Grid,
}

/// The largest share of the 32-bit accumulator that a bias may take.
const LARGEST_BIAS: f64 = (1 << 29) as f64;

/// The smallest scale of weights under which a bias of this magnitude keeps to its share of the
/// accumulator, for an input of scale `input`.
pub(crate) fn least_scale(bias: f64, input: f64) -> f32 {
    (bias / (input * LARGEST_BIAS)) as f32
}

/// Integer weights and biases of a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedWeights {
    /// 2 to 8.
    pub bits: u8,
    /// One scale an output channel, or a single one.
    pub scales: Vec<f32>,
    /// The integers, in the order of the float weights.
    pub values: Vec<i8>,
    /// One bias an output channel, at scale `input * weight`.
    pub bias: Vec<i32>,
}

impl QuantizedWeights {
    /// The scale of output channel `channel`.
    pub fn scale(&self, channel: usize) -> f32 {
        self.scales[if self.scales.len() == 1 { 0 } else { channel }]
    }

    /// The real weights that the integers stand for.
    pub fn dequantize(&self, shape: &[usize]) -> Array {
        let row = (self.values.len() / self.bias.len()).max(1);
        let real = |(i, &q): (usize, &i8)| f32::from(q) * self.scale(i / row);
        Array::new(shape, self.values.iter().enumerate().map(real).collect())
    }

    /// The real biases that the integers stand for, for an input of scale `input`.
    pub fn dequantize_bias(&self, input: f32) -> Array {
        let real = |(c, &b): (usize, &i32)| {
            (f64::from(b) * f64::from(input) * f64::from(self.scale(c))) as f32
        };
        Array::new([self.bias.len()], self.bias.iter().enumerate().map(real).collect())
    }

    /// Rounds real biases, for an input of scale `input`. Scales so small that a bias would take more
    /// than its share of the accumulator are widened first.
    pub fn set_bias(&mut self, bias: &[f64], input: f32) {
        self.widen_for_bias(bias, input);
        let step = |c: usize| f64::from(input) * f64::from(self.scale(c));
        self.bias = bias.iter().enumerate().map(|(c, b)| (b / step(c)).round() as i32).collect();
    }
}

impl QuantizedWeights {
    /// Moves the weights of channels in which `bias` would exceed its share of the accumulator to a wider grid.
    fn widen_for_bias(&mut self, bias: &[f64], input: f32) {
        let power_of_two = self.scales.iter().all(|scale| scale.log2().fract() == 0.0);
        let channels = bias.len() / self.scales.len();
        let values = self.values.len() / self.scales.len();
        for (c, scale) in self.scales.iter_mut().enumerate() {
            let largest =
                bias[c * channels..][..channels].iter().fold(0.0, |m: f64, b| m.max(b.abs()));
            let mut needed = least_scale(largest, f64::from(input));
            if *scale >= needed || !needed.is_finite() {
                continue;
            }
            if power_of_two {
                needed = needed.log2().ceil().exp2();
            }
            for value in &mut self.values[c * values..][..values] {
                *value = (f32::from(*value) * (*scale / needed)).round() as i8;
            }
            *scale = needed;
        }
    }
}

impl QuantizedGraph {
    /// The constants of node `index` on `device`: what its integer weights stand for, or the float
    /// ones where it has none.
    pub(crate) fn parameters(&self, index: usize, device: &Device) -> Parameters {
        let node = &self.graph.nodes[index];
        match self.weights[index].as_ref().zip(node.op.weight_and_bias()) {
            Some((weights, (float, _))) => {
                let input = self.activations[node.inputs[0].0].grid.scale;
                let arrays = [weights.dequantize(&float.shape), weights.dequantize_bias(input)];
                Parameters::new(&arrays, device)
            }
            None => Parameters::new(node.op.parameters(), device),
        }
    }

    /// The first layer or value whose scale is not a positive number, and that scale.
    pub(crate) fn diverged(&self) -> Option<(String, f32)> {
        let is_wrong = |scale: &f32| !(scale.is_finite() && *scale > 0.0);
        let of_weights = self.graph.nodes.iter().zip(&self.weights).find_map(|(node, weights)| {
            let scale = weights.as_ref()?.scales.iter().find(|scale| is_wrong(scale))?;
            Some((node.name.clone(), *scale))
        });
        of_weights.or_else(|| {
            let mut values = self.graph.values.iter().zip(&self.activations);
            let (value, activation) = values.find(|(_, a)| is_wrong(&a.grid.scale))?;
            Some((value.name.clone(), activation.grid.scale))
        })
    }

    /// Gives `value`, and all values that share its grid, another scale; the biases of layers that
    /// read them keep their real values.
    pub fn set_scale(&mut self, value: ValueId, scale: f32) {
        let groups = self.graph.grid_groups();
        for (index, node) in self.graph.nodes.iter().enumerate() {
            if let Some(weights) = &mut self.weights[index]
                && let Some(&ValueId(input)) = node.inputs.first()
                && groups[input] == groups[value.0]
            {
                let real = weights.dequantize_bias(self.activations[input].grid.scale).data;
                let real: Vec<f64> = real.into_iter().map(f64::from).collect();
                weights.set_bias(&real, scale);
            }
        }
        for (v, activation) in self.activations.iter_mut().enumerate() {
            if groups[v] == groups[value.0] {
                activation.grid.scale = scale;
            }
        }
    }
}
