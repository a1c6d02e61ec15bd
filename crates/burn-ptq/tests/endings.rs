//! Networks may end in any chain of flattens, reshapes, transposes and means: the integer program
//! computes nothing for them, and its outputs come back in the source model's order.

use std::process::Command;
use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use burn_ptq::SimulatedModel;
use burn_ptq::graph::ops::{
    Add, AveragePool, Clip, Conv2d, Linear, LogSoftmax, Permute, Rearrange, Reshape, Softmax,
    Window,
};
use burn_ptq::graph::{Array, Batch, Clamp, FloatModel, Graph, Op, dims3};
use burn_ptq::network::compare_layers;
use burn_ptq::{Error, Quantized, Quantizer, Recipe};
use burn_ptq_deploy::program::IntOp;

const SAMPLES: usize = 12;
/// Endings a kind of network.
const CHAINS: u64 = 60;

/// Numbers that look random.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        self.0 >> 33
    }

    fn below(&mut self, limit: usize) -> usize {
        self.next() as usize % limit
    }

    fn floats(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.next() as f32 / (1_u32 << 30) as f32 - 1.0).collect()
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// A map of 6 channels, 5 rows and 4 columns.
    Map,
    /// A vector of 12.
    Vector,
    /// 4 channels of 9 steps.
    Signal,
}

/// A network without an ending.
fn network(kind: Kind) -> Graph {
    let draw = &mut Draw(7);
    let input = match kind {
        Kind::Map => vec![3, 7, 6],
        Kind::Vector => vec![10],
        Kind::Signal => vec![2, 11],
    };
    let mut graph = Graph::new("net", "x", input);
    let op: Op = match kind {
        Kind::Vector => Linear {
            weight: Array::new([12, 10], draw.floats(120)),
            bias: Array::new([12], draw.floats(12)),
            axis: 0,
        }
        .into(),
        Kind::Map => Conv2d {
            weight: Array::new([6, 3, 3, 3], draw.floats(162)),
            bias: Array::new([6], draw.floats(6)),
            window: Window::new([3, 3]),
            groups: 1,
        }
        .into(),
        Kind::Signal => Conv2d {
            weight: Array::new([4, 2, 3, 1], draw.floats(24)),
            bias: Array::new([4], draw.floats(4)),
            window: Window::new([3, 1]),
            groups: 1,
        }
        .into(),
    };
    let layer = graph.push("layer", op, &[graph.input()], "layer.out").unwrap();
    let relu = Clip { bounds: Clamp { min: -1.0, max: f32::INFINITY } };
    graph.push("clip", relu, &[layer], "clip.out").unwrap();
    graph
}

fn push(graph: &mut Graph, name: &str, op: impl Into<Op>) {
    let input = graph.output();
    graph.push(name, op, &[input], format!("{name}.out")).unwrap();
}

/// A random shape of one to three axes with as many elements.
fn shape_of(elements: usize, draw: &mut Draw) -> Vec<usize> {
    let mut shape = vec![elements];
    for _ in 0..draw.below(3) {
        let last = shape.pop().unwrap();
        let divisors: Vec<usize> = (1..=last).filter(|d| last.is_multiple_of(*d)).collect();
        let divisor = divisors[draw.below(divisors.len())];
        shape.extend([divisor, last / divisor]);
    }
    shape
}

/// The mean over all axes but the first, dropped.
fn push_mean(graph: &mut Graph) {
    let [channels, height, width] = graph.value(graph.output()).dims();
    let window = Window::new([height, width]);
    push(graph, "mean", AveragePool { window, count_include_pad: false, ceil_extra: [0; 2] });
    push(graph, "squeeze", Reshape { shape: vec![channels] });
}

/// Appends one to four nodes, most of which only move elements.
fn end(graph: &mut Graph, draw: &mut Draw) {
    let rank = graph.value(graph.output()).shape.len();
    match draw.below(6) {
        0 => push(graph, "softmax", Softmax { axis: draw.below(rank) }),
        1 => push(graph, "log_softmax", LogSoftmax { axis: draw.below(rank) }),
        2 if rank > 1 => push_mean(graph),
        _ => {}
    }
    for step in 0..1 + draw.below(3) {
        let shape = graph.value(graph.output()).shape.clone();
        let op = if shape.len() == 1 || draw.below(2) == 0 {
            Op::from(Reshape { shape: shape_of(shape.iter().product(), draw) })
        } else {
            let mut axes: Vec<usize> = (0..shape.len()).collect();
            for i in (1..axes.len()).rev() {
                axes.swap(i, draw.below(i + 1));
            }
            Op::from(Permute { axes })
        };
        push(graph, &format!("move{step}"), op);
    }
}

