//! Corrections against the statistics that they claim to restore, and against each other.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::statistics::ChannelStatistics;
use super::*;
use crate::calibrate::synthesize::noise;
use crate::graph::ops::{
    Add, AveragePool, BatchNormStatistics, Clip, Concat, Conv2d, Linear, MaxPool, Reshape, Window,
};
use crate::graph::{Array, Batch, Clamp, Graph, Op, ValueId};
use crate::pipeline::Quantizer;
use crate::quant::SideBySide;
use crate::recipe::Recipe;

const SIDE: usize = 9;

fn numbers(count: usize, seed: u64) -> Vec<f32> {
    noise(count, &mut ChaCha8Rng::seed_from_u64(seed))
}

fn array(shape: &[usize], seed: u64) -> Array {
    Array::new(shape, numbers(shape.iter().product(), seed))
}

fn conv(weight: Array, pad: usize, stride: usize, groups: usize) -> Conv2d {
    let kernel = [weight.shape[2], weight.shape[3]];
    let out = weight.shape[0];
    let window =
        Window { stride: [stride; 2], begin: [pad; 2], end: [pad; 2], ..Window::new(kernel) };
    Conv2d { weight, bias: Array::new([out], numbers(out, 99)), window, groups }
}

fn quantize(graph: Graph, recipe: &str, samples: &Batch) -> QuantizedGraph {
    let recipe = format!("rounding = 'nearest'\ncorrection = 'none'\n{recipe}");
    let recipe = Recipe::parse(&recipe, "test").unwrap();
    let batches = samples.chunks(64).map(Ok::<_, std::convert::Infallible>);
    let quantizer = Quantizer::new(recipe);
    quantizer.quantize_samples(graph, batches, None, &|_| true).unwrap().graph
}

fn samples(graph: &Graph, count: usize, seed: u64) -> Batch {
    let len = graph.value(graph.input()).len();
    Batch::new(numbers(count * len, seed), len)
}

fn node(quantized: &QuantizedGraph, name: &str) -> usize {
    quantized.graph.nodes.iter().position(|n| n.name == name).unwrap()
}

/// The real biases of layer `index`.
fn biases(quantized: &QuantizedGraph, index: usize) -> Vec<f64> {
    let input = quantized.graph.nodes[index].inputs[0];
    let scale = quantized.activations[input.0].grid.scale;
    let weights = quantized.weights[index].as_ref().unwrap();
    weights.dequantize_bias(scale).data.into_iter().map(f64::from).collect()
}

/// Four channels of normal variables, picked from the normal input from channel `first` on, with a
/// batch normalization that says so.
fn push_normal(graph: &mut Graph, name: &str, first: usize, clamp: Option<Clamp>) -> ValueId {
    let gamma: Vec<f32> = vec![0.5, 1.0, 1.5, -0.8];
    let beta: Vec<f32> = vec![0.4, -0.3, 0.9, 0.1];
    let inputs = graph.value(graph.input()).shape[0];
    let mut weight = vec![0.0; 4 * inputs];
    (0..4).for_each(|o| weight[o * inputs + first + o] = gamma[o]);
    let pick = Conv2d {
        weight: Array::new([4, inputs, 1, 1], weight),
        bias: Array::new([4], beta.clone()),
        window: Window::new([1, 1]),
        groups: 1,
    };
    let input = graph.input();
    let picked = graph.push(format!("exact_{name}"), pick, &[input], name).unwrap();
    graph.nodes.last_mut().unwrap().batch_norm = Some(BatchNormStatistics {
        name: "norm".into(),
        gamma,
        beta,
        mean: vec![0.0; 4],
        variance: vec![1.0; 4],
        epsilon: 0.0,
    });
    match clamp {
        Some(bounds) => graph
            .push(format!("{name}_clip"), Clip { bounds }, &[picked], format!("{name}_c"))
            .unwrap(),
        None => picked,
    }
}

fn normals() -> Graph {
    Graph::new("g", "x", vec![8, SIDE, SIDE])
}

