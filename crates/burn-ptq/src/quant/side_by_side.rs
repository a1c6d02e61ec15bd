//! The float network and the quantized one side by side, node by node.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};

use super::{FakeQuantize, QuantizedGraph};
use crate::graph::{Batch, Graph, Parameters, ValueId, for_batch};

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
        Self { graph, device: device.clone(), samples: samples.count, batches, two, values }
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

    /// Runs node `index` in both networks and drops what nobody reads any more.
    pub(crate) fn run(&mut self, index: usize, quantized: &QuantizedGraph) {
        let outputs = self.outputs(index, quantized);
        self.store(index, outputs, quantized);
    }

    /// What node `index` gives in both networks, before its activation function.
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
            for_batch(node, output, self.batches[chunk])
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
    /// reads any more.
    pub(crate) fn store(&mut self, index: usize, outputs: Vec<Pair>, quantized: &QuantizedGraph) {
        let node = &self.graph.nodes[index];
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
        for input in &node.inputs {
            if self.graph.nodes[index + 1..].iter().all(|n| !n.inputs.contains(input)) {
                self.values[input.0] = None;
            }
        }
    }
}

fn rounded(quantized: &QuantizedGraph, id: ValueId, x: &Tensor<4>) -> Tensor<4> {
    FakeQuantize::new(quantized.activations[id.0].grid).forward(x.clone())
}