fn samples(graph: &Graph) -> Batch {
    let values = Draw(3).floats(SAMPLES * graph.value(graph.input()).len());
    Batch { values, count: SAMPLES }
}

fn quantize(graph: Graph) -> Result<Quantized, Error> {
    let text = "correction = 'none'\nrounding = 'nearest'\nactivations.range = 'min-max'";
    let samples = samples(&graph);
    let batches = std::iter::once(Ok::<_, std::convert::Infallible>(samples));
    Quantizer::new(Recipe::parse(text, "test")?).quantize_samples(graph, batches, None, &|_| true)
}

/// The number of copies of the program, which agrees with its simulation and with the float
/// network, element by element.
#[track_caller]
fn check(graph: Graph) -> (usize, Quantized) {
    let name: Vec<String> = graph.nodes.iter().map(|n| format!("{:?}", n.op)).collect();
    let name = name[2..].join(", ");
    let device = Device::flex();
    let quantized = quantize(graph.clone()).unwrap_or_else(|e| panic!("{name}: {e}"));
    let [a, b, _] = dims3(&graph.value(graph.input()).shape);
    let input = samples(&graph).into_tensors(&graph, &device).remove(0);
    let floats = |tensor: Tensor<4>| tensor.into_data().try_to_vec::<f32>().unwrap();
    let simulated = SimulatedModel::new(&quantized.graph, &device).forward(input.clone());
    let simulated = floats(simulated);
    let graph = Arc::new(graph);
    let float = floats(FloatModel::new(Arc::clone(&graph), &device).forward(input.clone()));
    let shape = &graph.value(graph.input()).shape;
    let integer = match shape.len() {
        1 => quantized.forward(input.reshape::<2, _>([SAMPLES, a])),
        2 => quantized.forward(input.reshape::<3, _>([SAMPLES, a, b])),
        _ => quantized.forward(input),
    };
    let integer = integer.unwrap().into_data().try_to_vec::<f32>().unwrap();
    let output = &quantized.program.tensors[quantized.program.outputs[0].tensor.0];
    // A step of the logits is several of their softmax.
    let exponential = |op: &Op| matches!(op, Op::Softmax(_) | Op::LogSoftmax(_));
    let steps = if graph.nodes.iter().any(|n| exponential(&n.op)) { 4.0 } else { 1.0 };
    let step = 1.001 * steps * output.grid.scale;
    let layers = compare_layers(&quantized, &device, &samples(&graph)).unwrap();
    assert!(layers.iter().flatten().all(|layer| layer.max_lsb <= 1), "{name}: {layers:?}");
    assert_eq!(integer.len(), simulated.len(), "{name}");
    for (i, (integer, simulated)) in integer.iter().zip(&simulated).enumerate() {
        let off = (integer - simulated).abs();
        assert!(off <= step, "{name}: element {i} is {integer}, simulated {simulated}");
    }
    let energy = |values: &mut dyn Iterator<Item = f32>| values.map(|x| x * x).sum::<f32>();
    let noise = energy(&mut float.iter().zip(&integer).map(|(x, y)| x - y));
    let ratio = energy(&mut float.iter().copied()) / noise;
    assert!(ratio > 100.0, "{name}: {} dB", 10.0 * ratio.log10());
    let border = &quantized.program.outputs[0].border;
    assert_eq!(border.source_shape, graph.value(graph.output()).shape, "{name}");
    let transposes = quantized.program.nodes.iter();
    let moves = |op: &IntOp| matches!(op, IntOp::Transpose { .. } | IntOp::Rearrange { .. });
    let transposes = transposes.filter(|n| moves(&n.op)).count();
    (transposes, quantized)
}

#[test]
fn every_chain_of_moves_at_the_end_comes_back_in_the_models_order() {
    for kind in [Kind::Map, Kind::Vector, Kind::Signal] {
        let mut free = 0;
        for seed in 0..CHAINS {
            let mut graph = network(kind);
            end(&mut graph, &mut Draw(1000 * seed + 17));
            free += u64::from(check(graph).0 == 0);
        }
        println!("{kind:?}: {free} of {CHAINS} endings cost nothing");
        // The others move elements for their softmax, or in no order of axes.
        assert!(2 * free >= CHAINS, "{kind:?}: only {free} of {CHAINS} cost nothing");
    }
}

