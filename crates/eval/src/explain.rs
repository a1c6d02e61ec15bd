//! What quantizing single layers costs: how much the network's predictions change when one layer
//! alone is quantized.

use std::sync::Arc;

use burn::tensor::Device;
use burn_ptq::graph::ops::OutputGrid;
use burn_ptq::graph::prediction::Prediction;
use burn_ptq::graph::{Batch, FloatModel, Graph, Node, Op, ValueId, to_vec};
use burn_ptq::network::Noise;
use burn_ptq::{Cancelled, Event, Progress};
use burn_ptq::{QuantizedGraph, SimulatedModel};
use serde::Serialize;

/// Samples that are run at once.
const CHUNK: usize = 16;

/// What it costs to quantize only one layer: its weights and its output.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LayerCost {
    /// The name in the source model.
    pub name: String,
    /// How much the network's predictions change: the mean over samples, see
    /// [`Explanation::loss`].
    pub loss: f64,
    /// Its standard error.
    pub loss_error: f64,
    /// The metric with only this layer quantized; absent without evaluation data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<f64>,
    /// How much worse that is than the float network, on the same samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<f64>,
    /// Its standard error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_error: Option<f64>,
}

/// The costs of all layers.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// How predictions are compared: `kl-divergence` of the class probabilities from the float
    /// network's, in nats, or `relative-squared-error`: the mean squared difference of the outputs as
    /// a share of their variance.
    pub loss: &'static str,
    /// The layers, the most expensive first, and which node of the quantized graph each is.
    pub layers: Vec<(usize, LayerCost)>,
}

/// Whether a node is a layer: it has weights, or a grid that no other value decides.
fn is_layer(node: &Node) -> bool {
    let own = node.op.operator().output_grid() != OutputGrid::Shared;
    !matches!(node.op, Op::Requantize(_)) && (own || node.op.weight_and_bias().is_some())
}

/// Quantizes one layer after the other alone and compares the network's predictions with the float
/// network's, on the samples on which `noise` was measured.
///
/// The outputs are taken for logits if the network ends in a softmax or `classifies` says so; the losses
/// of several outputs are added up.
///
/// # Errors
/// On cancellation.
pub(crate) fn explain(
    quantized: &QuantizedGraph,
    noise: &Noise,
    classifies: bool,
    device: &Device,
    progress: Progress,
) -> Result<Explanation, Cancelled> {
    let graph = &quantized.graph;
    let comparison = Comparison::new(graph, noise, classifies, device);
    let layers: Vec<usize> =
        (0..graph.nodes.len()).filter(|&index| is_layer(&graph.nodes[index])).collect();
    let mut costs = Vec::new();
    for (done, &index) in layers.iter().enumerate() {
        let node = &graph.nodes[index];
        let model = SimulatedModel::of_node(quantized, index, device);
        let event = Event::Progress { stage: "explain", done, total: Some(layers.len()) };
        let losses = comparison.losses(&model, quantized, Some(node), device, progress, event)?;
        let (loss, loss_error) = mean_and_error(&losses);
        let (metric, lost, lost_error) = (None, None, None);
        let name = node.name.clone();
        costs.push((index, LayerCost { name, loss, loss_error, metric, lost, lost_error }));
    }
    costs.sort_by(|a, b| b.1.loss.total_cmp(&a.1.loss));
    Ok(Explanation { loss: comparison.name(), layers: costs })
}

/// How much the predictions of the whole quantized network differ from the float network's: a number for each
/// sample on which `noise` was measured, as [`explain`] has them for single layers.
///
/// # Errors
/// On cancellation.
pub(crate) fn network_losses(
    quantized: &QuantizedGraph,
    noise: &Noise,
    classifies: bool,
    device: &Device,
    progress: Progress,
) -> Result<Vec<f64>, Cancelled> {
    let comparison = Comparison::new(&quantized.graph, noise, classifies, device);
    let model = SimulatedModel::new(quantized, device);
    let event = Event::Progress { stage: "compare", done: 0, total: None };
    comparison.losses(&model, quantized, None, device, progress, event)
}

/// The float network's predictions, and how others are compared with them.
struct Comparison {
    predictions: Vec<Predictions>,
    logits: bool,
    chunks: Vec<Batch>,
    /// By prediction and chunk.
    wanted: Vec<Vec<Vec<f32>>>,
    variances: Vec<f64>,
}

