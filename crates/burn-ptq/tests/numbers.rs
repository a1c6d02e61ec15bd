//! Numbers that calibration says little of, or that are extreme: dead layers, constant differences,
//! equal samples, tiny and huge values, and bits at the borders that softmax cannot have.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use burn_ptq::graph::ops::{
    Add, AveragePool, ChannelAffine, Clip, Concat, Conv2d, Linear, LogSoftmax, Mul, Reshape,
    Softmax, Unary, UnaryFunction, Window,
};
use burn_ptq::graph::{Array, Batch, Clamp, FloatModel, Graph, Op, ValueId, dims3};
use burn_ptq::network::compare_layers;
use burn_ptq::recipe::{PRESETS, Recipe};
use burn_ptq::{Error, Quantized, Quantizer};
use burn_ptq_deploy::run::{Path as KernelPath, dequantize_outputs, quantize_inputs, run_batch};

/// Numbers between -1 and 1 that look random.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 40) as f32 / (1_u32 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn linear(out: usize, input: usize, seed: u64, scale: f32) -> Linear {
    let weight = numbers(out * input, seed).into_iter().map(|w| w * scale).collect();
    let bias = numbers(out, seed + 1).into_iter().map(|b| b * scale).collect();
    Linear { weight: Array::new([out, input], weight), bias: Array::new([out], bias), axis: 0 }
}

fn conv(out: usize, input: usize, kernel: usize, seed: u64) -> Conv2d {
    let weight = numbers(out * input * kernel * kernel, seed);
    Conv2d {
        weight: Array::new([out, input, kernel, kernel], weight),
        bias: Array::new([out], numbers(out, seed + 1)),
        window: Window { begin: [kernel / 2; 2], end: [kernel / 2; 2], ..Window::new([kernel; 2]) },
        groups: 1,
    }
}

fn relu() -> Op {
    Clip { bounds: Clamp::RELU }.into()
}

fn push(graph: &mut Graph, op: impl Into<Op>, inputs: &[ValueId]) -> ValueId {
    let name = format!("n{}", graph.nodes.len());
    graph.push(name.clone(), op, inputs, format!("{name}.out")).unwrap()
}

fn quantize(graph: &Graph, recipe: &Recipe, samples: &[f32]) -> Result<Quantized, Error> {
    let samples = Batch::new(samples.to_vec(), graph.value(graph.input()).len());
    let batches = samples.chunks(16).map(Ok::<_, std::convert::Infallible>);
    Quantizer::new(recipe.clone()).quantize_samples(graph.clone(), batches, None, &|_| true)
}

/// What the float network and the integer program give, and that layers agree with their simulation.
fn outputs(graph: &Graph, recipe: &Recipe, samples: &[f32]) -> [Vec<f32>; 2] {
    let quantized = quantize(graph, recipe, samples)
        .unwrap_or_else(|error| panic!("{}: {error}", recipe.to_toml()));
    let batch = Batch::new(samples.to_vec(), graph.value(graph.input()).len());
    let agreements = compare_layers(&quantized, &Device::flex(), &batch).unwrap();
    for (node, agreement) in quantized.graph.graph.nodes.iter().zip(agreements) {
        let steps = agreement.map_or(0, |a| a.max_lsb);
        assert!(steps <= 1, "{}: {steps} steps; {}", node.name, recipe.to_toml());
    }
    let [a, b, c] = dims3(&graph.value(graph.input()).shape);
    let count = samples.len() / (a * b * c);
    let input = TensorData::new(samples.to_vec(), [count, a, b, c]);
    let input = Tensor::<4>::from_data(input, &Device::flex());
    let float = FloatModel::new(Arc::new(graph.clone()), &Device::flex()).forward(input);
    let inputs = quantize_inputs(&quantized.program, samples);
    let outputs = run_batch(&quantized.program, KernelPath::Fast, &inputs).unwrap();
    let integer = dequantize_outputs(&quantized.program, &outputs);
    [float.into_data().try_to_vec().unwrap(), integer]
}

/// The signal-to-noise ratio in dB.
fn ratio([float, integer]: [Vec<f32>; 2]) -> f64 {
    let power = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>();
    let signal = power(&mut float.iter().map(|&x| f64::from(x)));
    let noise = power(&mut float.iter().zip(&integer).map(|(&x, &q)| f64::from(x) - f64::from(q)));
    10.0 * (signal / noise).log10()
}

fn presets() -> Vec<Recipe> {
    let fast = PRESETS.iter().filter(|(name, _)| !name.ends_with("-best"));
    fast.map(|(name, _)| Recipe::preset(name).unwrap()).collect()
}

fn recipe(text: &str) -> Recipe {
    Recipe::parse(text, "the test").unwrap()
}