#[test]
fn usual_endings_cost_nothing() {
    let reshape = |shape: &[usize]| Op::from(Reshape { shape: shape.to_vec() });
    let permute = |axes: &[usize]| Op::from(Permute { axes: axes.to_vec() });
    for (kind, ops) in [
        (Kind::Map, vec![reshape(&[120])]),
        (Kind::Map, vec![permute(&[1, 2, 0]), reshape(&[20, 6])]),
        (Kind::Map, vec![permute(&[1, 2, 0]), reshape(&[40, 3]), reshape(&[120])]),
        (Kind::Map, vec![reshape(&[2, 3, 20]), permute(&[0, 2, 1]), reshape(&[40, 3])]),
        (Kind::Map, vec![Softmax { axis: 0 }.into(), reshape(&[6, 20])]),
        (Kind::Vector, vec![reshape(&[6, 2])]),
        (Kind::Vector, vec![reshape(&[12, 1, 1])]),
        (Kind::Vector, vec![Softmax { axis: 0 }.into(), reshape(&[1, 12])]),
        (Kind::Signal, vec![permute(&[1, 0])]),
        (Kind::Signal, vec![reshape(&[36])]),
        (Kind::Signal, vec![permute(&[1, 0]), reshape(&[36])]),
    ] {
        let mut graph = network(kind);
        for (i, op) in ops.into_iter().enumerate() {
            push(&mut graph, &format!("end{i}"), op);
        }
        let last = graph.nodes.last().unwrap().op.clone();
        assert_eq!(check(graph).0, 0, "{kind:?} that ends in {last:?}");
    }
    let mut graph = network(Kind::Map);
    push_mean(&mut graph);
    assert_eq!(check(graph).0, 0);
}

#[test]
fn moves_that_are_no_order_of_axes_run_on_the_device() {
    let mut graph = network(Kind::Vector);
    for (i, shape) in [[4, 3], [2, 6], [4, 3]].into_iter().enumerate() {
        push(&mut graph, &format!("shape{i}"), Reshape { shape: shape.to_vec() });
        push(&mut graph, &format!("turn{i}"), Permute { axes: vec![1, 0] });
    }
    assert!(check(graph).0 > 0);
}

/// Places of 2 rows and 3 columns out of the 6 channels of the map, through five axes.
fn push_pixel_shuffle(graph: &mut Graph) {
    push(graph, "apart", Reshape { shape: vec![1, 2, 3, 5, 4] });
    let turn = Rearrange::permuted("Transpose", &[1, 2, 3, 5, 4], &[0, 3, 1, 4, 2]);
    push(graph, "turn", turn);
    push(graph, "together", Reshape { shape: vec![1, 10, 12] });
}

#[test]
fn pixels_out_of_channels_cost_nothing_at_the_end_even_behind_a_function() {
    let mut graph = network(Kind::Map);
    push_pixel_shuffle(&mut graph);
    assert_eq!(check(graph.clone()).0, 0);
    push(&mut graph, "bounded", Clip { bounds: Clamp { min: 0.0, max: 1.0 } });
    assert_eq!(check(graph).0, 0);
}

#[test]
fn movements_in_a_row_are_one_copy() {
    let draw = &mut Draw(11);
    let mut graph = network(Kind::Map);
    push_pixel_shuffle(&mut graph);
    let indices = [vec![0, 0], (1..9).rev().collect(), (0..12).step_by(2).collect()];
    push(&mut graph, "slice", Rearrange::at("Slice", &[1, 10, 12], &indices));
    push(&mut graph, "across", Permute { axes: vec![0, 2, 1] });
    let conv = Conv2d {
        weight: Array::new([3, 2, 3, 3], draw.floats(54)),
        bias: Array::new([3], draw.floats(3)),
        window: Window::new([3, 3]),
        groups: 1,
    };
    push(&mut graph, "conv", conv);
    assert_eq!(check(graph).0, 1);
}

#[test]
fn exported_c_computes_networks_with_endings() {
    let folder = tempfile::tempdir().unwrap();
    for (kind, shape) in [(Kind::Map, vec![2, 60]), (Kind::Vector, vec![3, 4])] {
        let mut graph = network(kind);
        let axes = (0..graph.value(graph.output()).shape.len()).rev().collect();
        push(&mut graph, "turn", Permute { axes });
        push(&mut graph, "rows", Reshape { shape });
        let (_, quantized) = check(graph);
        let code = folder.path().join(format!("{kind:?}"));
        quantized.export("c", &code).unwrap();
        let Ok(output) = Command::new("make").arg("-C").arg(&code).arg("test").output() else {
            eprintln!("SKIPPED exported_c_computes_networks_with_endings: there is no make");
            return;
        };
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        assert!(text.contains("0 differing bytes"), "{text}");
    }
}

