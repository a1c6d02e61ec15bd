//! Every listed component keeps float outputs and valid graphs; what each is for is tested in the
//! modules below.

mod absorb_bias;
mod equalize;
mod migrate;
mod split_channels;

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};

use super::*;
use crate::graph::ops::{
    Add, AveragePool, BatchNormStatistics, Conv2d, Linear, MaxPool, Reshape, Unary, UnaryFunction,
    Window,
};
use crate::graph::{Array, Clamp, FloatModel, Op, ValueId};
use crate::prepare::prepare;

/// Numbers between -1 and 1 that look random.
fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.0 - 1.0).collect()
}

/// Weights whose rows and columns have ranges that lie far apart.
fn weights(shape: &[usize], seed: usize) -> Array {
    let (rows, columns) = (shape[0], shape[1]);
    let block = shape[2..].iter().product::<usize>();
    let row = numbers(rows, seed + 1);
    let column = numbers(columns, seed + 2);
    let mut data = numbers(rows * columns * block, seed);
    for (i, w) in data.iter_mut().enumerate() {
        let exponent = row[i / block / columns] + 0.7 * column[i / block % columns];
        *w *= 10.0_f32.powf(exponent) / (columns * block) as f32;
    }
    Array::new(shape, data)
}

fn conv(out: usize, input: usize, kernel: usize, pad: usize, groups: usize, seed: usize) -> Conv2d {
    let mut bias = numbers(out, seed + 3);
    bias.iter_mut().step_by(2).for_each(|b| *b += 6.0);
    Conv2d {
        weight: weights(&[out, input / groups, kernel, kernel], seed),
        bias: Array::new([out], bias),
        window: Window { begin: [pad; 2], end: [pad; 2], ..Window::new([kernel; 2]) },
        groups,
    }
}

fn linear(out: usize, input: usize, axis: usize, seed: usize) -> Linear {
    let bias = Array::new([out], numbers(out, seed + 3));
    Linear { weight: weights(&[out, input], seed), bias, axis }
}

/// A graph of operations in a row, each with its fused activation.
fn chain(shape: &[usize], ops: impl IntoIterator<Item = (Op, Option<Clamp>)>) -> Graph {
    let mut graph = Graph::new("g", "x", shape.to_vec());
    for (i, (op, clamp)) in ops.into_iter().enumerate() {
        let input = graph.output();
        graph.push(format!("node{i}"), op, &[input], format!("value{i}")).unwrap();
        graph.nodes[i].clamp = clamp;
    }
    with_statistics(graph)
}

/// Gives layers before a ReLU statistics by which no element of the test's input lies below
/// `beta - 3 |gamma|`, where that is positive.
fn with_statistics(mut graph: Graph) -> Graph {
    let lowest = observed(&graph, f32::INFINITY, f32::min);
    for node in &mut graph.nodes {
        if node.clamp == Some(Clamp::RELU) && matches!(node.op, Op::Conv2d(_)) {
            let beta: Vec<f32> = lowest[node.output.0].iter().map(|x| x + 0.3).collect();
            let channels = beta.len();
            node.batch_norm = Some(BatchNormStatistics {
                name: "norm".into(),
                gamma: vec![-0.1; channels],
                beta,
                mean: numbers(channels, 5),
                variance: vec![1.0; channels],
                epsilon: 1e-3,
            });
        }
    }
    graph
}

/// What `join` makes of the elements of each channel (first axis), by value.
fn observed(graph: &Graph, start: f32, join: fn(f32, f32) -> f32) -> Vec<Vec<f32>> {
    let mut all: Vec<Vec<f32>> = vec![Vec::new(); graph.values.len()];
    run(graph, |id, value| {
        let channels = value.dims()[1];
        let plane: usize = value.dims()[2..].iter().product();
        all[id.0] = vec![start; channels];
        for (i, x) in crate::graph::to_vec(value.clone()).into_iter().enumerate() {
            let c = i / plane % channels;
            all[id.0][c] = join(all[id.0][c], x);
        }
    });
    all
}

