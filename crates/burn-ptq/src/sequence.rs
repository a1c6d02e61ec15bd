//! Networks with states on sequences: step after step, each with what the step before has left.
//!
//! A sequence is the inputs of its steps, one after the other, each as a sample of the network's inputs beside
//! its states, which begin at zero.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};

use crate::graph::{Batch, FloatModel, Graph, interleaved, to_vec};

/// How many elements a step takes: those of the inputs beside states.
pub fn step_len(graph: &Graph) -> usize {
    let len = |place: usize| graph.value(graph.inputs[place]).len();
    graph.fed_inputs().into_iter().map(len).sum()
}

/// Runs sequences through a network, and shows of each step the inputs, states among them, and the outputs, one
/// tensor each with all sequences in its batch.
///
/// `sequences` hold whole steps, all sequences as many; `forward` takes a tensor for each input of `graph`
/// and gives one for each output.
pub(crate) fn run_steps(
    graph: &Graph,
    sequences: &Batch,
    device: &Device,
    mut forward: impl FnMut(Vec<Tensor<4>>) -> Vec<Tensor<4>>,
    mut each: impl FnMut(&[Tensor<4>], &[Tensor<4>]),
) {
    let (count, len) = (sequences.count, step_len(graph).max(1));
    let mut states: Vec<Tensor<4>> = graph
        .states
        .iter()
        .map(|state| {
            let [a, b, c] = graph.value(graph.inputs[state.input]).dims();
            Tensor::zeros([count, a, b, c], device)
        })
        .collect();
    for step in 0..sequences.sample_len() / len {
        let mut start = 0;
        let mut inputs = Vec::with_capacity(graph.inputs.len());
        for (place, &id) in graph.inputs.iter().enumerate() {
            if let Some(state) = graph.states.iter().position(|state| state.input == place) {
                inputs.push(states[state].clone());
                continue;
            }
            let value = graph.value(id);
            let own = step * len + start..step * len + start + value.len();
            start += value.len();
            let values = sequences.samples().flat_map(|sequence| &sequence[own.clone()]).copied();
            let [a, b, c] = value.dims();
            let data =
                burn::tensor::TensorData::new(values.collect::<Vec<f32>>(), [count, a, b, c]);
            inputs.push(Tensor::from_data(data, device));
        }
        let outputs = forward(inputs.clone());
        each(&inputs, &outputs);
        for (state, held) in graph.states.iter().zip(&mut states) {
            let shape = held.dims();
            *held = outputs[state.output].clone().reshape(shape);
        }
    }
}

/// The outputs that the caller reads, of every step of every sequence: sequence after sequence, in each step
/// after step, of a step one output after the other.
pub fn outputs_of_steps(
    graph: &Graph,
    sequences: &Batch,
    device: &Device,
    forward: impl FnMut(Vec<Tensor<4>>) -> Vec<Tensor<4>>,
) -> Vec<f32> {
    let read = graph.read_outputs();
    let mut steps: Vec<Vec<f32>> = Vec::new();
    run_steps(graph, sequences, device, forward, |_, outputs| {
        let parts: Vec<Vec<f32>> =
            read.iter().map(|&place| to_vec(outputs[place].clone())).collect();
        steps.push(interleaved(&parts, sequences.count));
    });
    interleaved(&steps, sequences.count)
}

/// Makes samples of all inputs, states among them, out of sequences, by the float network.
#[derive(Debug)]
pub struct Unroll {
    model: FloatModel,
    graph: Arc<Graph>,
    device: Device,
}

impl Unroll {
    /// Prepares the float network.
    pub fn new(graph: &Graph, device: &Device) -> Self {
        let graph = Arc::new(graph.clone());
        Self { model: FloatModel::new(Arc::clone(&graph), device), graph, device: device.clone() }
    }

    /// The samples of all steps: sequence after sequence, step after step.
    pub fn samples(&self, sequences: &Batch) -> Batch {
        let mut steps: Vec<Vec<f32>> = Vec::new();
        let forward = |inputs| self.model.forward_all(inputs);
        run_steps(&self.graph, sequences, &self.device, forward, |inputs, _| {
            let parts: Vec<Vec<f32>> = inputs.iter().cloned().map(to_vec).collect();
            steps.push(interleaved(&parts, sequences.count));
        });
        Batch::new(interleaved(&steps, sequences.count), self.graph.sample_len())
    }
}
