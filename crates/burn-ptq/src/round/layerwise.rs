//! Rounding of the weights, layer by layer in the order of execution.
//!
//! The float network and the quantized one run side by side: when a layer's turn comes, the layers
//! before it are integers already, so that its rounding can make up for their errors.

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;

use burn::tensor::Device;
use burn_ptq_kernels::grid::weight_range;

use super::{GoOn, Rounded, Rounding, RoundingProblem};
use crate::bits::BitPlan;
use crate::event::{Cancelled, Event, Progress};
use crate::graph::{Array, Batch, GivenWeights, Graph, Node};
use crate::observe::{Moments, MomentsObserver, unit};
use crate::quant::{
    QParams, QuantizeError, QuantizedGraph, QuantizedWeights, Range, SideBySide, least_scale,
};
use crate::range::{WeightProblem, WeightRange, is_zero, weight_qparams};

/// How layers are rounded one after the other.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Layerwise {
    /// The source of the inputs on which a layer's output error is measured.
    pub inputs: Inputs,
    /// The maximum number of calibration samples to run.
    pub samples: usize,
    /// The maximum number of rows (patches of a convolution) of each layer's input, as a multiple
    /// of the length of a weight row; at least 4096 rows.
    pub rows: usize,
    /// How strongly the least-squares target is regularized towards the float weights, as a share
    /// of the mean second moment.
    pub damping: f64,
    /// Whether a layer's biases are fitted to its rounded weights, so that the means of its outputs
    /// match the float network's. Only for layers whose inputs are observed.
    pub fit_bias: bool,
}

/// The source of the inputs on which a layer's output error is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Inputs {
    /// The float network: each layer on its own.
    Float,
    /// The quantized layers before: each layer compensates for their errors.
    Quantized,
}

impl Default for Layerwise {
    fn default() -> Self {
        Self { inputs: Inputs::Quantized, samples: 1024, rows: 1024, damping: 0.01, fit_bias: true }
    }
}

/// The minimum number of rows of a layer's input to use, if there are that many.
const FEWEST_ROWS: usize = 4096;

/// How the layers of a network are rounded.
#[derive(Clone, Copy)]
pub(crate) struct LayerRounding<'a> {
    /// The bits of every weight.
    pub(crate) plan: &'a BitPlan,
    /// Finds the ranges of weights.
    pub(crate) range: &'a dyn WeightRange,
    /// Makes integers of them.
    pub(crate) rounding: &'a dyn Rounding,
    /// What range method and rounding see of a layer's inputs.
    pub(crate) layerwise: &'a Layerwise,
    /// Seeds random roundings.
    pub(crate) seed: u64,
    /// Where the networks run, and learned roundings train.
    pub(crate) device: &'a Device,
}

impl LayerRounding<'_> {
    /// Whether it looks at the inputs of layers.
    pub(crate) fn needs_inputs(&self) -> bool {
        self.range.needs_inputs() || self.rounding.needs_inputs()
    }
}

/// Rounds the weights of every layer of `quantized`, whose grids of activations are decided.
///
/// `samples` are calibration samples; none are needed if neither the range
/// method nor the rounding looks at inputs.
///
/// # Errors
/// If the plan asks for bits that no grid can have, and on cancellation.
pub(crate) fn round_layers(
    quantized: &mut QuantizedGraph,
    samples: &Batch,
    how: LayerRounding,
    progress: Progress,
) -> Result<(), QuantizeError> {
    let graph = Arc::clone(&quantized.graph);
    let layers = graph.nodes.iter().filter(|n| n.op.weight_and_bias().is_some()).count();
    let doubt = doubt(samples);
    let stopped = Cell::new(false);
    let go_on = |done| {
        let event = Event::Progress { stage: "round", done, total: Some(layers) };
        stopped.set(stopped.get() || !progress(event));
        !stopped.get()
    };
    let open = |node: &Node| node.op.weight_and_bias().is_some() && node.given.is_none();
    let mut networks = (how.needs_inputs() && graph.nodes.iter().any(open)).then(|| {
        let two = how.layerwise.inputs == Inputs::Quantized;
        SideBySide::new(samples, two, quantized, how.device)
    });
    let mut done = 0;
    for (index, node) in graph.nodes.iter().enumerate() {
        if let Some((weight, bias)) = node.op.weight_and_bias() {
            let input_scale = quantized.activations[node.inputs[0].0].grid.scale;
            let rounded = if let Some(given) = &node.given {
                given_weights(given, weight, bias, input_scale)
            } else {
                let moments =
                    networks.as_ref().and_then(|n| observe(n, &graph, index, how.layerwise));
                let moments = moments.as_ref();
                let layer = Layer { node, weight, bias, input_scale, moments, doubt };
                let go_on_with_layer = || go_on(done);
                layer.quantize(how, GoOn::new(&go_on_with_layer))?
            };
            quantized.weights[index] = Some(rounded);
            done += 1;
            if !go_on(done) {
                return Err(Cancelled.into());
            }
        }
        if let Some(networks) = &mut networks {
            networks.run(index, quantized);
        }
    }
    Ok(())
}

