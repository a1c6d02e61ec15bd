//! Rounding of the weights, layer by layer in the order of execution.
//!
//! The float network and the quantized one run side by side: when a layer's turn comes, the layers
//! before it are integers already, so that its rounding can make up for their errors.

use std::sync::Arc;

use burn::tensor::Device;

use crate::graph::{Array, Graph, Node};
use crate::observe::{Moments, MomentsObserver};
use crate::pipeline::{Event, PipelineError, Progress};
use crate::quant::QParams;
use crate::quantized::{QuantizedGraph, QuantizedWeights};
use crate::range::{WeightProblem, weight_qparams};
use crate::recipe::Recipe;
use crate::round::{Rounded, Rounding, RoundingProblem};
use crate::walk::SideBySide;

/// How layers are rounded one after the other.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Layerwise {
    /// Where the inputs come from on which a layer's output error is judged.
    pub inputs: Inputs,
    /// Calibration samples that are run, at the most.
    pub samples: usize,
    /// Rows (patches of a convolution) of each layer's input that are taken, at the most, as a
    /// multiple of the length of a weight row; never fewer than 4096.
    pub rows: usize,
    /// How strongly the least squares target is pulled towards the float weights, as a share of the
    /// mean second moment.
    pub damping: f64,
    /// Whether a layer's biases are fitted to its rounded weights, so that the means of its outputs
    /// are the float network's. Only for layers whose inputs are observed.
    pub fit_bias: bool,
}

/// Where the inputs come from on which a layer's output error is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Inputs {
    /// The float network: each layer on its own.
    Float,
    /// The layers before, already quantized: each layer makes up for their errors.
    Quantized,
}

impl Default for Layerwise {
    fn default() -> Self {
        Self { inputs: Inputs::Quantized, samples: 1024, rows: 1024, damping: 0.01, fit_bias: true }
    }
}

/// Whether the weights of layers are quantized with a look at the layers' inputs.
pub fn needs_inputs(recipe: &Recipe, rounding: &dyn Rounding) -> bool {
    recipe.weights.range.component().needs_inputs() || rounding.needs_inputs()
}

/// The fewest rows of a layer's input that are taken, if there are so many.
const FEWEST_ROWS: usize = 4096;

/// Rounds the weights of every layer of `quantized`, whose grids of activations are decided.
///
/// `samples` are calibration samples, one after the other; none are needed if neither the range
/// method nor `rounding` looks at inputs.
///
/// # Errors
/// If the recipe asks for bits that cannot be had, and on cancellation.
pub fn round_layers(
    quantized: &mut QuantizedGraph,
    samples: Vec<f32>,
    recipe: &Recipe,
    rounding: &dyn Rounding,
    device: &Device,
    progress: Progress,
) -> Result<(), PipelineError> {
    let graph = Arc::clone(&quantized.graph);
    let layers = graph.nodes.iter().filter(|n| n.op.weight_and_bias().is_some()).count();
    let needs_inputs = needs_inputs(recipe, rounding);
    let mut networks = needs_inputs.then(|| {
        SideBySide::new(samples, recipe.layerwise.inputs == Inputs::Quantized, quantized, device)
    });
    let mut done = 0;
    for (index, node) in graph.nodes.iter().enumerate() {
        if let Some((weight, bias)) = node.op.weight_and_bias() {
            let moments =
                networks.as_ref().and_then(|n| observe(n, &graph, node, &recipe.layerwise));
            let input_scale = quantized.activations[node.inputs[0].0].grid.scale;
            let layer = Layer { node, weight, bias, input_scale, moments: moments.as_ref() };
            quantized.weights[index] = Some(layer.quantize(recipe, rounding)?);
            done += 1;
            if !progress(Event::Progress { stage: "round", done, total: Some(layers) }) {
                return Err(PipelineError::Cancelled);
            }
        }
        if let Some(networks) = &mut networks {
            networks.run(index, quantized);
        }
    }
    Ok(())
}

/// A layer whose turn has come.
struct Layer<'a> {
    node: &'a Node,
    weight: &'a Array,
    bias: &'a Array,
    input_scale: f32,
    moments: Option<&'a Moments>,
}

/// The largest share of the 32-bit accumulator that a bias may take.
const LARGEST_BIAS: f64 = (1 << 29) as f64;

impl Layer<'_> {
    fn quantize(
        &self,
        recipe: &Recipe,
        rounding: &dyn Rounding,
    ) -> Result<QuantizedWeights, PipelineError> {
        let Layerwise { damping, fit_bias, .. } = recipe.layerwise;
        let scheme = recipe.weight_scheme(recipe.weight_bits(&self.node.name))?;
        let weight = self.weight;
        let quadratic = self.moments.map(|m| m.quadratic(weight, damping, fit_bias));
        let quadratic = quadratic.as_ref();
        let problem = WeightProblem { weight, scheme, quadratic };
        let mut qparams = weight_qparams(recipe.weights.range.component(), &problem);
        self.widen_for_bias(&mut qparams);
        let problem = RoundingProblem {
            layer: &self.node.name,
            weight,
            quadratic,
            qparams: &qparams,
            seed: recipe.seed,
        };
        let Rounded { values, scales } = rounding.round(&problem);
        let channels = self.bias.len();
        let mut weights =
            QuantizedWeights { bits: scheme.bits, scales, values, bias: vec![0; channels] };
        let mut bias: Vec<f64> = self.bias.data.iter().map(|&b| f64::from(b)).collect();
        if let Some(moments) = self.moments.filter(|_| fit_bias) {
            let rounded = weights.dequantize(&weight.shape);
            let shifts = moments.mean_shift(&rounded, weight);
            bias.iter_mut().zip(shifts).for_each(|(bias, shift)| *bias -= shift);
        }
        weights.set_bias(&bias, self.input_scale);
        Ok(weights)
    }

    /// A channel of tiny weights must not have so small a scale that its bias overflows.
    fn widen_for_bias(&self, qparams: &mut QParams) {
        let channels = qparams.scales.len();
        for (c, &b) in self.bias.data.iter().enumerate() {
            let needed = f64::from(b.abs()) / (f64::from(self.input_scale) * LARGEST_BIAS);
            let needed = needed as f32;
            let scale = &mut qparams.scales[c % channels];
            if *scale < needed {
                let power_of_two = qparams.scheme.power_of_two;
                *scale = if power_of_two { needed.log2().ceil().exp2() } else { needed };
            }
        }
    }
}

/// Observes the inputs of a layer.
fn observe(networks: &SideBySide, graph: &Graph, node: &Node, how: &Layerwise) -> Option<Moments> {
    let input = node.inputs[0];
    let (weight, _) = node.op.weight_and_bias()?;
    let rows = (weight.len() / weight.shape[0] * how.rows).max(FEWEST_ROWS);
    let dims = graph.value(input).dims();
    let mut observer = MomentsObserver::new(&node.op, dims, networks.samples(), rows)?;
    let two = how.inputs == Inputs::Quantized;
    for [float, quantized] in networks.batches(input)? {
        observer.observe(quantized, two.then_some(float));
    }
    Some(observer.moments())
}
