//! Burn's recurrent layers over whole sequences.

use std::sync::Arc;

use burn::module::Module;
use burn::nn::gru::{BiGru, BiGruConfig, Gru, GruConfig};
use burn::nn::{
    BiLstm, BiLstmConfig, BiRnn, BiRnnConfig, Linear, LinearConfig, Lstm, LstmConfig, Rnn,
    RnnConfig,
};
use burn::tensor::{Device, Tensor};
use burn_ptq::graph::{FloatModel, Graph};
use burn_ptq::network::compare_layers;
use burn_ptq::{Quantizer, Recipe, capture};

use crate::net::{Draws, host};
use crate::states::decibels;

const FEATURES: usize = 5;
const HIDDEN: usize = 8;
const STEPS: usize = 12;

fn sequences(count: usize, seed: u64) -> Tensor<3> {
    Draws::new(seed).tensor([count, STEPS, FEATURES], [-2.0, 2.0], &Device::flex())
}

/// One layer after the other, and the last step.
#[derive(Module, Debug)]
struct Grus {
    first: Gru,
    second: Gru,
    head: Linear,
}

impl Grus {
    fn new() -> Self {
        let device = Device::flex();
        let second = GruConfig::new(HIDDEN, HIDDEN, false).with_reset_after(false);
        let net = Self {
            first: GruConfig::new(FEATURES, HIDDEN, true).init(&device),
            second: second.init(&device),
            head: LinearConfig::new(HIDDEN, 3).init(&device),
        };
        net.map(&mut Draws::new(4))
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<2> {
        let x = self.first.forward(x, None);
        let x = self.second.forward(x, None);
        self.head.forward(x.narrow(1, STEPS - 1, 1).squeeze_dim::<2>(1))
    }
}

/// States and cells, and a layer from the end to the beginning.
#[derive(Module, Debug)]
struct Lstms {
    first: Lstm,
    backward: Lstm,
    rnn: Rnn,
    head: Linear,
}

impl Lstms {
    fn new() -> Self {
        let device = Device::flex();
        let net = Self {
            first: LstmConfig::new(FEATURES, HIDDEN, true).init(&device),
            backward: LstmConfig::new(HIDDEN, HIDDEN, true).with_reverse(true).init(&device),
            rnn: RnnConfig::new(HIDDEN, HIDDEN, true).init(&device),
            head: LinearConfig::new(3 * HIDDEN, 3).init(&device),
        };
        net.map(&mut Draws::new(5))
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<2> {
        let (x, first) = self.first.forward(x, None);
        // The second begins where the first ended.
        let (x, second) = self.backward.forward(x, Some(first.clone()));
        let (_, third) = self.rnn.forward(x, None);
        self.head.forward(Tensor::cat(vec![first.cell, second.hidden, third.hidden], 1))
    }
}

/// Both directions at once.
#[derive(Module, Debug)]
struct Both {
    gru: BiGru,
    lstm: BiLstm,
    rnn: BiRnn,
    head: Linear,
}

impl Both {
    fn new() -> Self {
        let device = Device::flex();
        let net = Self {
            gru: BiGruConfig::new(FEATURES, HIDDEN, true).init(&device),
            lstm: BiLstmConfig::new(2 * HIDDEN, HIDDEN, true).init(&device),
            rnn: BiRnnConfig::new(2 * HIDDEN, HIDDEN, true).init(&device),
            head: LinearConfig::new(2 * HIDDEN, 3).init(&device),
        };
        net.map(&mut Draws::new(6))
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let (x, _) = self.gru.forward(x, None);
        let (x, _) = self.lstm.forward(x, None);
        let (x, _) = self.rnn.forward(x, None);
        self.head.forward(x)
    }
}

/// Checks that a captured module has so many loops, computes what the module does, and does so as integers.
fn check<const D: usize>(
    graph: &Graph,
    forward: impl Fn(Tensor<3>) -> Tensor<D>,
    loops: usize,
    least: [f64; 2],
) {
    let device = Device::flex();
    assert_eq!(graph.loops().len(), loops, "{:?}", graph.loops());
    assert!(graph.loops().iter().all(|found| found.steps == STEPS));
    let held_out = sequences(24, 77);
    let wanted = host(forward(held_out.clone()));
    let model = FloatModel::new(Arc::new(graph.clone()), &device);
    let [count, steps, features] = held_out.dims();
    let batch = held_out.clone().reshape([count, steps, features, 1]);
    let float = host(model.forward(batch.clone()));
    let found = decibels(&wanted, &float);
    assert!(found > 100.0, "the graph is the module: {found:.1} dB");
    for (preset, least) in ["w8a8", "w4a8"].into_iter().zip(least) {
        let quantizer = Quantizer::new(Recipe::preset(preset).unwrap());
        let batches = vec![sequences(64, 1), sequences(64, 2)];
        let quantized = quantizer.quantize(graph.clone(), batches).unwrap();
        assert_eq!(quantized.program.loops.len(), loops, "{preset}");
        let integer = host(quantized.forward(held_out.clone()).unwrap());
        let found = decibels(&wanted, &integer);
        assert!(found > least, "{preset}: {found:.1} dB over {STEPS} steps");
        let samples = burn_ptq::graph::Batch::of(held_out.clone());
        let agreements = compare_layers(&quantized, &device, &samples).unwrap();
        for (node, agreement) in quantized.graph.graph.nodes.iter().zip(agreements) {
            let Some(agreement) = agreement else { continue };
            assert!(agreement.max_lsb <= 1, "{preset}: {} {agreement:?}", node.name);
        }
    }
}

#[test]
fn burns_gru_runs_as_a_loop_over_its_steps() {
    let net = Grus::new();
    let graph = capture(&net, sequences(2, 3), |net, x| net.forward(x)).unwrap();
    check(&graph, |x| net.forward(x), 2, [30.0, 15.0]);
}

#[test]
fn burns_lstm_gives_its_state_and_its_cell() {
    let net = Lstms::new();
    let graph = capture(&net, sequences(2, 3), |net, x| net.forward(x)).unwrap();
    check(&graph, |x| net.forward(x), 3, [30.0, 15.0]);
}

#[test]
fn layers_in_both_directions_are_two_loops_each() {
    let net = Both::new();
    let graph = capture(&net, sequences(2, 3), |net, x| net.forward(x)).unwrap();
    check(&graph, |x| net.forward(x), 6, [25.0, 12.0]);
}

#[test]
fn layers_that_onnx_does_not_have_are_refused_by_their_name() {
    let device = Device::flex();
    let unusual = GruConfig::new(FEATURES, HIDDEN, true).with_clip(Some(0.5)).init(&device);
    let refused = capture(&unusual, sequences(2, 3), |net, x| net.forward(x, None)).unwrap_err();
    assert!(refused.to_string().contains("Gru"), "{refused}");
}
