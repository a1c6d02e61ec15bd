//! Passes keep outputs: every rewrite is compared with the graph before it.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};

use super::*;
use crate::graph::ops::{
    Add, AveragePool, Binary, BinaryFunction, ChannelAffine, Clip, Conv2d, Linear, MatMul, MaxPool,
    Mul, Normalize, NormalizeBy, Permute, Reshape, Unary, UnaryFunction, Window,
};
use crate::graph::{Array, Clamp, FloatModel, ValueId};

/// Numbers between -1 and 1 that look random.
fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.0 - 1.0).collect()
}

fn array(shape: &[usize], seed: usize) -> Array {
    Array::new(shape, numbers(shape.iter().product(), seed))
}

fn conv(out: usize, input: usize, pad: usize, groups: usize) -> Conv2d {
    Conv2d {
        weight: array(&[out, input / groups, 3, 3], out + pad),
        bias: array(&[out], 3),
        window: Window { begin: [pad; 2], end: [pad; 2], ..Window::new([3, 3]) },
        groups,
    }
}

fn affine(channels: usize, seed: usize) -> ChannelAffine {
    ChannelAffine { scale: array(&[channels], seed), shift: array(&[channels], seed + 1) }
}

fn output(graph: &Graph) -> Vec<f32> {
    let [a, b, c] = graph.value(graph.input()).dims();
    let data = TensorData::new(numbers(2 * a * b * c, 11), [2, a, b, c]);
    let device = Device::flex();
    let model = FloatModel::new(Arc::new(graph.clone()), &device);
    model.forward(Tensor::from_data(data, &device)).into_data().try_to_vec().unwrap()
}

/// Prepares the graph, checks that the output stays, and returns the names of what is left.
fn prepared(graph: Graph) -> (Graph, Vec<&'static str>) {
    let before = output(&graph);
    let graph = prepare(graph).unwrap();
    let after = output(&graph);
    let magnitude = before.iter().fold(1.0_f32, |m, x| m.max(x.abs()));
    for (a, b) in before.iter().zip(&after) {
        assert!((a - b).abs() <= 1e-5 * magnitude, "{a} became {b}");
    }
    let names = graph.nodes.iter().map(|n| n.op.operator().name()).collect();
    (graph, names)
}

#[test]
fn folding_batch_norm_after_a_convolution_keeps_outputs() {
    for groups in [1, 4] {
        let mut g = Graph::new("g", "x", vec![4, 6, 6]);
        let x = g.push("conv", conv(8, 4, 1, groups), &[ValueId(0)], "c").unwrap();
        let x = g.push("bn", affine(8, 5), &[x], "b").unwrap();
        g.push("relu", Clip { bounds: Clamp::RELU }, &[x], "r").unwrap();
        let (graph, names) = prepared(g);
        assert_eq!(names.len(), 1);
        assert_eq!(graph.nodes[0].clamp, Some(Clamp::RELU));
        assert_eq!(graph.value(graph.output()).name, "r");
    }
}

#[test]
fn folding_batch_norm_before_a_convolution_keeps_outputs() {
    for groups in [1, 2, 4] {
        let mut g = Graph::new("g", "x", vec![4, 6, 6]);
        let x = g.push("bn", affine(4, 5), &[ValueId(0)], "b").unwrap();
        g.push("conv", conv(8, 4, 0, groups), &[x], "c").unwrap();
        assert_eq!(prepared(g).1.len(), 1);
    }
}

#[test]
fn a_shift_before_a_padded_convolution_stays_where_it_is() {
    let mut g = Graph::new("g", "x", vec![4, 6, 6]);
    let x = g.push("bn", affine(4, 5), &[ValueId(0)], "b").unwrap();
    g.push("conv", conv(8, 4, 1, 1), &[x], "c").unwrap();
    assert_eq!(prepared(g).1, ["ChannelAffine", "Conv"]);
}

#[test]
fn folding_batch_norm_around_a_flattened_linear_layer_keeps_outputs() {
    let mut g = Graph::new("g", "x", vec![3, 2, 2]);
    let x = g.push("bn", affine(3, 5), &[ValueId(0)], "b").unwrap();
    let x = g.push("flatten", Reshape { shape: vec![12] }, &[x], "f").unwrap();
    let linear = Linear { weight: array(&[5, 12], 2), bias: array(&[5], 9), axis: 0 };
    let x = g.push("fc", linear, &[x], "y").unwrap();
    g.push("bn2", affine(5, 8), &[x], "z").unwrap();
    assert_eq!(prepared(g).1, ["Reshape", "Linear"]);
}

