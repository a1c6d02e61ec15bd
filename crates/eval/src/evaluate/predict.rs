//! Networks as they are evaluated: float, simulated, partly quantized and integer.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use burn_ptq_deploy::place::Placed;
use burn_ptq_deploy::run::{
    Interpreter, Path as KernelPath, dequantize_outputs, quantize_inputs, run_sequences,
};

use crate::error::Error;

use burn_ptq::graph::{Batch, FloatModel, Graph, interleaved, to_vec};
use burn_ptq::outputs_of_steps;
use burn_ptq::{QuantizedGraph, SimulatedModel};

/// Runs a batch of preprocessed samples, one after the other, and returns their outputs likewise,
/// in the order of the source model; of a sample all inputs, and all outputs, one after the other.
///
/// A sample of a network with states is a sequence: its steps, one after the other, each as all inputs
/// beside states. So are its outputs.
pub type Predict<'a> = &'a mut dyn FnMut(Batch) -> Result<Vec<f32>, Error>;

/// Runs a network on samples, or on sequences if it has states, and returns those of all outputs, one output of
/// a sample after the other.
fn run(
    samples: Batch,
    graph: &Graph,
    device: &Device,
    mut forward: impl FnMut(Vec<Tensor<4>>) -> Vec<Tensor<4>>,
) -> Vec<f32> {
    if !graph.states.is_empty() {
        return outputs_of_steps(graph, &samples, device, forward);
    }
    let count = samples.count;
    let outputs = forward(samples.into_tensors(graph, device));
    interleaved(&outputs.into_iter().map(to_vec).collect::<Vec<_>>(), count)
}

/// Runs the float network.
pub fn float_predictor(
    graph: &Arc<Graph>,
    device: &Device,
) -> impl FnMut(Batch) -> Result<Vec<f32>, Error> + use<> {
    let model = FloatModel::new(Arc::clone(graph), device);
    let (graph, device) = (Arc::clone(graph), device.clone());
    move |samples: Batch| Ok(run(samples, &graph, &device, |inputs| model.forward_all(inputs)))
}

/// Runs the simulated network.
pub fn simulated_predictor(
    quantized: &QuantizedGraph,
    device: &Device,
) -> impl FnMut(Batch) -> Result<Vec<f32>, Error> + use<> {
    let model = SimulatedModel::new(quantized, device);
    let (graph, device) = (Arc::clone(&quantized.graph), device.clone());
    move |samples: Batch| Ok(run(samples, &graph, &device, |inputs| model.forward_all(inputs)))
}

/// Runs the float network with node `index` quantized: its weights and its output.
pub fn partly_quantized_predictor<'a>(
    quantized: &'a QuantizedGraph,
    index: usize,
    device: &'a Device,
) -> impl FnMut(Batch) -> Result<Vec<f32>, Error> + 'a {
    let model = SimulatedModel::of_node(quantized, index, device);
    move |samples: Batch| {
        Ok(run(samples, &quantized.graph, device, |inputs| model.forward_all(inputs)))
    }
}

/// Runs the integer program.
pub fn integer_predictor(program: &Placed) -> impl FnMut(Batch) -> Result<Vec<f32>, Error> + '_ {
    observed_integer_predictor(program, |_, _| {})
}

/// Runs the integer program and shows the bytes that it reads and writes, batch after batch.
pub fn observed_integer_predictor<'a>(
    program: &'a Placed,
    mut observe: impl FnMut(&[u8], &[u8]) + 'a,
) -> impl FnMut(Batch) -> Result<Vec<f32>, Error> + 'a {
    let interpreter = Interpreter::new(program, KernelPath::Fast);
    move |samples: Batch| {
        let inputs = quantize_inputs(program, &samples.values);
        let outputs = match program.states.is_empty() {
            true => interpreter.run_batch(&inputs)?,
            false => run_sequences(program, KernelPath::Fast, &inputs, samples.count)?,
        };
        observe(&inputs, &outputs);
        Ok(dequantize_outputs(program, &outputs))
    }
}
