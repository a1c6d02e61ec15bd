//! Data-free calibration on a small network whose normalizations have seen known data.

use super::*;
use crate::graph::ops::{AveragePool, ChannelAffine, Clip, Conv2d, Linear, Reshape, Window};
use crate::graph::{Array, Clamp, FloatModel, ValueId, to_vec};
use crate::prepare::prepare;

const CHANNELS: usize = 3;
const SIDE: usize = 8;

/// Pixels: the mean and the deviation of each input channel.
const PIXELS: [[f32; 2]; CHANNELS] = [[120.0, 60.0], [100.0, 40.0], [140.0, 70.0]];

fn numbers(count: usize, seed: u64) -> Vec<f32> {
    noise(count, &mut ChaCha8Rng::seed_from_u64(seed))
}

fn pixels(count: usize) -> Tensor<4> {
    let mut data = numbers(count * CHANNELS * SIDE * SIDE, 7);
    for (i, x) in data.iter_mut().enumerate() {
        let [mean, deviation] = PIXELS[i / (SIDE * SIDE) % CHANNELS];
        *x = *x * deviation + mean;
    }
    Tensor::from_data(TensorData::new(data, [count, CHANNELS, SIDE, SIDE]), &Device::flex())
}

/// Means and deviations of the channels of `[batch, channels, height, width]`.
fn statistics(x: Tensor<4>) -> Vec<[f32; 2]> {
    let channels = x.dims()[1];
    let rows = to_vec(x.swap_dims(0, 1));
    rows.chunks(rows.len() / channels)
        .map(|row| {
            let mean = row.iter().sum::<f32>() / row.len() as f32;
            let square = row.iter().map(|x| (x - mean).powi(2)).sum::<f32>();
            [mean, (square / row.len() as f32).sqrt()]
        })
        .collect()
}

/// Appends a convolution, a normalization of what it gives on pixels, and ReLU.
fn push_block(graph: &mut Graph, name: &str, input: ValueId, out: usize, seed: u64) -> ValueId {
    let channels = graph.value(input).shape[0];
    let conv = Conv2d {
        weight: Array::new([out, channels, 3, 3], numbers(out * channels * 9, seed)),
        bias: Array::full([out], 0.0),
        window: Window { begin: [1; 2], end: [1; 2], ..Window::new([3, 3]) },
        groups: 1,
    };
    let conv = graph.push(format!("{name}_conv"), conv, &[input], format!("{name}_c")).unwrap();
    let found =
        statistics(FloatModel::new(Arc::new(graph.clone()), &Device::flex()).forward(pixels(64)));
    let normalization = BatchNormStatistics {
        name: "norm".into(),
        gamma: numbers(out, seed + 1).iter().map(|x| 1.0 + 0.3 * x).collect(),
        beta: numbers(out, seed + 2).iter().map(|x| 0.4 * x).collect(),
        mean: found.iter().map(|s| s[0]).collect(),
        variance: found.iter().map(|s| s[1] * s[1]).collect(),
        epsilon: 1e-3,
    };
    let affine = ChannelAffine::from_batch_norm(&normalization);
    let affine = graph.push(format!("{name}_bn"), affine, &[conv], format!("{name}_b")).unwrap();
    graph.nodes.last_mut().unwrap().batch_norm = Some(normalization);
    let relu = Clip { bounds: Clamp::RELU };
    graph.push(format!("{name}_relu"), relu, &[affine], format!("{name}_r")).unwrap()
}

fn network() -> Arc<Graph> {
    let mut graph = Graph::new("g", "x", vec![CHANNELS, SIDE, SIDE]);
    let x = push_block(&mut graph, "first", ValueId(0), 8, 10);
    let x = push_block(&mut graph, "second", x, 6, 20);
    let pool = AveragePool {
        window: Window::new([SIDE, SIDE]),
        count_include_pad: false,
        ceil_extra: [0; 2],
    };
    let x = graph.push("pool", pool, &[x], "p").unwrap();
    let x = graph.push("flatten", Reshape { shape: vec![6] }, &[x], "f").unwrap();
    let linear = Linear {
        weight: Array::new([2, 6], numbers(12, 30)),
        bias: Array::full([2], 0.0),
        axis: 0,
    };
    graph.push("fc", linear, &[x], "y").unwrap();
    Arc::new(prepare(graph).unwrap())
}