/// Checks that both corrections do the same to the layer `tested`, within what the samples of the
/// empirical one leave open.
fn analytic_equals_empirical(graph: Graph, out: usize) {
    const COUNT: usize = 512;
    let recipe = "[weights]\nbits = 3\nrange = 'min-max'\n\
                  [activations]\nbits = 16\nborder_bits = 16\nrange = 'min-max'\n\
                  [[layer]]\nname = 'exact_*'\nweights = 8";
    let halves = [1, 2].map(|seed| samples(&graph, COUNT, seed));
    let rounded = quantize(graph, recipe, &halves[0]);
    let tested = node(&rounded, "tested");
    let before = biases(&rounded, tested);
    let shifts = |correction: &dyn Correction, samples: Batch| -> Vec<f64> {
        let mut corrected = rounded.clone();
        correction.correct(&mut corrected, &samples, &Device::flex());
        biases(&corrected, tested).iter().zip(&before).map(|(a, b)| a - b).collect()
    };
    let analytic = shifts(&AnalyticBias::default(), Batch::default());
    let empirical = halves.map(|half| shifts(&Bias { samples: COUNT, max_bits: 7 }, half));
    assert_eq!(analytic.len(), out);
    let rms =
        |x: &mut dyn Iterator<Item = f64>| (x.map(|x| x * x).sum::<f64>() / out as f64).sqrt();
    // The mean of both halves is as uncertain as half their difference.
    let [first, second] = &empirical;
    let uncertain = rms(&mut first.iter().zip(second).map(|(a, b)| 0.5 * (a - b)));
    let size = rms(&mut analytic.iter().copied());
    assert!(size > 10.0 * uncertain, "shifts of {size} drown in {uncertain}");
    for (c, shift) in analytic.iter().enumerate() {
        let mean = 0.5 * (first[c] + second[c]);
        let error = (shift - mean).abs();
        assert!(
            error < 4.0 * uncertain,
            "channel {c}: {shift} in theory, {mean} +- {uncertain} by samples"
        );
    }
}

#[test]
fn analytic_bias_correction_equals_the_empirical_one_behind_a_two_sided_clip() {
    let mut g = normals();
    let x = push_normal(&mut g, "a", 0, Some(Clamp { min: 0.0, max: 1.1 }));
    // Padding and stride: a quarter of the taps of the corner's window see zeros.
    g.push("tested", conv(array(&[12, 4, 3, 3], 5), 1, 2, 1), &[x], "y").unwrap();
    analytic_equals_empirical(g, 12);
}

#[test]
fn analytic_bias_correction_equals_the_empirical_one_on_a_depthwise_layer() {
    let mut g = normals();
    let x = push_normal(&mut g, "a", 2, Some(Clamp::RELU));
    g.push("tested", conv(array(&[8, 1, 3, 3], 6), 1, 1, 4), &[x], "y").unwrap();
    analytic_equals_empirical(g, 8);
}

#[test]
fn analytic_bias_correction_follows_means_through_sums_pools_and_flattening() {
    let mut g = normals();
    let a = push_normal(&mut g, "a", 0, None);
    let b = push_normal(&mut g, "b", 4, None);
    let sum = g.push("sum", Add, &[a, b], "s").unwrap();
    let sum = g.push("sum_relu", Clip { bounds: Clamp::RELU }, &[sum], "sr").unwrap();
    let pool = AveragePool {
        window: Window { stride: [3; 2], ..Window::new([3, 3]) },
        count_include_pad: false,
        ceil_extra: [0; 2],
    };
    let pooled = g.push("pool", pool, &[sum], "p").unwrap();
    let flat = g.push("flatten", Reshape { shape: vec![36] }, &[pooled], "f").unwrap();
    let linear = Linear { weight: array(&[10, 36], 7), bias: array(&[10], 8), axis: 0 };
    g.push("tested", linear, &[flat], "y").unwrap();
    analytic_equals_empirical(g, 10);
}

#[test]
fn analytic_bias_correction_follows_means_through_concatenations() {
    let mut g = normals();
    let a = push_normal(&mut g, "a", 0, Some(Clamp::RELU));
    let b = push_normal(&mut g, "b", 4, None);
    let both = g.push("concat", Concat { axis: 0 }, &[a, b], "ab").unwrap();
    g.push("tested", conv(array(&[12, 8, 1, 1], 5), 0, 1, 1), &[both], "y").unwrap();
    analytic_equals_empirical(g, 12);
}