impl Comparison {
    fn new(graph: &Arc<Graph>, noise: &Noise, classifies: bool, device: &Device) -> Self {
        let predictions = Predictions::all(graph, classifies);
        let float = FloatModel::new(Arc::clone(graph), device);
        let chunks: Vec<Batch> = noise.inputs.chunks(CHUNK).collect();
        let mut wanted: Vec<Vec<Vec<f32>>> = vec![Vec::new(); predictions.len()];
        for chunk in &chunks {
            float.forward_with(chunk.clone().into_tensors(graph, device), |id, value| {
                let of_value = |(_, p): &(_, &Predictions)| p.value == id;
                for (wanted, _) in wanted.iter_mut().zip(&predictions).filter(of_value) {
                    wanted.push(to_vec(value.clone()));
                }
                value
            });
        }
        let variances = predictions.iter().zip(&wanted).map(|(p, wanted)| p.variance(wanted));
        Self {
            variances: variances.collect(),
            logits: predictions.iter().all(|p| p.logits),
            predictions,
            chunks,
            wanted,
        }
    }

    /// How predictions are compared.
    fn name(&self) -> &'static str {
        if self.logits { "kl-divergence" } else { "relative-squared-error" }
    }

    /// The losses of `model`, of which `node` alone is quantized if there is one; tells `event` for every
    /// chunk.
    fn losses(
        &self,
        model: &SimulatedModel,
        quantized: &QuantizedGraph,
        node: Option<&Node>,
        device: &Device,
        progress: Progress,
        event: Event,
    ) -> Result<Vec<f64>, Cancelled> {
        // The last softmax changes probabilities behind the logits.
        let last =
            |p: &Predictions| self.logits && node.is_some_and(|node| node.output == p.output);
        let value = |p: &Predictions| if last(p) { p.output } else { p.value };
        let mut losses = Vec::new();
        for (at, chunk) in self.chunks.iter().enumerate() {
            event.tell(progress)?;
            let mut found = vec![Vec::new(); self.predictions.len()];
            let inputs = chunk.clone().into_tensors(&quantized.graph, device);
            model.forward_with(inputs, |id, output| {
                let of_value = |(_, p): &(_, &Predictions)| value(p) == id;
                for (found, _) in found.iter_mut().zip(&self.predictions).filter(of_value) {
                    *found = to_vec(output.clone());
                }
            });
            let mut sums: Vec<f64> = Vec::new();
            for (which, (prediction, found)) in self.predictions.iter().zip(&mut found).enumerate()
            {
                if last(prediction) && node.is_some_and(|node| matches!(node.op, Op::Softmax(_))) {
                    // Shares below half a step would be displayed as zero.
                    let half = 0.5 * quantized.activations[prediction.output.0].grid.scale;
                    found.iter_mut().for_each(|p| *p = p.max(half).ln());
                }
                let mut own = Vec::new();
                let (wanted, variance) = (&self.wanted[which][at], self.variances[which]);
                prediction.losses(found, wanted, variance, &mut own);
                match sums.is_empty() {
                    true => sums = own,
                    false => sums.iter_mut().zip(own).for_each(|(sum, own)| *sum += own),
                }
            }
            losses.extend(sums);
        }
        Ok(losses)
    }
}

/// The mean of numbers and its standard error; 0 for a single one.
pub(crate) fn mean_and_error(numbers: &[f64]) -> (f64, f64) {
    let count = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / count.max(1.0);
    let squares: f64 = numbers.iter().map(|x| (x - mean).powi(2)).sum();
    (mean, (squares / (count - 1.0).max(1.0) / count.max(1.0)).sqrt())
}

/// How predictions lie in memory.
struct Predictions {
    /// The output of the network.
    output: ValueId,
    /// What is compared.
    value: ValueId,
    logits: bool,
    /// The extents before, along and after the axis of the classes.
    extents: [usize; 3],
}

impl Predictions {
    /// Those of all outputs: of classes where every output has some.
    fn all(graph: &Graph, classifies: bool) -> Vec<Self> {
        let outputs = || graph.outputs.iter().copied();
        let all: Vec<Self> = outputs().map(|o| Self::new(graph, o, classifies)).collect();
        if all.iter().all(|p| p.logits) {
            return all;
        }
        let whole = |output: ValueId| {
            let [before, at, after] = graph.value(output).dims();
            Self { output, value: output, logits: false, extents: [before, at, after] }
        };
        outputs().map(whole).collect()
    }

