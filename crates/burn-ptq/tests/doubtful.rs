//! Warnings about doubtful results, on a small network with an outlier
//! channel.

use burn::tensor::{Device, Tensor, TensorData};
use burn_ptq::graph::ops::{AveragePool, Conv2d, Linear, Reshape, Window};
use burn_ptq::graph::{Array, Clamp, Graph};
use burn_ptq::network::MeasuredOn;
use burn_ptq::{Quantized, Quantizer, Recipe};

/// Numbers between -1 and 1 that look random.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 40) as f32 / (1_u32 << 23) as f32 - 1.0
        })
        .collect()
}

const OUTLIER: f32 = 400.0;

/// Two convolutions, a mean and a linear layer; the first convolution's second channel is
/// [`OUTLIER`] times as large as it need be, and the second one makes up for it.
fn network() -> Graph {
    let window = || Window { begin: [1; 2], end: [1; 2], ..Window::new([3; 2]) };
    let mut first = numbers(8 * 3 * 9, 1);
    first[27..54].iter_mut().for_each(|w| *w *= OUTLIER);
    let mut second = numbers(8 * 8 * 9, 2);
    for row in second.chunks_mut(8 * 9) {
        row[9..18].iter_mut().for_each(|w| *w /= OUTLIER);
    }
    let conv = |weight: Vec<f32>, input: usize| Conv2d {
        weight: Array::new([8, input, 3, 3], weight),
        bias: Array::new([8], vec![0.0; 8]),
        window: window(),
        groups: 1,
    };
    let mut graph = Graph::new("outlier", "x", vec![3, 8, 8]);
    let a = graph.push("first", conv(first, 3), &[graph.input()], "a").unwrap();
    let b = graph.push("second", conv(second, 8), &[a], "b").unwrap();
    let pool =
        AveragePool { window: Window::new([8; 2]), count_include_pad: false, ceil_extra: [0; 2] };
    let c = graph.push("mean", pool, &[b], "c").unwrap();
    let d = graph.push("flat", Reshape { shape: vec![8] }, &[c], "d").unwrap();
    let linear = Linear {
        weight: Array::new([4, 8], numbers(32, 3)),
        bias: Array::new([4], numbers(4, 4)),
        axis: 0,
    };
    graph.push("classes", linear, &[d], "e").unwrap();
    (graph.nodes[0].clamp, graph.nodes[1].clamp) = (Some(Clamp::RELU), Some(Clamp::RELU));
    graph
}

fn quantized(preset: &str, samples: usize) -> Quantized {
    let batch = |i: usize| {
        let data = TensorData::new(numbers(32 * 3 * 64, 100 + i as u64), [32, 3, 8, 8]);
        Tensor::<4>::from_data(data, &Device::flex())
    };
    let batches = (0..samples / 32).map(batch);
    let recipe = Recipe::preset(preset).unwrap();
    Quantizer::new(recipe).with_device(Device::flex()).quantize(network(), batches).unwrap()
}

fn output_db(quantized: &Quantized) -> f64 {
    quantized.noise.sqnr_db(quantized.graph.graph.output()).unwrap()
}

#[test]
fn eight_bits_bear_an_outlier_channel_and_are_no_worse_than_four() {
    let [eight, four] = ["w8a8", "w4a8"].map(|preset| output_db(&quantized(preset, 640)));
    println!("w8a8 {eight:.1} dB, w4a8 {four:.1} dB");
    assert!(eight > 25.0 && eight >= four, "{eight} and {four}");
}

#[test]
fn rounding_to_nearest_does_not_bear_it_and_says_why() {
    let quantized = quantized("nearest", 256);
    let found = output_db(&quantized);
    let [warning] = &quantized.warnings[..] else { panic!("{:?}", quantized.warnings) };
    println!("{found:.1} dB; {warning}");
    assert!(found < 20.0, "{found}");
    assert_eq!(warning.kind, "layer-noisy");
    assert!(warning.message.contains("`second`") && warning.message.contains("`first` is"));
}

#[test]
fn noise_is_measured_beyond_the_samples_that_layers_are_fitted_to() {
    // w4a8 is fitted to 512.
    let held_out = quantized("w4a8", 640);
    assert_eq!(held_out.noise.on, MeasuredOn::HeldOut);
    assert_eq!(held_out.noise.inputs.count, 64);
    assert_eq!(held_out.warnings, []);
    let fitted = quantized("w4a8", 512);
    assert_eq!(fitted.noise.on, MeasuredOn::Fitted);
    // Fewer samples look better on themselves, and are said to be few.
    let few = quantized("w4a8", 32);
    assert_eq!(few.noise.on, MeasuredOn::Fitted);
    let kinds: Vec<&str> = few.warnings.iter().map(|warning| warning.kind).collect();
    assert_eq!(kinds, ["calibration-too-few"]);
}
