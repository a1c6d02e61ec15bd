//! A small transformer keeps its quality at 8 bits, and its attention moves nothing in memory.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use burn_ptq::graph::ops::{
    Add, Linear, MatMul, Normalize, NormalizeBy, Permute, Reshape, Softmax, TopK, Unary,
    UnaryFunction,
};
use burn_ptq::graph::{Array, Batch, FloatModel, Graph, ValueId};
use burn_ptq::network::compare_layers;
use burn_ptq::{Quantized, Quantizer, Recipe};
use burn_ptq_deploy::program::{DType, IntOp};

const SAMPLES: usize = 24;
const TOKENS: usize = 10;
const WIDTH: usize = 16;
const HEADS: usize = 4;

/// Numbers that look random, about normal ones.
struct Draw(u64);

impl Draw {
    fn uniform(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) as f32 / (1_u32 << 30) as f32 - 1.0
    }

    fn floats(&mut self, count: usize, scale: f32) -> Vec<f32> {
        (0..count).map(|_| (self.uniform() + self.uniform() + self.uniform()) * scale).collect()
    }

    fn linear(&mut self, from: usize, to: usize) -> Linear {
        let scale = 1.0 / (from as f32).sqrt();
        Linear {
            weight: Array::new([to, from], self.floats(to * from, scale)),
            bias: Array::new([to], self.floats(to, 0.1)),
            axis: 1,
        }
    }
}

fn layer_norm(draw: &mut Draw) -> Normalize {
    let scale: Vec<f32> = draw.floats(WIDTH, 0.2).into_iter().map(|x| 1.0 + x).collect();
    Normalize {
        by: NormalizeBy::Deviation,
        axes: vec![1],
        parts: 1,
        epsilon: 1e-5,
        elements: WIDTH,
        scale: Some(Array::new([1, WIDTH], scale)),
        shift: Some(Array::new([1, WIDTH], draw.floats(WIDTH, 0.1))),
    }
}

/// Attention over tokens and a layer for each, both beside the input.
fn block(graph: &mut Graph, draw: &mut Draw, x: ValueId, name: &str) -> ValueId {
    let push = |graph: &mut Graph, what: &str, op: burn_ptq::graph::Op, inputs: &[ValueId]| {
        let name = format!("{name}.{what}");
        graph.push(name.clone(), op, inputs, name).expect("it fits")
    };
    let normed = push(graph, "norm1", layer_norm(draw).into(), &[x]);
    let [q, k, v] = ["q", "k", "v"].map(|what| {
        let layer = push(graph, what, draw.linear(WIDTH, WIDTH).into(), &[normed]);
        let shape = vec![TOKENS, HEADS, WIDTH / HEADS];
        let split = push(graph, &format!("{what}.split"), Reshape { shape }.into(), &[layer]);
        let axes = vec![1, 0, 2];
        push(graph, &format!("{what}.heads"), Permute { axes }.into(), &[split])
    });
    let turned = push(graph, "turned", Permute { axes: vec![0, 2, 1] }.into(), &[k]);
    let scores = MatMul { axes: 3, inner: WIDTH / HEADS, factor: 0.5 };
    let scores = push(graph, "scores", scores.into(), &[q, turned]);
    let weights = push(graph, "weights", Softmax { axis: 2 }.into(), &[scores]);
    let context = MatMul { axes: 3, inner: TOKENS, factor: 1.0 };
    let context = push(graph, "context", context.into(), &[weights, v]);
    let joined = push(graph, "joined", Permute { axes: vec![1, 0, 2] }.into(), &[context]);
    let shape = vec![TOKENS, WIDTH];
    let joined = push(graph, "rows", Reshape { shape }.into(), &[joined]);
    let out = push(graph, "out", draw.linear(WIDTH, WIDTH).into(), &[joined]);
    let sum = push(graph, "sum1", Add.into(), &[x, out]);
    let normed = push(graph, "norm2", layer_norm(draw).into(), &[sum]);
    let hidden = push(graph, "hidden", draw.linear(WIDTH, 2 * WIDTH).into(), &[normed]);
    let active = Unary { function: UnaryFunction::HardSwish };
    let active = push(graph, "active", active.into(), &[hidden]);
    let narrow = push(graph, "narrow", draw.linear(2 * WIDTH, WIDTH).into(), &[active]);
    push(graph, "sum2", Add.into(), &[sum, narrow])
}

