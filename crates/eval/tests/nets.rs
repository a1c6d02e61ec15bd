//! Networks that `scripts/export-nets.py` exports from PyTorch, with and without dynamo: they are
//! imported, quantized, exported as C and run.
//!
//! With `BURN_PTQ_NETS_OUT` the programs and their inputs are written to that folder, for
//! `cargo xtask mcu networks --programs`, which runs them on emulated microcontrollers.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use burn_ptq::graph::{Batch, FloatModel, Graph};
use burn_ptq::import::onnx;
use burn_ptq::{Quantized, Quantizer, Recipe};
use burn_ptq_deploy::run::quantize_inputs;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// The networks; each is in two files.
const NETS: &[&str] = &[
    "har",
    "tcn",
    "mobilenetv2",
    "mobilenetv3",
    "unet_transposed",
    "unet_resize",
    "detector",
    "dscnn_se",
    "vit",
];

/// Samples of calibration, and others that are judged.
const SAMPLES: usize = 48;
/// The least signal-to-quantization-noise ratio of an output at W8A8 and at W4A8, in dB.
const FLOORS: [(&str, f64); 2] = [("w8a8", 25.0), ("w4a8", 8.0)];

/// Numbers that look random.
struct Numbers(ChaCha8Rng);

impl Numbers {
    fn uniform(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * (self.0.next_u32() as f32 / u32::MAX as f32)
    }

    /// About normal: the sum of twelve uniform numbers.
    fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.uniform(-0.5, 0.5)).sum()
    }

    /// Sums of three waves with noise, as the script has them.
    fn waves(&mut self, channels: usize, length: usize) -> Vec<f32> {
        let mut sample = Vec::with_capacity(channels * length);
        let class = (self.uniform(0.0, 4.0)).floor().min(3.0);
        for channel in 0..channels {
            let waves: Vec<[f32; 3]> = (0..3)
                .map(|wave| {
                    let first = channel == 0 && wave == 0;
                    let frequency = if first { 2.0 + 4.0 * class } else { self.uniform(1.0, 15.0) };
                    let strength = self.uniform(0.2, 0.6) + if wave == 0 { 0.6 } else { 0.0 };
                    [frequency, strength, self.uniform(0.0, std::f32::consts::TAU)]
                })
                .collect();
            for step in 0..length {
                let time = std::f32::consts::TAU * step as f32 / length as f32;
                let sum: f32 = waves.iter().map(|[f, s, phase]| s * (f * time + phase).sin()).sum();
                sample.push(sum + 0.1 * self.normal());
            }
        }
        sample
    }

    /// Two bright spots with noise, as the script has them.
    fn spots(&mut self, channels: usize, height: usize, width: usize) -> Vec<f32> {
        let spots: Vec<([f32; 3], Vec<f32>)> = (0..2)
            .map(|spot| {
                let place =
                    [self.uniform(0.0, 1.0), self.uniform(0.0, 1.0), self.uniform(0.08, 0.2)];
                let strength = if spot == 0 { 1.0 } else { 0.5 };
                (place, (0..channels).map(|_| strength * self.uniform(0.3, 1.0)).collect())
            })
            .collect();
        let mut sample = Vec::with_capacity(channels * height * width);
        for channel in 0..channels {
            for row in 0..height {
                for column in 0..width {
                    let (y, x) = (row as f32 / height as f32, column as f32 / width as f32);
                    let light = |([cy, cx, size], color): &([f32; 3], Vec<f32>)| {
                        let distance = (y - cy).powi(2) + (x - cx).powi(2);
                        color[channel] * (-distance / (2.0 * size * size)).exp()
                    };
                    let sum: f32 = spots.iter().map(light).sum();
                    sample.push(2.0 * sum - 0.5 + 0.1 * self.normal());
                }
            }
        }
        sample
    }
}

/// Samples of a network's input.
fn samples(graph: &Graph, seed: u64) -> Batch {
    let value = graph.value(graph.input());
    let mut numbers = Numbers(ChaCha8Rng::seed_from_u64(seed));
    let data: Vec<f32> = (0..SAMPLES)
        .flat_map(|_| match value.shape[..] {
            [channels, length] => numbers.waves(channels, length),
            [channels, height, width] => numbers.spots(channels, height, width),
            _ => panic!("an input of {:?}", value.shape),
        })
        .collect();
    Batch::new(data, value.len())
}