/// A convolution whose biases keep its Relu shut.
fn shut(out: usize, input: usize, kernel: usize, seed: u64) -> Conv2d {
    let mut conv = conv(out, input, kernel, seed);
    conv.bias.data.fill(-100.0);
    conv
}

#[test]
fn a_layer_that_is_zero_on_all_data_gives_the_float_networks_constant() {
    let mut graph = Graph::new("dead", "x", vec![2, 6, 6]);
    let x = graph.input();
    let dead = push(&mut graph, shut(4, 2, 3, 1), &[x]);
    let dead = push(&mut graph, relu(), &[dead]);
    push(&mut graph, conv(3, 4, 3, 2), &[dead]);
    let samples = numbers(32 * 72, 5);
    for recipe in presets() {
        let [float, integer] = outputs(&graph, &recipe, &samples);
        let worst = float.iter().zip(&integer).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 0.02, "{}: off by {worst}", recipe.name);
        let quantized = quantize(&graph, &recipe, &samples).unwrap();
        let kinds: Vec<_> = quantized.warnings.iter().map(|w| w.kind).collect();
        assert!(kinds.contains(&"value-always-zero"), "{kinds:?}");
    }
}

#[test]
fn a_difference_that_is_always_zero_gives_zeros() {
    let mut graph = Graph::new("difference", "x", vec![12]);
    let x = graph.input();
    let a = push(&mut graph, linear(6, 12, 1, 1.0), &[x]);
    let minus = ChannelAffine { scale: Array::full([6], -1.0), shift: Array::full([6], 0.0) };
    let b = push(&mut graph, minus, &[a]);
    let zero = push(&mut graph, Add, &[a, b]);
    push(&mut graph, linear(4, 6, 3, 1.0), &[zero]);
    let samples = numbers(32 * 12, 5);
    for recipe in presets() {
        let [float, integer] = outputs(&graph, &recipe, &samples);
        let worst = float.iter().zip(&integer).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 0.25, "{}: off by {worst}", recipe.name);
    }
}

#[test]
fn a_squeeze_branch_that_is_dead_gates_by_its_constant() {
    let mut graph = Graph::new("squeeze", "x", vec![4, 6, 6]);
    let x = graph.input();
    let features = push(&mut graph, conv(4, 4, 3, 1), &[x]);
    let window = Window::new([6, 6]);
    let mean = AveragePool { window, count_include_pad: false, ceil_extra: [0; 2] };
    let mean = push(&mut graph, mean, &[features]);
    let squeezed = push(&mut graph, shut(2, 4, 1, 3), &[mean]);
    let squeezed = push(&mut graph, relu(), &[squeezed]);
    let gate = push(&mut graph, conv(4, 2, 1, 5), &[squeezed]);
    let sigmoid = UnaryFunction::HardSigmoid { alpha: 0.2, beta: 0.5 };
    let gate = push(&mut graph, Unary { function: sigmoid }, &[gate]);
    push(&mut graph, Mul, &[features, gate]);
    let samples = numbers(32 * 144, 5);
    let found = ratio(outputs(&graph, &Recipe::preset("w8a8").unwrap(), &samples));
    assert!(found > 30.0, "{found} dB");
}

#[test]
fn data_of_zeros_makes_a_program() {
    let mut graph = Graph::new("zeros", "x", vec![8]);
    let x = graph.input();
    let hidden = push(&mut graph, linear(6, 8, 1, 1.0), &[x]);
    let hidden = push(&mut graph, relu(), &[hidden]);
    push(&mut graph, linear(3, 6, 3, 1.0), &[hidden]);
    for recipe in presets() {
        let [float, integer] = outputs(&graph, &recipe, &[0.0; 8 * 16]);
        let worst = float.iter().zip(&integer).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 0.1, "{}: off by {worst}", recipe.name);
    }
}

#[test]
fn tiny_and_huge_values_keep_their_precision() {
    let samples = numbers(64 * 10, 5);
    for recipe in ["w8a8", "w4a8"] {
        let recipe = Recipe::preset(recipe).unwrap();
        let with = |input: f32, weights: f32| {
            let mut graph = Graph::new("scaled", "x", vec![10]);
            let x = graph.input();
            let hidden = push(&mut graph, linear(12, 10, 1, weights), &[x]);
            let hidden = push(&mut graph, relu(), &[hidden]);
            push(&mut graph, linear(5, 12, 3, weights), &[hidden]);
            let samples: Vec<f32> = samples.iter().map(|x| x * input).collect();
            ratio(outputs(&graph, &recipe, &samples))
        };
        let usual = with(1.0, 1.0);
        assert!(usual > 20.0, "{}: {usual}", recipe.name);
        for (input, weights) in
            [(1e-13, 1.0), (1.0, 1e-13), (1e-30, 1.0), (1e20, 1.0), (1.0, 1e15), (1e30, 1e-15)]
        {
            let found = with(input, weights);
            let name = &recipe.name;
            // Squares of the largest inputs overflow: rounding then falls back to nearest.
            assert!(found > usual - 6.0, "{name}: {found} dB at {input}, {weights}; {usual}");
        }
    }
}