fn transformer() -> Graph {
    let draw = &mut Draw(11);
    let mut graph = Graph::new("transformer", "x", vec![TOKENS, WIDTH]);
    let x = graph.input();
    let x = block(&mut graph, draw, x, "first");
    block(&mut graph, draw, x, "second");
    graph
}

fn samples(graph: &Graph) -> Batch {
    let len = graph.value(graph.input()).len();
    Batch { values: Draw(5).floats(SAMPLES * len, 0.8), count: SAMPLES }
}

fn quantized(graph: Graph, recipe: &str) -> Quantized {
    let recipe = Recipe::parse(recipe, "test").expect("a recipe");
    let samples = samples(&graph);
    let batches = samples.chunks(8).map(Ok::<_, std::convert::Infallible>);
    Quantizer::new(recipe).quantize_samples(graph, batches, None, &|_| true).expect("quantized")
}

fn input(graph: &Graph, device: &Device) -> Tensor<3> {
    let data = TensorData::new(samples(graph).values, [SAMPLES, TOKENS, WIDTH]);
    Tensor::from_data(data, device)
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().expect("floats")
}

/// How far the integer program's outputs are from the float network's, in dB.
fn sqnr_db(graph: &Graph, quantized: &Quantized) -> f64 {
    let device = Device::flex();
    let model = FloatModel::new(Arc::new(graph.clone()), &device);
    let float = values(model.forward(input(graph, &device).unsqueeze_dim::<4>(3)));
    let integer = values(quantized.forward(input(graph, &device)).expect("it runs"));
    let power = |x: &mut dyn Iterator<Item = f32>| -> f64 { x.map(|x| f64::from(x * x)).sum() };
    let signal = power(&mut float.iter().copied());
    let noise = power(&mut float.iter().zip(&integer).map(|(a, b)| a - b));
    10.0 * (signal / noise).log10()
}

#[test]
fn a_transformer_keeps_its_outputs() {
    for (recipe, least) in
        [("", 28.0), ("activations.bits = 16\nactivations.border_bits = 16", 33.0)]
    {
        let graph = transformer();
        let quantized = quantized(graph.clone(), recipe);
        let found = sqnr_db(&graph, &quantized);
        println!("'{recipe}': {found:.1} dB");
        assert!(found > least, "'{recipe}': {found:.1} dB");
        let agreements = compare_layers(&quantized, &Device::flex(), &samples(&graph));
        for agreement in agreements.expect("it runs").into_iter().flatten() {
            assert!(agreement.max_lsb <= 1, "{agreement:?}");
        }
    }
}

#[test]
fn heads_and_transposes_of_attention_cost_nothing() {
    let program = quantized(transformer(), "").program;
    let moves = program.nodes.iter().filter(|node| {
        matches!(node.op, IntOp::Transpose { .. } | IntOp::Rearrange { .. } | IntOp::Concat { .. })
    });
    let moves: Vec<&str> = moves.map(|node| node.name.as_str()).collect();
    assert_eq!(moves, [""; 0], "movements in memory");
}

#[test]
fn places_of_extremes_are_whole_numbers_at_every_width() {
    let mut graph = Graph::new("g", "x", vec![TOKENS, WIDTH]);
    let mut draw = Draw(3);
    let layer = graph.push("layer", draw.linear(WIDTH, 12), &[graph.input()], "l").unwrap();
    let top = TopK { axis: 1, k: 1, smallest: false, last: false, indices: true };
    let places = graph.push("places", top, &[layer], "p").unwrap();
    graph.push("flat", Reshape { shape: vec![TOKENS] }, &[places], "y").unwrap();
    for recipe in ["", "activations.bits = 4", "activations.bits = 16"] {
        let quantized = quantized(graph.clone(), recipe);
        let output = &quantized.program.tensors[quantized.program.outputs[0].tensor.0];
        assert_eq!((output.dtype, output.grid.scale), (DType::I16, 1.0), "{recipe}");
        let found = values(quantized.forward(input(&graph, &Device::flex())).expect("it runs"));
        assert!(found.iter().all(|&x| x.fract() == 0.0 && (0.0..12.0).contains(&x)), "{found:?}");
    }
}