fn make(graph: &Arc<Graph>, how: &Synthesis, seed: u64) -> Vec<f32> {
    synthesize(graph, how, seed, &Device::flex(), &|_| true).unwrap().values
}

fn to_tensor(samples: Vec<f32>) -> Tensor<4> {
    let count = samples.len() / (CHANNELS * SIDE * SIDE);
    let data = TensorData::new(samples, [count, CHANNELS, SIDE, SIDE]);
    Tensor::from_data(data, &Device::flex())
}

#[test]
fn made_inputs_have_the_statistics_that_the_normalizations_remember() {
    let graph = network();
    let how = Synthesis { samples: 32, batch: 32, ..Synthesis::default() };
    let made = to_tensor(make(&graph, &how, 0));
    let targets = Targets::new(&graph, &Device::flex()).unwrap();
    let loss = |x: Tensor<4>| targets.mismatch(vec![x]).into_scalar::<f32>();
    let before = loss(to_tensor(numbers(32 * CHANNELS * SIDE * SIDE, 0)));
    let (after, real) = (loss(made.clone()), loss(pixels(32)));
    println!("mismatch {before} of noise, {after} of made inputs, {real} of pixels");
    assert!(after < 0.1 * before, "{before} became {after}");

    let node = &graph.nodes[0];
    let wanted = node.batch_norm.as_ref().unwrap();
    let parameters = Parameters::new(node.op.parameters(), &Device::flex()).values();
    let output = node.op.operator().forward(std::slice::from_ref(&made), &parameters);
    let deviations = wanted.deviations();
    for (c, [mean, deviation]) in statistics(output).into_iter().enumerate() {
        let wanted_deviation = deviations[c] as f32;
        let shift = (mean - wanted.beta[c]) / wanted_deviation;
        let stretch = deviation / wanted_deviation - 1.0;
        assert!(shift.abs() < 0.1 && stretch.abs() < 0.1, "channel {c}: {shift}, {stretch}");
    }

    // Nothing told it that inputs are pixels.
    for (c, [mean, deviation]) in statistics(made).into_iter().enumerate() {
        let [wanted_mean, wanted] = PIXELS[c];
        let near = (mean - wanted_mean).abs() < 0.5 * wanted;
        let wide = (0.5 * wanted..2.0 * wanted).contains(&deviation);
        assert!(near && wide, "channel {c}: {mean} +- {deviation}, pixels {:?}", PIXELS[c]);
    }
}

#[test]
fn the_same_seed_makes_the_same_inputs_whatever_the_threads() {
    let graph = network();
    let how = Synthesis { samples: 5, batch: 2, steps: 5, ..Synthesis::default() };
    let with_threads = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| make(&graph, &how, 3))
    };
    let made = with_threads(1);
    assert_eq!(made.len(), 5 * CHANNELS * SIDE * SIDE);
    assert_eq!(made, with_threads(2));
    assert_ne!(made, make(&graph, &how, 4));
}

#[test]
fn a_network_without_batch_normalization_is_refused_with_a_way_out() {
    let mut graph = network().as_ref().clone();
    graph.nodes.iter_mut().for_each(|n| n.batch_norm = None);
    let result = synthesize(&Arc::new(graph), &Synthesis::default(), 0, &Device::flex(), &|_| true);
    let message = result.unwrap_err().to_string();
    assert!(message.contains("no batch normalization"), "{message}");
    assert!(message.contains("give calibration data"), "{message}");
}

#[test]
fn making_inputs_can_be_cancelled() {
    let result = synthesize(&network(), &Synthesis::default(), 0, &Device::flex(), &|_| false);
    assert!(matches!(result, Err(SynthesizeError::Cancelled(_))));
}

#[test]
fn channels_that_training_switched_off_have_no_deviation_to_match() {
    let statistics = BatchNormStatistics {
        name: "norm".into(),
        gamma: vec![0.8, -0.5],
        beta: vec![0.0; 2],
        mean: vec![0.0; 2],
        variance: vec![1e-20, 3e-3],
        epsilon: 1e-3,
    };
    let deviations = statistics.deviations();
    assert!(deviations[0] < 1e-8);
    assert!((deviations[1] - 0.5 * 0.75_f64.sqrt()).abs() < 1e-6);
}