#[test]
fn statistics_stay_those_of_the_folded_output() {
    let numbers = |x: f32| vec![x; 8];
    let statistics = |gamma, beta| BatchNormStatistics {
        name: "norm".into(),
        gamma: numbers(gamma),
        beta: numbers(beta),
        mean: numbers(0.1),
        variance: numbers(1.5),
        epsilon: 1e-5,
    };
    let first = statistics(2.0, 3.0);
    for second in [None, Some(statistics(0.5, -1.0))] {
        let mut g = Graph::new("g", "x", vec![4, 6, 6]);
        let x = g.push("conv", conv(8, 4, 1, 1), &[ValueId(0)], "c").unwrap();
        let x = g.push("bn", ChannelAffine::from_batch_norm(&first), &[x], "b").unwrap();
        g.nodes[1].batch_norm = Some(first.clone());
        let affine = ChannelAffine { scale: Array::full([8], -3.0), shift: Array::full([8], 0.5) };
        g.push("bn2", affine, &[x], "b2").unwrap();
        g.nodes[2].batch_norm = second.clone();
        let (graph, _) = prepared(g);
        let kept = graph.nodes[0].batch_norm.as_ref().unwrap();
        let expected = second.unwrap_or_else(|| statistics(-6.0, -8.5));
        assert_eq!((&kept.gamma, &kept.beta), (&expected.gamma, &expected.beta));
    }
}

#[test]
fn affine_maps_in_a_row_merge() {
    let mut g = Graph::new("g", "x", vec![4, 3, 3]);
    let x = g.push("a", affine(4, 1), &[ValueId(0)], "a").unwrap();
    let x = g.push("b", affine(4, 2), &[x], "b").unwrap();
    g.push("relu", Clip { bounds: Clamp::RELU }, &[x], "r").unwrap();
    assert_eq!(prepared(g).1, ["ChannelAffine"]);
}

#[test]
fn a_value_that_is_read_twice_is_not_folded_away() {
    let mut g = Graph::new("g", "x", vec![4, 6, 6]);
    let c = g.push("conv", conv(4, 4, 1, 1), &[ValueId(0)], "c").unwrap();
    let r = g.push("relu", Clip { bounds: Clamp::RELU }, &[c], "r").unwrap();
    g.push("add", Add, &[c, r], "s").unwrap();
    assert_eq!(prepared(g).1, ["Conv", "Clip", "Add"]);
}

#[test]
fn clips_in_a_row_and_after_pools_fuse() {
    let mut g = Graph::new("g", "x", vec![2, 4, 4]);
    let pool = MaxPool { window: Window::new([2, 2]) };
    let x = g.push("max", pool, &[ValueId(0)], "m").unwrap();
    let x = g.push("relu", Clip { bounds: Clamp::RELU }, &[x], "r").unwrap();
    let six = Clamp { min: f32::NEG_INFINITY, max: 0.5 };
    let x = g.push("min", Clip { bounds: six }, &[x], "s").unwrap();
    let window = Window::new([3, 3]);
    let pool = AveragePool { window, count_include_pad: false, ceil_extra: [0; 2] };
    g.push("mean", pool, &[x], "y").unwrap();
    let (graph, names) = prepared(g);
    assert_eq!(names, ["MaxPool", "AveragePool"]);
    assert_eq!(graph.nodes[0].clamp, Some(Clamp { min: 0.0, max: 0.5 }));
}

#[test]
fn nodes_that_nobody_reads_disappear() {
    let mut g = Graph::new("g", "x", vec![4, 6, 6]);
    let c = g.push("conv", conv(4, 4, 1, 1), &[ValueId(0)], "c").unwrap();
    g.push("unused", affine(4, 2), &[c], "u").unwrap();
    g.outputs = vec![c];
    let (graph, names) = prepared(g);
    assert_eq!(names, ["Conv"]);
    assert_eq!(graph.values.len(), 2);
}