fn run(graph: &Graph, mut see: impl FnMut(ValueId, &Tensor<4>)) -> Vec<f32> {
    let [a, b, c] = graph.value(graph.input()).dims();
    let device = Device::flex();
    let input =
        Tensor::from_data(TensorData::new(numbers(3 * a * b * c, 11), [3, a, b, c]), &device);
    let model = FloatModel::new(Arc::new(graph.clone()), &device);
    let output = model.forward_with(vec![input], |id, value| {
        see(id, &value);
        value
    });
    crate::graph::to_vec(output[0].clone())
}

fn output(graph: &Graph) -> Vec<f32> {
    run(graph, |_, _| {})
}

fn channel_ranges(graph: &Graph) -> ChannelRanges {
    let mut ranges = ChannelRanges::new(graph);
    run(graph, |id, value| ranges.observe(id, value));
    ranges
}

/// Conditions a graph and checks that it stays valid and keeps its output.
fn conditioned(component: &dyn Conditioning, graph: &Graph) -> (Graph, usize) {
    let mut after = graph.clone();
    let ranges = component.needs_channel_ranges().then(|| channel_ranges(graph));
    let rewrites = component.condition(&mut after, ranges.as_ref());
    after.verify().unwrap();
    assert_same(&output(graph), &output(&after));
    (after, rewrites)
}

fn assert_same(before: &[f32], after: &[f32]) {
    let magnitude = before.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
    assert!(magnitude > 0.0 && before.len() == after.len());
    for (a, b) in before.iter().zip(after) {
        assert!((a - b).abs() <= 1e-5 * magnitude, "{a} became {b}");
    }
}

const RELU: Option<Clamp> = Some(Clamp::RELU);
const RELU6: Option<Clamp> = Some(Clamp { min: 0.0, max: 6.0 });

fn reshape(shape: &[usize]) -> Op {
    Reshape { shape: shape.to_vec() }.into()
}

fn leaky() -> Op {
    Unary { function: UnaryFunction::LeakyRelu { alpha: 0.1 } }.into()
}

fn average(kernel: usize) -> Op {
    let window = Window::new([kernel; 2]);
    AveragePool { window, count_include_pad: false, ceil_extra: [0; 2] }.into()
}

fn max_pool(kernel: usize) -> Op {
    let window = Window { stride: [kernel; 2], begin: [1; 2], ..Window::new([kernel; 2]) };
    MaxPool { window }.into()
}

/// Convolution, ReLU, convolution.
fn pair(pad: usize, seed: usize) -> Graph {
    let second = conv(5, 7, 3, pad, 1, seed + 20);
    chain(&[3, 8, 8], [(conv(7, 3, 3, pad, 1, seed).into(), RELU), (second.into(), None)])
}

/// Convolution, depthwise, pointwise, each with ReLU; global pooling, flatten, linear.
fn separable(seed: usize) -> Graph {
    chain(
        &[3, 8, 8],
        [
            (conv(6, 3, 3, 1, 1, seed).into(), RELU),
            (conv(6, 6, 3, 1, 6, seed + 20).into(), RELU),
            (conv(9, 6, 1, 0, 1, seed + 40).into(), RELU),
            (average(8), None),
            (reshape(&[9]), None),
            (linear(4, 9, 0, seed + 60).into(), None),
        ],
    )
}

/// Linear layers with ReLU, leaky ReLU and nothing in between.
fn perceptron(seed: usize) -> Graph {
    chain(
        &[10],
        [
            (linear(12, 10, 0, seed).into(), RELU),
            (linear(8, 12, 0, seed + 20).into(), None),
            (leaky(), None),
            (linear(9, 8, 0, seed + 40).into(), None),
            (linear(4, 9, 0, seed + 60).into(), None),
        ],
    )
}

/// Two convolutions whose outputs are added, and whose first output the second reads.
fn residual(seed: usize) -> Graph {
    let mut graph = Graph::new("g", "x", vec![3, 6, 6]);
    let a = graph.push("a", conv(4, 3, 3, 0, 1, seed), &[graph.input()], "a").unwrap();
    graph.nodes[0].clamp = RELU;
    let b = graph.push("b", conv(4, 4, 1, 0, 1, seed + 20), &[a], "b").unwrap();
    graph.nodes[1].clamp = RELU;
    let sum = graph.push("sum", Add, &[a, b], "sum").unwrap();
    graph.push("c", conv(5, 4, 1, 0, 1, seed + 40), &[sum], "c").unwrap();
    with_statistics(graph)
}