#[test]
fn analytic_bias_correction_leaves_layers_alone_whose_means_are_unknown() {
    let mut g = normals();
    let x = push_normal(&mut g, "a", 0, Some(Clamp::RELU));
    let pool = MaxPool { window: Window { stride: [2; 2], ..Window::new([2, 2]) } };
    let x = g.push("pool", pool, &[x], "p").unwrap();
    g.push("last", conv(array(&[6, 4, 3, 3], 5), 1, 1, 1), &[x], "y").unwrap();
    let data = samples(&g, 8, 1);
    let rounded = quantize(g, "[weights]\nbits = 3", &data);
    let mut corrected = rounded.clone();
    AnalyticBias::default().correct(&mut corrected, &Batch::default(), &Device::flex());
    assert_eq!(corrected.weights, rounded.weights);
}

#[test]
fn analytic_bias_correction_does_not_add_to_biases_that_are_fitted_already() {
    let mut g = normals();
    let x = push_normal(&mut g, "a", 0, Some(Clamp::RELU));
    g.push("tested", conv(array(&[12, 4, 3, 3], 5), 1, 1, 1), &[x], "y").unwrap();
    let data = samples(&g, 8, 1);
    let mut once = quantize(g, "[weights]\nbits = 3", &data);
    AnalyticBias::default().correct(&mut once, &Batch::default(), &Device::flex());
    let mut twice = once.clone();
    AnalyticBias::default().correct(&mut twice, &Batch::default(), &Device::flex());
    assert_eq!(once.weights, twice.weights);
}

/// A convolution, a depthwise one and a linear layer.
fn three_layers() -> Graph {
    let mut g = Graph::new("g", "x", vec![3, SIDE, SIDE]);
    let relu = || Clip { bounds: Clamp::RELU };
    let x = g.push("conv", conv(array(&[6, 3, 3, 3], 1), 1, 1, 1), &[ValueId(0)], "c").unwrap();
    let x = g.push("relu", relu(), &[x], "r").unwrap();
    let x = g.push("depthwise", conv(array(&[6, 1, 3, 3], 2), 1, 2, 6), &[x], "d").unwrap();
    let x = g.push("relu2", relu(), &[x], "r2").unwrap();
    let flat = g.push("flatten", Reshape { shape: vec![150] }, &[x], "f").unwrap();
    let linear = Linear { weight: array(&[10, 150], 3), bias: array(&[10], 4), axis: 0 };
    g.push("linear", linear, &[flat], "y").unwrap();
    g
}

/// The statistics of each layer's channels in the float network and in the quantized one.
fn layer_statistics(quantized: &QuantizedGraph, samples: &Batch) -> Vec<[ChannelStatistics; 2]> {
    let mut networks = SideBySide::new(samples, true, quantized, &Device::flex());
    let mut layers = Vec::new();
    for (index, node) in quantized.graph.nodes.iter().enumerate() {
        let outputs = networks.outputs(index, quantized);
        if node.op.weight_and_bias().is_some() {
            let mut both = [0, 1].map(|_| ChannelStatistics::default());
            for pair in &outputs {
                both.iter_mut().zip(pair).for_each(|(s, x)| s.add(node, x));
            }
            layers.push(both);
        }
        networks.store(index, outputs, quantized);
    }
    layers
}

/// The largest difference of the means, and of the deviations, of float and quantized channels, in
/// deviations of the float channel.
fn differences(quantized: &QuantizedGraph, samples: &Batch) -> [f64; 2] {
    let mut worst = [0.0_f64; 2];
    for [float, found] in layer_statistics(quantized, samples) {
        let units = float.deviations();
        let numbers = [(float.means(), found.means()), (float.deviations(), found.deviations())];
        for (worst, (float, found)) in worst.iter_mut().zip(numbers) {
            for (c, unit) in units.iter().enumerate() {
                *worst = worst.max((float[c] - found[c]).abs() / unit);
            }
        }
    }
    worst
}

#[test]
fn corrected_biases_give_every_channel_its_mean_of_the_float_network() {
    let graph = three_layers();
    let data = samples(&graph, 100, 1);
    let mut quantized = quantize(graph, "[weights]\nbits = 3\nrange = 'min-max'", &data);
    let [before, _] = differences(&quantized, &data);
    Bias::default().correct(&mut quantized, &data, &Device::flex());
    let [after, _] = differences(&quantized, &data);
    assert!(before > 0.1, "{before}");
    assert!(after < 0.01, "{before} became {after}");
}

