//! A part of the network with variables in place of its quantized weights.

use std::collections::HashMap;
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::Reconstruction;
use super::blocks::Segment;
use super::variables::{ActivationVariables, LayerVariables};
use crate::graph::ops::OutputGrid;
use crate::graph::{Graph, Held, Node, Parameters, ValueId, for_batch, run_nodes};
use crate::quant::QuantizedGraph;

/// A segment whose weights, biases and scales are variables: a Burn module on an autodiff device.
#[derive(Module, Debug)]
pub struct SegmentModel {
    layers: Vec<LayerVariables>,
    activations: Vec<ActivationVariables>,
    #[module(skip)]
    plan: Arc<Plan>,
}

/// What the variables belong to.
#[derive(Debug)]
struct Plan {
    graph: Arc<Graph>,
    segment: Segment,
    /// The layer of each node of the segment that has weights.
    layer_of: Vec<Option<usize>>,
    /// Where constants are.
    device: Device,
    /// The activation variables that round each value, by the value's index.
    rounding_of: Vec<Option<usize>>,
}

/// The values of a batch at the border of a segment, by value.
pub(super) type Values = HashMap<ValueId, Tensor<4>>;

impl SegmentModel {
    /// The variables of `segment`, standing for what `quantized` has.
    ///
    /// `spreads` are standard deviations of values in the float network, by index. Activations of
    /// more than `rounded_bits` are not rounded.
    pub fn new(
        quantized: &QuantizedGraph,
        segment: &Segment,
        spreads: &[f32],
        rounded_bits: u8,
        recipe: &Reconstruction,
        device: &Device,
    ) -> Self {
        let graph = Arc::clone(&quantized.graph);
        let groups = graph.grid_groups();
        let (mut layers, mut activations) = (Vec::new(), Vec::new());
        let mut layer_of = Vec::new();
        let mut of_group: HashMap<usize, usize> = HashMap::new();
        let mut rounding_of = vec![None; graph.values.len()];
        for index in segment.nodes.clone() {
            let node = &graph.nodes[index];
            let output = quantized.activations[node.output.0];
            let layer = quantized.weights[index].as_ref().zip(node.op.weight_and_bias());
            layer_of.push(layer.map(|(weights, (float, _))| {
                let input = quantized.activations[node.inputs[0].0].grid.scale;
                let spread = spreads[node.output.0];
                let dims = &float.shape;
                layers.push(LayerVariables::new(weights, dims, input, spread, recipe, device));
                layers.len() - 1
            }));
            if output.bits <= rounded_bits {
                let group = groups[node.output.0];
                let at = *of_group.entry(group).or_insert_with(|| {
                    let fixed = matches!(
                        node.op.operator().output_grid(),
                        OutputGrid::Fixed { .. } | OutputGrid::Places
                    );
                    let learn = recipe.learn_activation_scales && !fixed;
                    activations.push(ActivationVariables::new(output.grid, learn, device));
                    activations.len() - 1
                });
                rounding_of[node.output.0] = Some(at);
            }
        }
        let device = device.clone();
        let plan = Plan { graph, segment: segment.clone(), layer_of, device, rounding_of };
        Self { layers, activations, plan: Arc::new(plan) }
    }

    /// Runs a batch from the values in `inputs` and returns those of the segment's targets, before
    /// they are rounded.
    ///
    /// `keep` draws which elements of an activation are rounded; all if it gives none.
    pub fn forward(
        &self,
        inputs: &Values,
        mut keep: impl FnMut([usize; 4]) -> Option<Tensor<4>>,
    ) -> Vec<Tensor<4>> {
        let plan = &self.plan;
        run(&plan.graph, &plan.segment, inputs, |at, node, inputs| {
            let value = match plan.layer_of[at] {
                Some(layer) => {
                    let parameters = self.layers[layer].parameters();
                    node.op.operator().forward(inputs, &parameters)
                }
                None => {
                    let parameters = Parameters::new(node.op.parameters(), &plan.device).values();
                    node.op.operator().forward(inputs, &parameters)
                }
            };
            let value = node.clamp.map_or(value.clone(), |clamp| clamp.forward(value));
            let rounded = plan.rounding_of[node.output.0].map(|at| {
                let keep = keep(value.dims());
                self.activations[at].forward(value.clone(), keep)
            });
            (value, rounded)
        })
    }