#[test]
fn requantize_nodes_separate_8_and_16_bit_storage_and_keep_outputs() {
    let mut g = Graph::new("g", "x", vec![4, 6, 6]);
    let a = g.push("conv", conv(4, 4, 1, 1), &[ValueId(0)], "a").unwrap();
    let b = g.push("conv2", conv(4, 4, 1, 1), &[a], "b").unwrap();
    g.push("add", Add, &[a, b], "s").unwrap();
    let before = output(&g);
    let mut bits = vec![16; g.values.len()];
    (bits[g.input().0], bits[g.output().0]) = (8, 8);
    let mut plan = crate::recipe::Recipe::default().bit_plan(&g);
    plan.values = bits;
    let (graph, plan) = insert_requantize(g, plan);
    let bits = plan.values;
    graph.verify().unwrap();
    assert_eq!(output(&graph), before);
    let names: Vec<&str> = graph.nodes.iter().map(|n| n.op.operator().name()).collect();
    assert_eq!(names, ["Requantize", "Conv", "Conv", "Add", "Requantize"]);
    for node in graph.nodes.iter().filter(|n| !matches!(n.op, crate::graph::Op::Requantize(_))) {
        assert!(node.inputs.iter().chain([&node.output]).all(|v| bits[v.0] == 16));
    }
    assert_eq!((bits[graph.input().0], bits[graph.output().0]), (8, 8));
}

#[test]
fn a_group_normalization_written_by_instances_is_one_operation() {
    for groups in [1, 2, 6] {
        let elements = 6 * 20 / groups;
        let norm = Normalize {
            by: NormalizeBy::Deviation,
            axes: vec![1],
            parts: 1,
            epsilon: 1e-3,
            elements,
            scale: None,
            shift: None,
        };
        let mut g = Graph::new("g", "x", vec![6, 4, 5]);
        let split = Reshape { shape: vec![groups, elements] };
        let split = g.push("split", split, &[ValueId(0)], "s").unwrap();
        let normalized = g.push("norm", norm, &[split], "n").unwrap();
        let joined = Reshape { shape: vec![6, 4, 5] };
        let joined = g.push("join", joined, &[normalized], "j").unwrap();
        g.push("affine", affine(6, 3), &[joined], "y").unwrap();
        let (graph, names) = prepared(g);
        assert_eq!(names.len(), 1, "{names:?}");
        assert!(matches!(&graph.nodes[0].op, Op::Normalize(op) if op.scale.is_some()));
    }
}

#[test]
fn factors_around_a_product_become_part_of_it() {
    let factor = |channels: usize, by: f32| ChannelAffine {
        scale: Array::full([channels], by),
        shift: Array::full([channels], 0.0),
    };
    let mut g = Graph::new("g", "x", vec![2, 3, 4]);
    let turned = Permute { axes: vec![0, 2, 1] };
    let scaled = g.push("before", factor(2, 0.5), &[ValueId(0)], "a").unwrap();
    let turned = g.push("turn", turned, &[ValueId(0)], "b").unwrap();
    let product = MatMul { axes: 3, inner: 4, factor: 1.0 };
    let product = g.push("product", product, &[scaled, turned], "c").unwrap();
    g.push("behind", factor(2, 3.0), &[product], "y").unwrap();
    let (graph, names) = prepared(g);
    assert_eq!(names, ["Transpose", "MatMul"]);
    assert!(matches!(graph.nodes[1].op, Op::MatMul(MatMul { factor: 1.5, .. })));
}

/// `push` appends the pieces of a function of value 0 to a graph and gives its output.
fn fused(push: impl FnOnce(&mut Graph) -> ValueId) -> (Vec<&'static str>, Graph) {
    let mut g = Graph::new("g", "x", vec![3, 4, 5]);
    let y = push(&mut g);
    g.outputs = vec![y];
    let (graph, names) = prepared(g);
    (names, graph)
}

fn unary(g: &mut Graph, function: UnaryFunction, x: ValueId) -> ValueId {
    g.push("unary", Unary { function }, &[x], "u").unwrap()
}

fn uniform(g: &mut Graph, scale: f32, shift: f32, x: ValueId) -> ValueId {
    let op = ChannelAffine { scale: Array::full([3], scale), shift: Array::full([3], shift) };
    g.push("affine", op, &[x], "a").unwrap()
}

