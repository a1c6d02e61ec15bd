//! The float network and the quantized one side by side, node by node; loops as a whole, whose steps are samples
//! of the nodes in them.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{Device, Tensor};

use super::{FakeQuantize, QuantizedGraph};
use crate::graph::{Batch, Graph, Held, Node, Parameters, StepLoop, ValueId, for_batch, run_nodes};

/// Samples that run at once.
const CHUNK: usize = 64;

/// The values of both networks that later layers read.
pub(crate) struct SideBySide {
    graph: Arc<Graph>,
    device: Device,
    samples: usize,
    /// The samples of each batch.
    batches: Vec<usize>,
    /// Whether the two differ.
    two: bool,
    values: Vec<Option<Vec<Pair>>>,
    loops: Vec<StepLoop>,
}

/// A batch of a value, in the float network and in the quantized one.
pub(crate) type Pair = [Tensor<4>; 2];

impl SideBySide {
    /// Both networks before their first node, with `samples` as inputs.
    ///
    /// Without `two`, the float network stands for the quantized one too.
    pub(crate) fn new(
        samples: &Batch,
        two: bool,
        quantized: &QuantizedGraph,
        device: &Device,
    ) -> Self {
        let graph = Arc::clone(&quantized.graph);
        let mut batches = Vec::new();
        let mut values: Vec<Option<Vec<Pair>>> = vec![None; graph.values.len()];
        for chunk in samples.chunks(CHUNK) {
            batches.push(chunk.count);
            for (&id, x) in graph.inputs.iter().zip(chunk.into_tensors(&graph, device)) {
                let rounded = if two { rounded(quantized, id, &x) } else { x.clone() };
                values[id.0].get_or_insert_default().push([x, rounded]);
            }
        }
        let (device, loops) = (device.clone(), graph.loops());
        Self { graph, device, samples: samples.count, batches, two, values, loops }
    }

    /// The number of samples.
    pub(crate) fn samples(&self) -> usize {
        self.samples
    }

    /// A value in both networks, batch by batch; `None` before it is computed and after its last
    /// reader has run.
    pub(crate) fn batches(&self, value: ValueId) -> Option<&[Pair]> {
        self.values[value.0].as_deref()
    }

    /// A value of all samples, in the float network and in the quantized one.
    pub(crate) fn all(&self, value: ValueId) -> Option<Pair> {
        let batches = self.batches(value)?;
        let network = |at: usize| Tensor::cat(batches.iter().map(|b| b[at].clone()).collect(), 0);
        Some([network(0), network(1)])
    }

    /// How often node `index` runs for a sample: a value that it writes has as many samples of all of them.
    pub(crate) fn runs(&self, index: usize) -> usize {
        self.loop_of(index).map_or(1, |found| found.steps)
    }

    fn loop_of(&self, index: usize) -> Option<&StepLoop> {
        self.loops.iter().find(|found| found.nodes.contains(&index))
    }

    /// Runs node `index` in both networks and drops what nobody reads any more.
    pub(crate) fn run(&mut self, index: usize, quantized: &QuantizedGraph) {
        match self.loop_of(index).cloned() {
            Some(found) => self.run_loop(&found, index, quantized),
            None => {
                let outputs = self.outputs(index, quantized);
                self.store(index, outputs, quantized);
            }
        }
    }

    /// Runs all steps of a loop: before its first node, and when the weights of the node at `index` are decided,
    /// which change what every step after the first one finds.
    ///
    /// Of a value in a loop there are as many samples as steps, of one step after those of another.
    fn run_loop(&mut self, found: &StepLoop, index: usize, quantized: &QuantizedGraph) {
        let (nodes, first) = (found.nodes.clone(), index == found.nodes.start);
        let networks = match (first, self.two) {
            (true, true) => vec![0, 1],
            (true, false) => vec![0],
            // The float network has run, and is not changed.
            (false, true) if quantized.weights[index].is_some() => vec![1],
            (false, _) => Vec::new(),
        };
        for network in networks {
            for chunk in 0..self.batches.len() {
                let written = self.loop_values(&nodes, network, chunk, quantized);
                for (node, tensors) in self.graph.nodes[nodes.clone()].iter().zip(written) {
                    let all = if tensors.len() == 1 {
                        tensors[0].clone()
                    } else {
                        Tensor::cat(tensors, 0)
                    };
                    let pairs = self.values[node.output.0].get_or_insert_default();
                    match pairs.get_mut(chunk) {
                        Some(pair) => pair[1] = all,
                        None => pairs.push([all.clone(), all]),
                    }
                }
            }
        }
        if index + 1 == nodes.end {
            let graph = Arc::clone(&self.graph);
            for at in nodes {
                let node = &graph.nodes[at];
                node.inputs.iter().for_each(|&input| self.drop_dead(index, input));
            }
        }
    }