fn networks() -> Vec<Graph> {
    let mut networks = Vec::new();
    for seed in [1, 200, 3000] {
        networks.extend([pair(0, seed), pair(1, seed), separable(seed), perceptron(seed)]);
        networks.push(residual(seed));
        // A flattened channel is a run of features; a maximum keeps channels apart.
        networks.push(chain(
            &[3, 8, 8],
            [
                (conv(6, 3, 3, 0, 1, seed).into(), RELU),
                (max_pool(2), None),
                (reshape(&[6 * 9]), None),
                (linear(5, 6 * 9, 0, seed + 20).into(), None),
            ],
        ));
        // Grouped convolutions, and depthwise ones with several outputs a channel.
        networks.push(chain(
            &[4, 6, 6],
            [
                (conv(6, 4, 3, 0, 2, seed).into(), RELU),
                (conv(12, 6, 3, 1, 6, seed + 20).into(), RELU),
                (conv(4, 12, 1, 0, 2, seed + 40).into(), RELU),
                (conv(4, 4, 1, 0, 1, seed + 60).into(), None),
            ],
        ));
        // The features of the last axis of a sequence.
        networks.push(chain(
            &[3, 6],
            [(linear(8, 6, 1, seed).into(), RELU), (linear(4, 8, 1, seed + 20).into(), None)],
        ));
    }
    networks
}

#[test]
fn every_component_keeps_float_outputs() {
    for choice in ConditioningChoice::all() {
        let count = |graph| conditioned(choice.component(), graph).1;
        let rewrites: usize = networks().iter().map(count).sum();
        assert!(rewrites >= 3, "{}: {rewrites}", choice.name());
    }
}

#[test]
fn components_one_after_the_other_keep_float_outputs() {
    for mut graph in networks() {
        let before = output(&graph);
        for choice in ConditioningChoice::all() {
            graph = conditioned(choice.component(), &graph).0;
        }
        assert_same(&before, &output(&graph));
    }
}

#[test]
fn components_are_deterministic() {
    for choice in ConditioningChoice::all() {
        for graph in networks() {
            let constants = || {
                let (graph, _) = conditioned(choice.component(), &graph);
                let arrays = graph.nodes.iter().flat_map(|n| n.op.parameters());
                arrays.map(|a| a.data.clone()).collect::<Vec<_>>()
            };
            assert_eq!(constants(), constants());
        }
    }
}

#[test]
fn a_value_that_something_else_reads_is_left_alone() {
    // What the sum reads cannot be rescaled, lowered or widened, and the graph's output never.
    for choice in ConditioningChoice::all() {
        let (after, rewrites) = conditioned(choice.component(), &residual(7));
        assert_eq!(rewrites, 0, "{}", choice.name());
        for (a, b) in residual(7).nodes.iter().zip(&after.nodes) {
            assert_eq!(a.op.parameters(), b.op.parameters());
        }
    }
}

#[test]
fn conditioned_graphs_are_prepared_graphs() {
    for choice in ConditioningChoice::all() {
        for graph in networks() {
            let (after, _) = conditioned(choice.component(), &graph);
            let again = prepare(after.clone()).unwrap();
            assert_eq!(again.nodes.len(), after.nodes.len());
        }
    }
}

#[test]
fn recipes_name_components_and_their_parameters() {
    #[derive(serde::Deserialize)]
    struct Section {
        conditioning: Vec<ConditioningChoice>,
    }
    let text = "conditioning = ['absorb-bias', { equalize = { relu6 = 'relu' } }]";
    let section: Section = toml::from_str(text).unwrap();
    let equalize = Equalize { relu6: Relu6::Relu, ..Default::default() };
    let expected = [
        ConditioningChoice::AbsorbBias(AbsorbBias::default()),
        ConditioningChoice::Equalize(equalize),
    ];
    assert_eq!(section.conditioning, expected);
    assert!(toml::from_str::<Section>("conditioning = [{ migrate = { strenght = 1 } }]").is_err());
}