/// The integers that a file gives a layer.
fn given_weights(
    given: &GivenWeights,
    weight: &Array,
    bias: &Array,
    input_scale: f32,
) -> QuantizedWeights {
    let (low, high) = weight_range(given.bits);
    let row = (weight.len() / given.scales.len().max(1)).max(1);
    let integer = |(i, w): (usize, &f32)| {
        let steps = f64::from(*w) / f64::from(given.scales[i / row]);
        (steps.round() as i32).clamp(low, high) as i8
    };
    let values = weight.data.iter().enumerate().map(integer).collect();
    let mut scales = given.scales.clone();
    // One for all is one multiplier.
    if scales.iter().all(|scale| *scale == scales[0]) {
        scales.truncate(1);
    }
    let mut weights =
        QuantizedWeights { bits: given.bits, scales, values, bias: vec![0; bias.len()] };
    let bias: Vec<f64> = bias.data.iter().map(|&b| f64::from(b)).collect();
    weights.set_bias(&bias, input_scale);
    weights
}

/// A layer whose turn has come.
struct Layer<'a> {
    node: &'a Node,
    weight: &'a Array,
    bias: &'a Array,
    input_scale: f32,
    moments: Option<&'a Moments>,
    /// How little the samples say of inputs that were not among them.
    doubt: f64,
}

/// Samples from which on they are taken at their word.
const ENOUGH_SAMPLES: usize = 8;

/// The share of what samples show that is doubted: most of it for a single one, or for many that are
/// equal, and nothing from [`ENOUGH_SAMPLES`] different ones on.
fn doubt(samples: &Batch) -> f64 {
    let mut different: Vec<&[f32]> = Vec::new();
    for sample in samples.samples() {
        if different.len() >= ENOUGH_SAMPLES {
            return 0.0;
        }
        if !different.contains(&sample) {
            different.push(sample);
        }
    }
    8.0 / (8.0 + different.len() as f64)
}