/// Two inputs; outputs that are a map which nodes read, the same flattened, an input turned round,
/// classes with their probabilities, and a sum of both inputs' features.
fn several_ends() -> Graph {
    let draw = &mut Draw(23);
    let mut graph = Graph::new("ends", "image", vec![3, 6, 5]);
    let (image, meta) = (graph.input(), graph.add_input("meta", vec![4]));
    let conv = Conv2d {
        weight: Array::new([4, 3, 3, 3], draw.floats(108)),
        bias: Array::new([4], draw.floats(4)),
        window: Window::new([3, 3]),
        groups: 1,
    };
    let map = graph.push("conv", conv, &[image], "map").unwrap();
    let flat = graph.push("flat", Reshape { shape: vec![48] }, &[map], "flat").unwrap();
    let turned = graph.push("turn", Permute { axes: vec![2, 0, 1] }, &[image], "turned").unwrap();
    let mean = graph
        .push(
            "mean",
            AveragePool {
                window: Window::new([4, 3]),
                count_include_pad: false,
                ceil_extra: [0; 2],
            },
            &[map],
            "mean",
        )
        .unwrap();
    let vector = graph.push("vector", Reshape { shape: vec![4] }, &[mean], "vector").unwrap();
    let sum = graph.push("sum", Add, &[vector, meta], "sum").unwrap();
    let linear = Linear {
        weight: Array::new([5, 4], draw.floats(20)),
        bias: Array::new([5], draw.floats(5)),
        axis: 0,
    };
    let logits = graph.push("linear", linear, &[sum], "logits").unwrap();
    let classes = graph.push("softmax", Softmax { axis: 0 }, &[logits], "classes").unwrap();
    graph.outputs = vec![map, flat, turned, classes, sum];
    graph
}

#[test]
fn networks_have_any_number_of_inputs_and_outputs() {
    let device = Device::flex();
    let graph = several_ends();
    let samples = Batch { values: Draw(3).floats(SAMPLES * graph.sample_len()), count: SAMPLES };
    for preset in ["w8a8", "w4a8"] {
        let batches = std::iter::once(Ok::<_, std::convert::Infallible>(samples.clone()));
        let quantizer = Quantizer::new(Recipe::preset(preset).unwrap());
        let quantized =
            quantizer.quantize_samples(graph.clone(), batches, None, &|_| true).unwrap();
        let program = &quantized.program;
        let names =
            |names: &mut dyn Iterator<Item = &String>| -> Vec<String> { names.cloned().collect() };
        assert_eq!(names(&mut program.inputs.iter().map(|i| &i.name)), ["image", "meta"]);
        let outputs = names(&mut program.outputs.iter().map(|o| &o.name));
        assert_eq!(outputs, ["map", "flat", "turned", "classes", "sum"]);
        // Neither a flattened map nor a turned input costs anything.
        assert_eq!(program.outputs[0].tensor, program.outputs[1].tensor);
        assert_eq!(program.outputs[2].tensor, program.inputs[0].tensor);

        let inputs = samples.clone().into_tensors(&quantized.float, &device);
        let float = FloatModel::new(Arc::clone(&quantized.float), &device);
        let float = float.forward_all(inputs.clone());
        let simulated = quantized.simulate(&device).forward_all(inputs.clone());
        let integer = quantized.forward_all(inputs).unwrap();
        let floats = |tensor: Tensor<2>| tensor.into_data().try_to_vec::<f32>().unwrap();
        for (index, output) in program.outputs.iter().enumerate() {
            let len = program.output_tensor(output).len();
            let [float, simulated] =
                [&float, &simulated].map(|all| floats(all[index].clone().reshape([SAMPLES, len])));
            let integer = floats(integer[index].clone());
            let step = 4.001 * program.output_tensor(output).grid.scale;
            let off = |a: &[f32], b: &[f32]| {
                a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
            };
            assert!(off(&integer, &simulated) <= step, "{preset}: {}", output.name);
            let close = if preset == "w8a8" { 0.1 } else { 1.0 };
            assert!(off(&integer, &float) <= close, "{preset}: {}", output.name);
        }
        let layers = compare_layers(&quantized, &device, &samples).unwrap();
        assert!(layers.iter().flatten().all(|layer| layer.max_lsb <= 1), "{layers:?}");
        assert!(quantized.forward(Tensor::<2>::zeros([1, 4], &device)).is_err());
    }
}