/// Multiplies the scales of each layer by other factors for other channels.
fn damage(quantized: &mut QuantizedGraph, factors: &[f32]) {
    for weights in quantized.weights.iter_mut().flatten() {
        let factors = factors.iter().cycle();
        weights.scales.iter_mut().zip(factors).for_each(|(scale, factor)| *scale *= factor);
    }
}

#[test]
fn an_affine_correction_repairs_layers_whose_integers_have_the_wrong_scales() {
    let graph = three_layers();
    let data = samples(&graph, 100, 1);
    let mut quantized = quantize(graph, "[weights]\nbits = 6", &data);
    damage(&mut quantized, &[0.7, 1.0, 1.6, 0.55, 1.2]);
    let [mean, deviation] = differences(&quantized, &data);
    assert!(mean > 0.2 && deviation > 0.4, "{mean}, {deviation}");
    Affine::default().correct(&mut quantized, &data, &Device::flex());
    let [mean, deviation] = differences(&quantized, &data);
    assert!(mean < 1e-2 && deviation < 1e-3, "{mean}, {deviation}");
}

#[test]
fn channels_that_share_a_scale_only_have_their_means_corrected() {
    let graph = three_layers();
    let data = samples(&graph, 100, 1);
    let mut quantized = quantize(graph, "[weights]\nbits = 4\ngranularity = 'per-tensor'", &data);
    let before = quantized.clone();
    Affine::default().correct(&mut quantized, &data, &Device::flex());
    for (before, after) in before.weights.iter().zip(&quantized.weights) {
        assert_eq!(before.as_ref().map(|w| &w.scales), after.as_ref().map(|w| &w.scales));
    }
    let [mean, _] = differences(&quantized, &data);
    assert!(mean < 1e-2, "{mean}");
}

#[test]
fn an_affine_correction_keeps_powers_of_two() {
    let graph = three_layers();
    let data = samples(&graph, 100, 1);
    let right = quantize(graph, "[weights]\nbits = 6\npower_of_two = true", &data);
    let mut quantized = right.clone();
    damage(&mut quantized, &[2.0, 1.0, 0.5]);
    Affine::default().correct(&mut quantized, &data, &Device::flex());
    for (right, repaired) in right.weights.iter().zip(&quantized.weights) {
        assert_eq!(right.as_ref().map(|w| &w.scales), repaired.as_ref().map(|w| &w.scales));
    }
}

#[test]
fn corrections_leave_layers_of_more_bits_alone() {
    let graph = three_layers();
    let data = samples(&graph, 20, 1);
    let rounded = quantize(graph, "[weights]\nbits = 8", &data);
    for choice in CorrectionChoice::all() {
        let mut corrected = rounded.clone();
        choice.component().correct(&mut corrected, &data, &Device::flex());
        assert_eq!(corrected.weights, rounded.weights, "{}", choice.name());
    }
}

#[test]
fn corrections_that_know_nothing_change_nothing() {
    let graph = three_layers();
    let data = samples(&graph, 20, 1);
    let rounded = quantize(graph, "[weights]\nbits = 3", &data);
    for choice in CorrectionChoice::all() {
        let mut corrected = rounded.clone();
        choice.component().correct(&mut corrected, &Batch::default(), &Device::flex());
        assert_eq!(corrected.weights, rounded.weights, "{}", choice.name());
    }
}

#[test]
fn a_channel_that_is_always_zero_keeps_its_scale() {
    let mut graph = three_layers();
    let Op::Conv2d(first) = &mut graph.nodes[0].op else { panic!("the first node is not conv") };
    first.weight.rows_mut().next().unwrap().fill(0.0);
    let data = samples(&graph, 20, 1);
    let mut quantized = quantize(graph, "[weights]\nbits = 4", &data);
    let before = quantized.weights[0].as_ref().unwrap().scales[0];
    Affine::default().correct(&mut quantized, &data, &Device::flex());
    assert_eq!(quantized.weights[0].as_ref().unwrap().scales[0], before);
}