#[test]
fn activation_functions_in_pieces_become_one() {
    let x = ValueId(0);
    let root = std::f32::consts::FRAC_1_SQRT_2;
    let (names, _) = fused(|g| {
        let inner = uniform(g, root, 0.0, x);
        let erf = unary(g, UnaryFunction::Erf, inner);
        let gate = uniform(g, 1.0, 1.0, erf);
        let product = g.push("mul", Mul, &[x, gate], "m").unwrap();
        uniform(g, 0.5, 0.0, product)
    });
    assert_eq!(names, ["Gelu"]);
    let (names, graph) = fused(|g| {
        let half = uniform(g, 0.5, 0.0, x);
        let cube = unary(g, UnaryFunction::Pow { exponent: 3.0 }, x);
        let cube = uniform(g, 0.044715, 0.0, cube);
        let sum = g.push("add", Add, &[x, cube], "s").unwrap();
        let inner = uniform(g, 0.797_884_6, 0.0, sum);
        let tanh = unary(g, UnaryFunction::Tanh, inner);
        let gate = uniform(g, 1.0, 1.0, tanh);
        g.push("mul", Mul, &[half, gate], "m").unwrap()
    });
    assert_eq!(names, ["Gelu"]);
    let Op::Unary(op) = &graph.nodes[0].op else { unreachable!() };
    assert_eq!(op.function, UnaryFunction::Gelu { tanh: true });
    let (names, _) = fused(|g| {
        let soft = unary(g, UnaryFunction::Softplus, x);
        let gate = unary(g, UnaryFunction::Tanh, soft);
        g.push("mul", Mul, &[gate, x], "m").unwrap()
    });
    assert_eq!(names, ["Mish"]);
    for alpha in [1.0, 1.702] {
        let (names, graph) = fused(|g| {
            let inner = uniform(g, alpha, 0.0, x);
            let gate = unary(g, UnaryFunction::Sigmoid, inner);
            g.push("mul", Mul, &[x, gate], "m").unwrap()
        });
        assert_eq!(names, ["Swish"]);
        let Op::Unary(Unary { function: UnaryFunction::Swish { alpha: found } }) =
            graph.nodes[0].op
        else {
            unreachable!()
        };
        assert!((found - alpha).abs() < 1e-5, "{found}");
    }
    let (names, _) = fused(|g| {
        let moved = uniform(g, 1.0, 3.0, x);
        let bounds = Clamp { min: 0.0, max: 6.0 };
        let clipped = g.push("clip", Clip { bounds }, &[moved], "c").unwrap();
        let product = g.push("mul", Mul, &[x, clipped], "m").unwrap();
        uniform(g, 1.0 / 6.0, 0.0, product)
    });
    assert_eq!(names, ["HardSwish"]);
    // x / (1 + exp(-x))
    let (names, _) = fused(|g| {
        let negated = uniform(g, -1.0, 0.0, x);
        let power = unary(g, UnaryFunction::Exp, negated);
        let divisor = uniform(g, 1.0, 1.0, power);
        let div = Binary { function: BinaryFunction::Div };
        g.push("div", div, &[x, divisor], "d").unwrap()
    });
    assert_eq!(names, ["Swish"]);
}

#[test]
fn products_that_are_no_known_function_stay() {
    let x = ValueId(0);
    let (names, _) = fused(|g| {
        let gate = unary(g, UnaryFunction::Tanh, x);
        g.push("mul", Mul, &[x, gate], "m").unwrap()
    });
    assert_eq!(names, ["Tanh", "Mul"]);
    // The gate is another one for each channel.
    let (names, _) = fused(|g| {
        let inner = g.push("affine", affine(3, 5), &[x], "a").unwrap();
        let gate = unary(g, UnaryFunction::Sigmoid, inner);
        g.push("mul", Mul, &[x, gate], "m").unwrap()
    });
    assert_eq!(names.len(), 3);
    // It is a Swish up to 10 only.
    let (names, _) = fused(|g| {
        let bounds = Clamp { min: -10.0, max: 10.0 };
        let clipped = g.push("clip", Clip { bounds }, &[x], "c").unwrap();
        let gate = unary(g, UnaryFunction::Sigmoid, x);
        g.push("mul", Mul, &[clipped, gate], "m").unwrap()
    });
    assert_eq!(names, ["Clip", "Sigmoid", "Mul"]);
}