    /// What the nodes of a loop write in a network, of a batch, step after step.
    fn loop_values(
        &self,
        nodes: &Range<usize>,
        network: usize,
        chunk: usize,
        quantized: &QuantizedGraph,
    ) -> Vec<Vec<Tensor<4>>> {
        let parameters: Vec<Parameters> = nodes
            .clone()
            .map(|index| match network {
                0 => Parameters::new(self.graph.nodes[index].op.parameters(), &self.device),
                _ => quantized.parameters(index, &self.device),
            })
            .collect();
        let mut values: Held = vec![None; self.graph.values.len()];
        for input in self.graph.nodes[nodes.clone()].iter().flat_map(|node| &node.inputs) {
            let pair = self.batches(*input).and_then(|chunks| chunks.get(chunk));
            // Steps of an earlier run are not inputs of this one.
            if self.graph.producer(*input).is_none_or(|index| index < nodes.start) {
                values[input.0] = pair.map(|pair| pair[network].clone());
            }
        }
        let mut written: Vec<Vec<Tensor<4>>> = vec![Vec::new(); nodes.len()];
        let compute = |index: usize, node: &Node, inputs: &[Tensor<4>]| {
            let parameters = parameters[index - nodes.start].values();
            let value = node.op.operator().forward(inputs, &parameters);
            let value = node.clamp.map_or(value.clone(), |clamp| clamp.forward(value));
            if network == 1 { rounded(quantized, node.output, &value) } else { value }
        };
        let keep = |index: usize, value: Tensor<4>| {
            written[index - nodes.start].push(value.clone());
            value
        };
        let batch = self.batches[chunk];
        run_nodes(&self.graph, nodes.clone(), batch, &mut values, compute, keep, |_, _| {});
        written
    }

    /// What node `index` gives in both networks, before its activation function; in a loop, of all its steps.
    pub(crate) fn outputs(&self, index: usize, quantized: &QuantizedGraph) -> Vec<Pair> {
        let node = &self.graph.nodes[index];
        let inputs: Vec<&[Pair]> = (node.inputs.iter())
            .map(|v| self.batches(*v).expect("a verified graph is in order"))
            .collect();
        let compute = |chunk: usize, network: usize| {
            let inputs: Vec<Tensor<4>> =
                inputs.iter().map(|chunks| chunks[chunk][network].clone()).collect();
            let parameters = match network {
                0 => Parameters::new(node.op.parameters(), &self.device),
                _ => quantized.parameters(index, &self.device),
            };
            let output = node.op.operator().forward(&inputs, &parameters.values());
            for_batch(node, output, self.batches[chunk] * self.runs(index))
        };
        (0..self.batches.len())
            .map(|chunk| {
                let float = compute(chunk, 0);
                let simulated = if self.two { compute(chunk, 1) } else { float.clone() };
                [float, simulated]
            })
            .collect()
    }

    /// Takes over what node `index` gives before its activation function, and drops what nobody
    /// reads any more. In a loop it runs anew, by its weights: steps find what the steps before leave.
    pub(crate) fn store(&mut self, index: usize, outputs: Vec<Pair>, quantized: &QuantizedGraph) {
        if let Some(found) = self.loop_of(index).cloned() {
            return self.run_loop(&found, index, quantized);
        }
        let graph = Arc::clone(&self.graph);
        let node = &graph.nodes[index];
        let clamp = |x: Tensor<4>| node.clamp.map_or(x.clone(), |clamp| clamp.forward(x));
        let outputs = outputs.into_iter().map(|[float, simulated]| {
            let float = clamp(float);
            let simulated = match self.two {
                true => rounded(quantized, node.output, &clamp(simulated)),
                false => float.clone(),
            };
            [float, simulated]
        });
        self.values[node.output.0] = Some(outputs.collect());
        node.inputs.iter().for_each(|&input| self.drop_dead(index, input));
    }

    /// Drops a value that nobody reads behind node `index`.
    fn drop_dead(&mut self, index: usize, value: ValueId) {
        if self.graph.nodes[index + 1..].iter().all(|n| !n.inputs.contains(&value)) {
            self.values[value.0] = None;
        }
    }
}

fn rounded(quantized: &QuantizedGraph, id: ValueId, x: &Tensor<4>) -> Tensor<4> {
    FakeQuantize::new(quantized.activations[id.0].grid).forward(x.clone())
}