/// Samples as a tensor of the run time's shape.
fn tensor(graph: &Graph, samples: &Batch) -> Tensor<4> {
    let [a, b, c] = graph.value(graph.input()).dims();
    let data = TensorData::new(samples.values.clone(), [SAMPLES, a, b, c]);
    Tensor::from_data(data, &Device::flex())
}

/// The ratio of signal to noise of every output, in dB.
fn ratios(quantized: &Quantized, model: &FloatModel, input: &Tensor<4>) -> Vec<f64> {
    let expected = model.forward_all(vec![input.clone()]);
    let found = quantized.forward_all(vec![input.clone()]).unwrap();
    let numbers = |data: TensorData| data.try_to_vec::<f32>().unwrap();
    let pairs = expected.into_iter().zip(found);
    pairs
        .map(|(expected, found)| {
            let (expected, found) = (numbers(expected.into_data()), numbers(found.into_data()));
            assert_eq!(expected.len(), found.len());
            let square = |v: f32| f64::from(v) * f64::from(v);
            let signal: f64 = expected.iter().map(|&v| square(v)).sum();
            let noise: f64 = expected.iter().zip(&found).map(|(a, b)| square(a - b)).sum();
            10.0 * (signal / noise).log10()
        })
        .collect()
}

/// Compiles the exported C with its self-test, which compares with the interpreter's bytes.
fn self_test(quantized: &Quantized, name: &str) {
    let folder = tempfile::tempdir().unwrap();
    quantized.export("c", folder.path()).unwrap();
    let make = Command::new("make")
        .args(["-s", "-C"])
        .arg(folder.path())
        .args(["CC=gcc", "CFLAGS=-O1 -Werror", "all", "test"])
        .output()
        .unwrap();
    assert!(make.status.success(), "{name}: {}", String::from_utf8_lossy(&make.stderr));
}

/// Writes a program and its inputs where a developer's command reads them.
fn write(folder: &Path, name: &str, quantized: &Quantized, samples: &Batch) {
    std::fs::create_dir_all(folder).unwrap();
    quantized.save(&folder.join(format!("{name}.bptq"))).unwrap();
    let bytes = quantize_inputs(&quantized.program, &samples.values);
    std::fs::write(folder.join(format!("{name}.inputs")), bytes).unwrap();
}

#[test]
fn networks_from_pytorch_keep_their_outputs_in_integers() {
    let has_compiler = ["gcc", "make"].iter().all(|tool| {
        let found = Command::new(tool).arg("--version").output().is_ok();
        if !found {
            eprintln!("SKIPPED the self-tests of networks from PyTorch: no {tool}");
        }
        found
    });
    let out = std::env::var_os("BURN_PTQ_NETS_OUT").map(PathBuf::from);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nets");
    let mut below = Vec::new();
    for name in NETS {
        for way in ["legacy", "dynamo"] {
            let graph = onnx::read(&folder.join(format!("{name}.{way}.onnx"))).unwrap();
            let model = FloatModel::new(Arc::new(graph.clone()), &Device::flex());
            let (calibration, judged) = (samples(&graph, 1), samples(&graph, 2));
            for (preset, floor) in FLOORS {
                // Both files hold the same network: few bits are judged once.
                if way == "legacy" && preset == "w4a8" {
                    continue;
                }
                let quantizer = Quantizer::new(Recipe::preset(preset).unwrap());
                let batches = calibration.chunks(16).map(Ok::<_, Infallible>);
                let quantized =
                    quantizer.quantize_samples(graph.clone(), batches, None, &|_| true).unwrap();
                let ratios = ratios(&quantized, &model, &tensor(&graph, &judged));
                let shown: Vec<String> = ratios.iter().map(|r| format!("{r:.1}")).collect();
                println!("{name} {way} {preset}: {} dB", shown.join(", "));
                if ratios.iter().any(|&ratio| ratio < floor) {
                    below.push(format!("{name} {way} {preset}: {} dB", shown.join(", ")));
                }
                if has_compiler {
                    self_test(&quantized, name);
                }
                if let Some(out) = &out {
                    write(out, &format!("{name}-{way}-{preset}"), &quantized, &judged);
                }
            }
        }
    }
    assert!(below.is_empty(), "below the floors: {below:#?}");
}
