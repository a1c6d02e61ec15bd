//! Modules that take and return a state.

use std::sync::Arc;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::{sigmoid, tanh};
use burn::tensor::{Device, Tensor};
use burn_ptq::graph::{Batch, FloatModel, Graph};
use burn_ptq::{Quantizer, Recipe, capture_named};
use burn_ptq::{outputs_of_steps, step_len};

use crate::net::{Draws, host};

const FEATURES: usize = 5;
const HIDDEN: usize = 16;
const STEPS: usize = 10;

/// A minimal gated unit and a layer of what it keeps.
#[derive(Module, Debug)]
struct Cell {
    gate: Linear,
    candidate: Linear,
    head: Linear,
}

impl Cell {
    fn new(device: &Device) -> Self {
        let linear = |from, to| LinearConfig::new(from, to).init(device);
        let cell = Self {
            gate: linear(FEATURES + HIDDEN, HIDDEN),
            candidate: linear(FEATURES + HIDDEN, HIDDEN),
            head: linear(HIDDEN, 3),
        };
        cell.map(&mut Draws::new(5))
    }

    fn step(&self, x: Tensor<2>, h: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let gate = sigmoid(self.gate.forward(Tensor::cat(vec![x.clone(), h.clone()], 1)));
        let gated = gate.clone() * h.clone();
        let candidate = tanh(self.candidate.forward(Tensor::cat(vec![x, gated], 1)));
        let h = h.clone() + gate * (candidate - h);
        (self.head.forward(h.clone()), h)
    }
}

fn captured(cell: &Cell) -> Graph {
    let device = Device::flex();
    let samples =
        (Tensor::<2>::zeros([1, FEATURES], &device), Tensor::<2>::zeros([1, HIDDEN], &device));
    let step = |cell: &Cell, (x, h)| cell.step(x, h);
    let mut graph = capture_named(cell, samples, &["x", "h"], &["y", "h_next"], step).unwrap();
    graph.declare_state("h", "h_next").unwrap();
    graph
}

/// `[batch, steps, features]`
fn sequences(count: usize, seed: u64) -> Tensor<3> {
    Draws::new(seed).tensor([count, STEPS, FEATURES], [-2.0, 2.0], &Device::flex())
}

/// The scores of all steps, by the module itself.
fn by_module(cell: &Cell, sequences: &Tensor<3>) -> Vec<f32> {
    let [count, steps, _] = sequences.dims();
    let mut h = Tensor::<2>::zeros([count, HIDDEN], &Device::flex());
    let mut scores = Vec::new();
    for step in 0..steps {
        let x = sequences.clone().narrow(1, step, 1).reshape([count, FEATURES]);
        let (y, next) = cell.step(x, h);
        scores.push(y.unsqueeze_dim::<3>(1));
        h = next;
    }
    host(Tensor::cat(scores, 1))
}

/// 10 log10 of the power of `wanted` over that of the difference.
pub(crate) fn decibels(wanted: &[f32], found: &[f32]) -> f64 {
    assert_eq!(wanted.len(), found.len());
    let power = |values: &mut dyn Iterator<Item = f32>| -> f64 {
        values.map(|x| f64::from(x) * f64::from(x)).sum()
    };
    let noise = power(&mut wanted.iter().zip(found).map(|(a, b)| a - b));
    10.0 * (power(&mut wanted.iter().copied()) / noise).log10()
}

#[test]
fn a_module_with_a_state_runs_over_sequences_as_integers() {
    let cell = Cell::new(&Device::flex());
    let graph = captured(&cell);
    assert_eq!(
        (step_len(&graph), graph.fed_inputs(), graph.read_outputs()),
        (FEATURES, vec![0], vec![0])
    );
    let held_out = sequences(24, 77);
    let wanted = by_module(&cell, &held_out);
    let model = FloatModel::new(Arc::new(graph.clone()), &Device::flex());
    let batch = Batch::of(held_out);
    let float =
        outputs_of_steps(&graph, &batch, &Device::flex(), |inputs| model.forward_all(inputs));
    assert!(decibels(&wanted, &float) > 100.0, "the graph is the module");
    for (preset, least) in [("w8a8", 28.0), ("w4a8", 15.0)] {
        let quantizer = Quantizer::new(Recipe::preset(preset).unwrap());
        let batches = vec![sequences(32, 1), sequences(32, 2)];
        let quantized = quantizer.quantize_sequences(graph.clone(), batches).unwrap();
        let [state] = &quantized.program.states[..] else { panic!("one state") };
        let grid = |id: burn_ptq_deploy::program::TensorId| quantized.program.tensors[id.0].grid;
        assert_eq!(grid(state.input), grid(state.output), "one grid for both ends");
        assert_eq!(quantized.program.input_len(), FEATURES);
        let integer: Vec<f32> = batch
            .samples()
            .flat_map(|sequence| quantized.run_sequence(sequence).unwrap())
            .collect();
        let found = decibels(&wanted, &integer);
        assert!(found > least, "{preset}: {found:.1} dB over {STEPS} steps");
    }
}

#[test]
fn sequences_of_another_shape_are_refused() {
    let cell = Cell::new(&Device::flex());
    let quantizer = Quantizer::new(Recipe::preset("w8a8").unwrap());
    let wrong = vec![Tensor::<3>::zeros([2, 3, FEATURES + 1], &Device::flex())];
    let error = quantizer.quantize_sequences(captured(&cell), wrong).unwrap_err().to_string();
    assert!(error.contains("a batch of sequences has the shape [2, 3, 6]"), "{error}");
}

/// A step of Burn's own layer.
#[derive(Module, Debug)]
struct GruNet {
    gru: burn::nn::gru::Gru,
    head: Linear,
}

#[test]
fn a_step_of_burns_gru_is_captured() {
    let device = Device::flex();
    let net = GruNet {
        gru: burn::nn::gru::GruConfig::new(FEATURES, HIDDEN, true).init(&device),
        head: LinearConfig::new(HIDDEN, 3).init(&device),
    };
    let net = net.map(&mut Draws::new(6));
    let step = |net: &GruNet, (x, h): (Tensor<3>, Tensor<2>)| {
        let h = net.gru.forward(x, Some(h)).squeeze_dim::<2>(1);
        (net.head.forward(h.clone()), h)
    };
    let samples =
        (Tensor::<3>::zeros([1, 1, FEATURES], &device), Tensor::<2>::zeros([1, HIDDEN], &device));
    let mut graph = capture_named(&net, samples, &["x", "h"], &["y", "h_next"], step).unwrap();
    graph.declare_state("h", "h_next").unwrap();
    let held_out = sequences(24, 78);
    let mut h = None;
    let mut scores = Vec::new();
    for step in 0..STEPS {
        let x = held_out.clone().narrow(1, step, 1);
        let next = net.gru.forward(x, h).squeeze_dim::<2>(1);
        scores.push(net.head.forward(next.clone()).unsqueeze_dim::<3>(1));
        h = Some(next);
    }
    let wanted = host(Tensor::cat(scores, 1));
    let quantizer = Quantizer::new(Recipe::preset("w8a8").unwrap());
    let quantized = quantizer.quantize_sequences(graph, vec![sequences(64, 3)]).unwrap();
    let batch = Batch::of(held_out);
    let integer: Vec<f32> =
        batch.samples().flat_map(|sequence| quantized.run_sequence(sequence).unwrap()).collect();
    let found = decibels(&wanted, &integer);
    assert!(found > 28.0, "{found:.1} dB over {STEPS} steps");
}