    /// The mean cost of undecided weights over the layers; none without soft roundings.
    pub fn indecision(&self, beta: f64) -> Option<Tensor<1>> {
        let costs: Vec<Tensor<1>> = self.layers.iter().filter_map(|l| l.indecision(beta)).collect();
        let count = costs.len() as f64;
        costs.into_iter().reduce(|a, b| a + b).map(|sum| sum / count)
    }

    /// Writes what was learned into `quantized`, and says whether all of it is finite.
    pub fn store(&self, quantized: &mut QuantizedGraph) -> bool {
        let plan = &self.plan;
        let is_scale = |scale: &f32| scale.is_finite() && *scale > 0.0;
        let mut finite = true;
        for (value, at) in plan.rounding_of.iter().enumerate() {
            if let Some(at) = at {
                let scale = self.activations[*at].scale();
                finite &= is_scale(&scale);
                quantized.set_scale(ValueId(value), scale);
            }
        }
        for (index, layer) in plan.segment.nodes.clone().zip(&plan.layer_of) {
            let Some(layer) = layer else { continue };
            let (values, scales, bias) = self.layers[*layer].hardened();
            finite &= scales.iter().all(is_scale) && bias.iter().all(|bias| bias.is_finite());
            let input = quantized.activations[plan.graph.nodes[index].inputs[0].0].grid.scale;
            if let Some(weights) = &mut quantized.weights[index] {
                (weights.values, weights.scales) = (values, scales);
                weights.set_bias(&bias, input);
            }
        }
        finite
    }
}

/// Runs the nodes of a segment. `compute` gives a node's value and, if it differs, what later nodes
/// read.
fn run(
    graph: &Graph,
    segment: &Segment,
    inputs: &Values,
    mut compute: impl FnMut(usize, &Node, &[Tensor<4>]) -> (Tensor<4>, Option<Tensor<4>>),
) -> Vec<Tensor<4>> {
    let mut values: Held = vec![None; graph.values.len()];
    inputs.iter().for_each(|(id, value)| values[id.0] = Some(value.clone()));
    // A part without inputs is all constants.
    let batch = inputs.values().next().map_or(1, |value| value.dims()[0]);
    let mut targets = vec![None; segment.targets.len()];
    let target = |id: ValueId| segment.targets.iter().position(|t| *t == id);
    let compute = |index: usize, node: &Node, inputs: &[Tensor<4>]| {
        let (value, rounded) = compute(index - segment.nodes.start, node, inputs);
        if let Some(place) = target(node.output) {
            targets[place] = Some(for_batch(node, value.clone(), batch));
        }
        rounded.unwrap_or(value)
    };
    let keep = |_: usize, value| value;
    run_nodes(graph, segment.nodes.clone(), batch, &mut values, compute, keep, |_, _| {});
    // What leaves a loop is moved, not computed.
    for (place, id) in segment.targets.iter().enumerate() {
        if targets[place].is_none() {
            targets[place] = values[id.0].take();
        }
    }
    targets.into_iter().flatten().collect()
}

/// A part of the float network.
pub(super) struct FloatSegment {
    graph: Arc<Graph>,
    segment: Segment,
    layers: Vec<Vec<Tensor<1>>>,
}

impl FloatSegment {
    pub(super) fn new(graph: &Arc<Graph>, segment: &Segment, device: &Device) -> Self {
        let parameters = |n: &Node| Parameters::new(n.op.parameters(), device).values();
        let layers = graph.nodes[segment.nodes.clone()].iter().map(parameters).collect();
        Self { graph: Arc::clone(graph), segment: segment.clone(), layers }
    }

    /// Runs a batch from the values in `inputs` and returns those of the segment's targets.
    pub(super) fn forward(&self, inputs: &Values) -> Vec<Tensor<4>> {
        self.forward_with(inputs, |_, value| value)
    }

    /// As [`forward`](Self::forward); `hook` may replace every value that a node writes.
    pub(super) fn forward_with(
        &self,
        inputs: &Values,
        mut hook: impl FnMut(ValueId, Tensor<4>) -> Tensor<4>,
    ) -> Vec<Tensor<4>> {
        run(&self.graph, &self.segment, inputs, |at, node, inputs| {
            let value = node.op.operator().forward(inputs, &self.layers[at]);
            let value = node.clamp.map_or(value.clone(), |clamp| clamp.forward(value));
            (hook(node.output, value), None)
        })
    }
}