#[test]
fn weights_that_floats_hardly_hold_count_as_zero() {
    let mut graph = Graph::new("denormal", "x", vec![10]);
    let x = graph.input();
    let mut first = linear(6, 10, 1, 1e-40);
    first.bias.data.fill(0.5);
    let hidden = push(&mut graph, first, &[x]);
    push(&mut graph, linear(3, 6, 3, 1.0), &[hidden]);
    let samples = numbers(320, 5);
    for recipe in presets() {
        let [float, integer] = outputs(&graph, &recipe, &samples);
        let worst = float.iter().zip(&integer).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 0.1, "{}: off by {worst}", recipe.name);
    }
}

#[test]
fn roundings_that_know_one_sample_are_about_as_good_as_the_nearest_on_others() {
    let mut graph = Graph::new("few", "x", vec![16]);
    let x = graph.input();
    let hidden = push(&mut graph, linear(24, 16, 1, 0.4), &[x]);
    let hidden = push(&mut graph, relu(), &[hidden]);
    push(&mut graph, linear(6, 24, 3, 0.4), &[hidden]);
    let others = numbers(256 * 16, 77);
    let one: Vec<f32> = others[..16].to_vec();
    let equal = one.repeat(64);
    // Ranges from all samples: what is compared is the rounding.
    let error = |rounding: &str, samples: &[f32]| {
        let text = format!(
            "rounding = '{rounding}'\nweights.bits = 4\ncorrection = 'none'\n\
             weights.range = 'min-max'\nactivations.bits = 16\nactivations.border_bits = 16"
        );
        let quantized = quantize(&graph, &recipe(&text), samples).unwrap();
        let inputs = TensorData::new(others.clone(), [256, 16, 1, 1]);
        let inputs = Tensor::<4>::from_data(inputs, &Device::flex());
        let weights = |index: usize| quantized.graph.weights[index].as_ref().unwrap();
        // The float network with the rounded weights: ranges of activations do not matter.
        let mut rounded = quantized.float.as_ref().clone();
        for index in 0..rounded.nodes.len() {
            let scale = quantized.graph.activations[rounded.nodes[index].inputs[0].0].grid.scale;
            if let Some((weight, bias)) = rounded.nodes[index].op.weight_and_bias_mut() {
                *weight = weights(index).dequantize(&weight.shape);
                *bias = weights(index).dequantize_bias(scale);
            }
        }
        let run = |graph: Graph| -> Vec<f32> {
            let model = FloatModel::new(Arc::new(graph), &Device::flex());
            model.forward(inputs.clone()).into_data().try_to_vec().unwrap()
        };
        ratio([run(graph.clone()), run(rounded)])
    };
    for samples in [&one, &equal] {
        let nearest = error("nearest", samples);
        for rounding in ["gptq", "coordinate-descent", "obq", "adaround"] {
            let found = error(rounding, samples);
            assert!(found > nearest - 1.5, "{rounding}: {found} dB, nearest {nearest}");
        }
    }
}

#[test]
fn softmax_goes_with_every_border() {
    for log in [false, true] {
        for shape in [vec![5], vec![1, 5]] {
            let mut graph = Graph::new("softmax", "x", vec![8]);
            let x = graph.input();
            let logits = push(&mut graph, linear(5, 8, 1, 1.0), &[x]);
            let last = match log {
                true => push(&mut graph, LogSoftmax { axis: 0 }, &[logits]),
                false => push(&mut graph, Softmax { axis: 0 }, &[logits]),
            };
            if shape.len() == 2 {
                push(&mut graph, Reshape { shape }, &[last]);
            } else {
                push(&mut graph, Concat { axis: 0 }, &[last, logits]);
            }
            let samples = numbers(32 * 8, 5);
            for border in [2, 3, 4, 7, 8, 16] {
                for ends in ["", "first_last_bits = 2\n"] {
                    for bits in [2, 8, 16] {
                        let text = format!(
                            "{ends}activations.bits = {bits}\nactivations.border_bits = {border}"
                        );
                        outputs(&graph, &recipe(&text), &samples);
                    }
                }
            }
        }
    }
}