    fn new(graph: &Graph, output: ValueId, classifies: bool) -> Self {
        let Prediction { value, classes } = Prediction::of(graph, output);
        let dims = graph.value(value).dims();
        let axis = classes.or_else(|| (classifies && dims[0] > 1).then_some(0));
        let at = axis.unwrap_or(0);
        let extents = [dims[..at].iter().product(), dims[at], dims[at + 1..].iter().product()];
        Self { output, value, logits: axis.is_some(), extents }
    }

    /// The mean over elements of their variance over samples; 1 if nothing varies.
    fn variance(&self, batches: &[Vec<f32>]) -> f64 {
        let len: usize = self.extents.iter().product();
        let samples: Vec<&[f32]> = batches.iter().flat_map(|batch| batch.chunks(len)).collect();
        let of_element = |i: usize| {
            let values: Vec<f64> = samples.iter().map(|sample| f64::from(sample[i])).collect();
            let (_, error) = mean_and_error(&values);
            error * error * values.len() as f64
        };
        let variance = (0..len).map(of_element).sum::<f64>() / len as f64;
        if variance > 0.0 { variance } else { 1.0 }
    }

    /// The losses of a batch, a number for each sample.
    fn losses(&self, found: &[f32], wanted: &[f32], variance: f64, losses: &mut Vec<f64>) {
        let [before, classes, after] = self.extents;
        let len = before * classes * after;
        for (found, wanted) in found.chunks(len).zip(wanted.chunks(len)) {
            losses.push(if self.logits {
                let mut sum = 0.0;
                for place in 0..before * after {
                    let start = place / after * classes * after + place % after;
                    let of = |all: &[f32]| -> Vec<f64> {
                        (0..classes).map(|c| f64::from(all[start + c * after])).collect()
                    };
                    sum += divergence(&of(found), &of(wanted));
                }
                sum / (before * after) as f64
            } else {
                let squares = found.iter().zip(wanted).map(|(a, b)| f64::from(a - b).powi(2));
                squares.sum::<f64>() / len as f64 / variance
            });
        }
    }
}

/// `KL(softmax(wanted) || softmax(found))`, in nats.
fn divergence(found: &[f64], wanted: &[f64]) -> f64 {
    let log_softmax = |logits: &[f64]| -> Vec<f64> {
        let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logits.iter().map(|x| (x - most).exp()).sum();
        logits.iter().map(|x| x - most - sum.ln()).collect()
    };
    let (found, wanted) = (log_softmax(found), log_softmax(wanted));
    wanted.iter().zip(&found).map(|(w, f)| w.exp() * (w - f)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_divergence_of_equal_predictions_is_0_and_of_others_positive() {
        assert!(divergence(&[1.0, 2.0, 3.0], &[11.0, 12.0, 13.0]).abs() < 1e-12);
        let halves = divergence(&[0.0, 0.0], &[0.9_f64.ln(), 0.1_f64.ln()]);
        let expected = 0.9 * (0.9_f64 / 0.5).ln() + 0.1 * (0.1_f64 / 0.5).ln();
        assert!((halves - expected).abs() < 1e-12);
    }

    #[test]
    fn classes_of_maps_are_compared_place_by_place() {
        let (output, value) = (ValueId(0), ValueId(0));
        let predictions = Predictions { output, value, logits: true, extents: [1, 2, 3] };
        // Two classes at three places; the second place alone differs.
        let wanted = [0.0, 1.0, 2.0, 0.0, 0.0, 0.0];
        let found = [5.0, 0.0, 4.0, 5.0, 0.0, 2.0];
        let mut losses = Vec::new();
        predictions.losses(&found, &wanted, 1.0, &mut losses);
        let expected = divergence(&[0.0, 0.0], &[1.0, 0.0]) / 3.0;
        assert!((losses[0] - expected).abs() < 1e-12, "{losses:?}");
    }

    #[test]
    fn errors_are_those_of_the_mean() {
        assert_eq!(mean_and_error(&[2.0]), (2.0, 0.0));
        let (mean, error) = mean_and_error(&[1.0, 2.0, 3.0]);
        assert!((mean - 2.0).abs() < 1e-12 && (error - (1.0_f64 / 3.0).sqrt()).abs() < 1e-12);
    }
}
