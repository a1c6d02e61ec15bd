//! Facts out of what the pipeline has at hand.

use std::sync::Arc;

use burn::tensor::Device;

use super::batch_norm::{FirstNorm, median};
use super::{CalibrationFacts, LayerFacts, OutputFacts};
use crate::calibrate::Calibration;
use crate::graph::ops::OutputGrid;
use crate::graph::{Graph, ValueId};
use crate::network::{Noise, ValueNoise, weight_sqnr};
use crate::quant::QuantizedGraph;

/// Samples on which batch normalization is looked at.
pub const BATCH_NORM_SAMPLES: usize = 64;

impl CalibrationFacts {
    /// What `calibration` found out of the prepared graph; `made` says that its samples were made.
    pub(crate) fn new(
        graph: &Arc<Graph>,
        calibration: &Calibration,
        made: bool,
        device: &Device,
    ) -> Self {
        let inputs = || graph.inputs.iter().map(|input| &calibration.values[input.0]);
        let samples = calibration.samples.first(BATCH_NORM_SAMPLES);
        let looked_at = !made && !samples.is_empty();
        Self {
            made,
            samples: calibration.seen,
            distinct: calibration.distinct,
            input: [
                inputs().map(|input| input.min).fold(f32::INFINITY, f32::min),
                inputs().map(|input| input.max).fold(f32::NEG_INFINITY, f32::max),
            ],
            batch_norm: FirstNorm::of(graph, device)
                .filter(|_| looked_at)
                .and_then(|norm| norm.measure(&samples)),
        }
    }
}

/// What is known of the layers of a quantized network, whose noise was measured.
pub(crate) fn layer_facts(quantized: &QuantizedGraph, noise: &Noise) -> Vec<LayerFacts> {
    let graph = &quantized.graph;
    let of = |id: ValueId| noise.values[id.0].as_ref();
    let fact = |(index, node): (usize, &crate::graph::Node)| {
        // Places are right or wrong, and not more or less so.
        let operator = node.op.operator();
        if node.op.rearranges() || operator.output_grid() == OutputGrid::Places {
            return None;
        }
        // Of what only moved, the noise began where it was computed.
        let source = |&id: &ValueId| moved_from(graph, id);
        let inputs = || node.inputs.iter().map(source).filter_map(|id| Some((id, of(id)?)));
        let output = of(node.output)?;
        let ratios = inputs().filter_map(|(_, noise)| noise.sqnr_db());
        let spreads = inputs().filter_map(|(id, noise)| {
            let writer = graph.producer(id).map_or(&graph.value(id).name, |n| &graph.nodes[n].name);
            Some((writer.clone(), spread(noise)?))
        });
        Some(LayerFacts {
            name: node.name.clone(),
            sqnr_db: output.sqnr_db(),
            inputs_db: ratios.min_by(f64::total_cmp),
            weight_sqnr_db: weight_sqnr(quantized, index),
            outside: output.outside as f64 / output.elements.max(1) as f64,
            channels: output.largest.clone(),
            outlier: spreads.max_by(|a, b| a.1.total_cmp(&b.1)),
        })
    };
    graph.nodes.iter().enumerate().filter_map(fact).collect()
}

/// The value whose elements moved to `id`, or that itself.
fn moved_from(graph: &Graph, id: ValueId) -> ValueId {
    let mut id = id;
    while let Some(node) = graph.producer(id).map(|index| &graph.nodes[index])
        && node.op.rearranges()
    {
        id = node.inputs[0];
    }
    id
}

/// The facts about outputs, without those of a softmax, whose grid is fixed.
pub(crate) fn output_facts(quantized: &QuantizedGraph, noise: &Noise) -> Vec<OutputFacts> {
    let fact = |id: &ValueId| {
        let (low, high) = noise.values.get(id.0)?.as_ref()?.bins.extremes?;
        let name = quantized.graph.value(*id).name.clone();
        Some(OutputFacts { name, low, high, step: quantized.activations[id.0].grid.scale })
    };
    let graph = &quantized.graph;
    graph.outputs.iter().filter(|&&id| graph.final_softmax(id).is_none()).filter_map(fact).collect()
}

/// The range of the largest channel as a multiple of the median live channel's.
fn spread(noise: &ValueNoise) -> Option<f64> {
    let live: Vec<f64> =
        noise.largest.iter().filter(|&&x| x > 0.0).map(|&x| f64::from(x)).collect();
    let largest = live.iter().copied().fold(0.0, f64::max);
    Some(largest / median(live)?)
}

/// The fewest bits of any layer's weights and of any value but the model's input and output.
pub(crate) fn fewest_bits(quantized: &QuantizedGraph) -> (u8, u8) {
    let weights = quantized.weights.iter().flatten().map(|w| w.bits).min();
    let activations = quantized.activations.iter().map(|a| a.bits).min();
    (weights.unwrap_or(8), activations.unwrap_or(8))
}
