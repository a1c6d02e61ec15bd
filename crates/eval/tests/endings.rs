//! Metrics read the same ending out of a network and its program.

use std::convert::Infallible;

use burn_ptq::graph::ops::{
    Clip, Conv2d, Linear, LogSoftmax, Reshape, Softmax, Unary, UnaryFunction, Window,
};
use burn_ptq::graph::{Array, Batch, Clamp, Graph, Op};
use burn_ptq::{Quantizer, Recipe};
use burn_ptq_eval::metric::{Ending, ModelOutput};

/// Numbers between -1 and 1 that look random.
fn numbers(count: usize) -> Vec<f32> {
    let mut state = 7_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (state >> 40) as f32 / (1_u32 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Networks whose outputs go beyond 1 on both sides of 0.
fn networks() -> [Graph; 2] {
    let linear = Linear {
        weight: Array::new([6, 10], numbers(60)),
        bias: Array::new([6], numbers(6)),
        axis: 0,
    };
    let mut vector = Graph::new("vector", "x", vec![10]);
    vector.push("layer", linear, &[vector.input()], "layer.out").unwrap();
    let conv = Conv2d {
        weight: Array::new([4, 3, 3, 3], numbers(108)),
        bias: Array::new([4], numbers(4)),
        window: Window::new([3, 3]),
        groups: 1,
    };
    let mut map = Graph::new("map", "x", vec![3, 7, 6]);
    map.push("layer", conv, &[map.input()], "layer.out").unwrap();
    [vector, map]
}

fn clip(min: f32, max: f32) -> Op {
    Clip { bounds: Clamp { min, max } }.into()
}

fn unary(function: UnaryFunction) -> Op {
    Unary { function }.into()
}

#[test]
fn every_ending_is_the_same_in_the_network_and_in_its_program() {
    let endings = [
        (clip(0.0, 1.0), Ending::Sigmoid),
        (clip(1e-7, 1.0 - 1e-7), Ending::Sigmoid),
        (clip(0.0, 0.5), Ending::Other),
        (clip(0.0, 6.0), Ending::Other),
        (clip(0.0, f32::INFINITY), Ending::Other),
        (clip(-1.0, 1.0), Ending::Other),
        (unary(UnaryFunction::Sigmoid), Ending::Sigmoid),
        (unary(UnaryFunction::HardSigmoid { alpha: 0.2, beta: 0.5 }), Ending::Sigmoid),
        (unary(UnaryFunction::Tanh), Ending::Other),
        (unary(UnaryFunction::HardSwish), Ending::Other),
        (Softmax { axis: 0 }.into(), Ending::Softmax),
        (LogSoftmax { axis: 0 }.into(), Ending::LogSoftmax),
    ];
    for network in networks() {
        for (op, ending) in &endings {
            for border in [8, 16] {
                let mut graph = network.clone();
                let ended = graph.push("end", op.clone(), &[graph.output()], "end.out").unwrap();
                let shape = vec![graph.value(ended).len()];
                graph.push("flatten", Reshape { shape }, &[ended], "y").unwrap();
                let float = ModelOutput::of_graph(&graph, None).unwrap();
                let text = format!("activations.border_bits = {border}");
                let quantizer = Quantizer::new(Recipe::parse(&text, "the test").unwrap());
                let values = numbers(64 * graph.value(graph.input()).len());
                let samples = Batch { values, count: 64 };
                let batches = std::iter::once(Ok::<_, Infallible>(samples));
                let quantized =
                    quantizer.quantize_samples(graph, batches, None, &|_| true).unwrap();
                let context = format!("{}, {op:?}, {border} bits", network.name);
                assert_eq!(float.ending, *ending, "{context}");
                assert_eq!(
                    ModelOutput::of_program(&quantized.program, None).unwrap(),
                    float,
                    "{context}"
                );
            }
        }
    }
}