impl Layer<'_> {
    fn quantize(&self, how: LayerRounding, go_on: GoOn) -> Result<QuantizedWeights, QuantizeError> {
        let Layerwise { damping, fit_bias, .. } = *how.layerwise;
        let scheme = how.plan.weight_scheme(self.node)?;
        let (weight, unit) = in_usual_units(self.weight);
        let weight = weight.as_ref();
        let quadratic = self.moments.map(|m| m.quadratic(weight, damping, fit_bias, self.doubt));
        let quadratic = quadratic.as_ref();
        let problem = WeightProblem { weight, scheme, quadratic };
        let mut qparams = weight_qparams(how.range, &problem);
        refine_factors(&mut qparams, weight);
        self.widen_for_bias(&mut qparams, unit);
        let problem = RoundingProblem {
            layer: &self.node.name,
            weight,
            quadratic,
            qparams: &qparams,
            seed: how.seed,
            device: how.device,
            go_on,
        };
        let Rounded { values, mut scales } = how.rounding.round(&problem);
        scales.iter_mut().for_each(|s| *s = (*s * unit).clamp(f32::MIN_POSITIVE, f32::MAX));
        let channels = self.bias.len();
        let mut weights =
            QuantizedWeights { bits: scheme.bits, scales, values, bias: vec![0; channels] };
        let mut bias: Vec<f64> = self.bias.data.iter().map(|&b| f64::from(b)).collect();
        if let Some(moments) = self.moments.filter(|_| fit_bias) {
            let rounded = weights.dequantize(&self.weight.shape);
            let shifts = moments.mean_shift(&rounded, self.weight);
            let believed = shifts.into_iter().map(|shift| (1.0 - self.doubt) * shift);
            let finite = believed.map(|shift| if shift.is_finite() { shift } else { 0.0 });
            bias.iter_mut().zip(finite).for_each(|(bias, shift)| *bias -= shift);
        }
        weights.set_bias(&bias, self.input_scale);
        Ok(weights)
    }

    /// A channel of tiny weights must not have so small a scale that its bias overflows.
    ///
    /// Scales are multiples of `unit`.
    fn widen_for_bias(&self, qparams: &mut QParams, unit: f32) {
        let channels = qparams.scales.len();
        for (c, &b) in self.bias.data.iter().enumerate() {
            let step = f64::from(self.input_scale) * f64::from(unit);
            let needed = least_scale(f64::from(b.abs()), step);
            let scale = &mut qparams.scales[c % channels];
            if *scale < needed {
                let power_of_two = qparams.scheme.power_of_two;
                *scale = if power_of_two { needed.log2().ceil().exp2() } else { needed };
            }
        }
    }
}

/// Gives channels of a single weight, such as factors of a normalization, the finest grid that reaches it: any grid that
/// has it is as good for the weight, and this one is best for the bias, whose steps follow it.
fn refine_factors(qparams: &mut QParams, weight: &Array) {
    if qparams.scales.len() != weight.len() {
        return;
    }
    let (low, high) = weight_range(qparams.scheme.bits);
    for (scale, &w) in qparams.scales.iter_mut().zip(&weight.data) {
        let reach = if w < 0.0 { low } else { high };
        let finest = (f64::from(w) / f64::from(reach)) as f32;
        let finest = if qparams.scheme.power_of_two { finest.log2().ceil().exp2() } else { finest };
        if finest.is_normal() && finest < *scale {
            *scale = finest;
        }
    }
}

/// Weights as multiples of a power of two, in which methods can square their errors; those too small
/// for floats to have steps are zero.
fn in_usual_units(weight: &Array) -> (Cow<'_, Array>, f32) {
    let magnitude = weight.data.iter().fold(0.0_f32, |m, w| m.max(w.abs()));
    if is_zero(Range { min: -magnitude, max: magnitude }) {
        let zero = || Cow::Owned(Array::full(weight.shape.clone(), 0.0));
        return (if magnitude > 0.0 { zero() } else { Cow::Borrowed(weight) }, 1.0);
    }
    let unit = unit(magnitude);
    if unit == 1.0 {
        return (Cow::Borrowed(weight), 1.0);
    }
    let data = weight.data.iter().map(|w| w / unit).collect();
    (Cow::Owned(Array::new(weight.shape.clone(), data)), unit)
}

/// Observes the inputs of a layer.
fn observe(networks: &SideBySide, graph: &Graph, index: usize, how: &Layerwise) -> Option<Moments> {
    let node = &graph.nodes[index];
    let input = node.inputs[0];
    let samples = networks.samples() * networks.runs(index);
    let (weight, _) = node.op.weight_and_bias()?;
    let rows = (weight.len() / weight.shape[0] * how.rows).max(FEWEST_ROWS);
    let dims = graph.value(input).dims();
    let mut observer = MomentsObserver::new(&node.op, dims, samples, rows)?;
    let two = how.inputs == Inputs::Quantized;
    for [float, quantized] in networks.batches(input)? {
        observer.observe(quantized, two.then_some(float));
    }
    Some(observer.moments())
}