#[test]
fn log_softmax_reaches_as_low_as_calibration_shows() {
    for scale in [1.0, 20.0, 2000.0] {
        let mut graph = Graph::new("log_softmax", "x", vec![8]);
        let x = graph.input();
        let logits = push(&mut graph, linear(5, 8, 1, scale), &[x]);
        push(&mut graph, LogSoftmax { axis: 0 }, &[logits]);
        let samples = numbers(64 * 8, 5);
        let mut lowest = 0.0_f32;
        for text in ["", "activations.border_bits = 16"] {
            let found = outputs(&graph, &recipe(text), &samples);
            lowest = found[0].iter().copied().fold(lowest, f32::min);
            let ratio = ratio(found);
            assert!(ratio > 30.0, "scale {scale}, {text}: {ratio} dB");
        }
        // TensorFlow Lite's grid ends at -16; each doubling of its scale reaches twice as low.
        let doublings = (lowest / -16.0).log2().ceil().max(0.0);
        assert_eq!(doublings > 0.0, scale > 1.0, "{lowest}");
        let quantized = quantize(&graph, &recipe(""), &samples).unwrap();
        let grid = quantized.program.tensors[quantized.program.outputs[0].tensor.0].grid;
        let expected = (0.0625 * doublings.exp2(), 127);
        assert_eq!((grid.scale, grid.zero_point), expected, "scale {scale}, {lowest}");
    }
}

#[test]
fn tables_of_16_bits_agree_with_their_simulation_at_kinks() {
    let functions = [
        UnaryFunction::HardSigmoid { alpha: 0.2, beta: 0.5 },
        UnaryFunction::HardSigmoid { alpha: 3.0, beta: 0.1 },
        UnaryFunction::HardSwish,
        UnaryFunction::LeakyRelu { alpha: 0.1 },
        UnaryFunction::Tanh,
        UnaryFunction::Sigmoid,
        UnaryFunction::Abs,
        UnaryFunction::Exp,
        UnaryFunction::Sin,
        UnaryFunction::Cos,
        UnaryFunction::Sign,
        UnaryFunction::Floor,
        UnaryFunction::Ceil,
        UnaryFunction::Round,
        UnaryFunction::Erf,
        UnaryFunction::Gelu { tanh: false },
        UnaryFunction::Gelu { tanh: true },
        UnaryFunction::Swish { alpha: 1.702 },
        UnaryFunction::Elu { alpha: 1.0, scale: 1.05, width: 0.5 },
        UnaryFunction::Softplus,
        UnaryFunction::Softsign,
        UnaryFunction::Mish,
        UnaryFunction::ThresholdedRelu { alpha: 0.7 },
        UnaryFunction::Threshold { bound: 0.7, value: -0.4 },
        UnaryFunction::Shrink { lambd: 0.5, bias: 0.2 },
        UnaryFunction::Pow { exponent: 2.0 },
    ];
    // Of positive numbers.
    let of_positive = [
        UnaryFunction::Log,
        UnaryFunction::Sqrt,
        UnaryFunction::Reciprocal,
        UnaryFunction::Pow { exponent: -0.5 },
    ];
    let all = functions.into_iter().map(|function| (function, false));
    for (function, positive) in all.chain(of_positive.map(|function| (function, true))) {
        let mut graph = Graph::new("table", "x", vec![40]);
        let x = graph.input();
        let mut y = push(&mut graph, linear(40, 40, 1, 1.0), &[x]);
        if positive {
            y = push(&mut graph, Unary { function: UnaryFunction::Softplus }, &[y]);
        }
        push(&mut graph, Unary { function }, &[y]);
        let text = "activations.bits = 16\nactivations.border_bits = 16";
        outputs(&graph, &recipe(text), &numbers(200 * 40, 5));
    }
}

#[test]
fn a_joint_search_without_ranges_to_search_leaves_them() {
    let mut graph = Graph::new("wide", "x", vec![8]);
    let x = graph.input();
    push(&mut graph, linear(5, 8, 1, 1.0), &[x]);
    let text = "joint_range = 'lapq'\nactivations.bits = 16\nactivations.border_bits = 16";
    let found = ratio(outputs(&graph, &recipe(text), &numbers(256, 5)));
    assert!(found > 30.0, "{found} dB");
}

#[test]
fn a_seed_beyond_toml_is_refused_by_its_key() {
    let recipe = Recipe { seed: u64::MAX, ..Recipe::default() };
    let mut graph = Graph::new("seed", "x", vec![8]);
    let x = graph.input();
    push(&mut graph, linear(5, 8, 1, 1.0), &[x]);
    let error = quantize(&graph, &recipe, &numbers(64, 5)).unwrap_err().to_string();
    assert!(error.contains("seed is 18446744073709551615"), "{error}");
}
