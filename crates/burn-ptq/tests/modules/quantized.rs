//! Quantized networks as modules, written back into modules, and fine-tuned.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, Linear, LinearConfig, PaddingConfig2d};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Tensor};
use burn_ptq::CalibrateError;
use burn_ptq::graph::Graph;
use burn_ptq::observe::{HistogramObserver, Observer, Stats};
use burn_ptq::prepare;
use burn_ptq::qat::{FakeQuantizeWeights, QatConfig};
use burn_ptq::round::{Rounded, Rounding, RoundingProblem};
use burn_ptq::{Error, Event, Quantized, Quantizer, Recipe, WriteBackError, capture};
use burn_store::{BurnpackStore, ModuleSnapshot};

use crate::net::{Draws, Net, host};

fn batches() -> Vec<Tensor<4>> {
    let device = Device::flex();
    let mut draws = Draws::new(9);
    (0..3).map(|_| draws.tensor([16, 2, 8, 8], [-2.0, 2.0], &device)).collect()
}

fn captured(net: &Net) -> Graph {
    capture(net, Tensor::zeros([1, 2, 8, 8], &Device::flex()), Net::forward).unwrap()
}

/// To nearest, without corrections: what becomes of a weight depends on the weight alone.
fn plain(weights: u8, activations: u8) -> Recipe {
    let text = format!(
        "rounding = 'nearest'\nweights.bits = {weights}\nactivations.bits = {activations}\n"
    );
    Recipe::parse(&text, "test").unwrap()
}

fn quantize(net: &Net, recipe: Recipe) -> Quantized {
    Quantizer::new(recipe).quantize(captured(net), batches()).unwrap()
}

#[test]
fn batches_of_another_shape_are_refused_and_progress_is_told() {
    let net = Net::new(&Device::flex());
    let quantizer = Quantizer::new(plain(8, 8));
    let wrong = vec![Tensor::<4>::zeros([4, 2, 8, 7], &Device::flex())];
    let error = quantizer.quantize(captured(&net), wrong).unwrap_err().to_string();
    assert!(error.contains("[4, 2, 8, 7]") && error.contains("[batch, 2, 8, 8]"), "{error}");
    let none: Vec<Tensor<4>> = Vec::new();
    let error = quantizer.quantize(captured(&net), none).unwrap_err();
    assert!(matches!(error, Error::Calibrate(CalibrateError::NoSamples)), "{error}");

    let seen = AtomicUsize::new(0);
    let progress = |event: Event| {
        if let Event::Progress { stage: "calibrate", done, total } = event {
            assert_eq!(total, Some(48));
            seen.store(done, Ordering::SeqCst);
        }
        true
    };
    quantizer.quantize_with_progress(captured(&net), batches(), Some(48), &progress).unwrap();
    assert_eq!(seen.load(Ordering::SeqCst), 48);
    let cancel = |_: Event| false;
    let error = quantizer.quantize_with_progress(captured(&net), batches(), None, &cancel);
    assert!(matches!(error.unwrap_err(), Error::Cancelled(_)));
}

#[test]
fn the_integer_program_runs_on_tensors_and_follows_the_simulation() {
    let net = Net::new(&Device::flex());
    let quantized = quantize(&net, plain(8, 8));
    let input = batches().remove(0);
    let integer = host(quantized.forward(input.clone()).unwrap());
    let simulated = host(quantized.simulate(&Device::flex()).forward(input.clone()));
    let float = host(net.forward(input));
    for ((i, s), f) in integer.iter().zip(&simulated).zip(&float) {
        assert!((i - s).abs() < 0.02 && (i - f).abs() < 0.06, "{i}, simulated {s}, float {f}");
    }
    let wrong = Tensor::<4>::zeros([4, 2, 8, 7], &Device::flex());
    let error = quantized.forward(wrong).unwrap_err();
    assert!(matches!(error, Error::BatchShape(_)), "{error}");
    let text = error.to_string();
    assert!(text.starts_with("the input of `forward` has the shape [4, 2, 8, 7]"), "{text}");
}

#[test]
fn a_simulated_network_is_saved_and_loaded() {
    let net = Net::new(&Device::flex());
    let four = quantize(&net, plain(4, 8)).simulate(&Device::flex());
    let two = quantize(&net, plain(2, 8));
    let mut loaded = two.simulate(&Device::flex());
    let input = batches().remove(0);
    let expected = host(four.forward(input.clone()));
    assert_ne!(host(loaded.forward(input.clone())), expected);
    let folder = std::env::temp_dir().join(format!("burn-ptq-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut store = BurnpackStore::from_file(folder.join("simulated.bpk")).overwrite(true);
    four.save_into(&mut store).unwrap();
    loaded.load_from(&mut store).unwrap();
    // The file is read when the weights are needed.
    assert_eq!(host(loaded.to_device(&Device::flex()).forward(input)), expected);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn quantized_weights_are_written_back_by_path() {
    let net = Net::new(&Device::flex());
    let quantized = quantize(&net, plain(3, 8));
    let written = quantized.write_back(net.clone()).unwrap();
    let graph = prepare(captured(&written)).unwrap();
    for (index, node) in graph.nodes.iter().enumerate() {
        let Some((weight, bias)) = node.op.weight_and_bias() else { continue };
        let layer = quantized.graph.weights[index].as_ref().unwrap();
        let input = quantized.graph.activations[node.inputs[0].0].grid.scale;
        let expected = [layer.dequantize(&weight.shape), layer.dequantize_bias(input)];
        for (found, expected) in [weight, bias].into_iter().zip(&expected) {
            for (f, e) in found.data.iter().zip(&expected.data) {
                assert!((f - e).abs() <= 1e-5 * e.abs().max(1.0), "{}: {f}, {e}", node.name);
            }
        }
    }
}

#[test]
fn what_cannot_be_written_back_is_named() {
    #[derive(Module, Debug)]
    struct NormFirst {
        norm: BatchNorm,
        conv: Conv2d,
    }
    let net = Net::new(&Device::flex());
    let quantized = quantize(&net, plain(4, 8));
    let device = Device::flex();
    let other: Linear = LinearConfig::new(2, 2).init(&device);
    let error = quantized.write_back(other).unwrap_err();
    assert!(matches!(error, WriteBackError::NoParameter { .. } | WriteBackError::Shape { .. }));

    // Behind a normalization, a convolution that pads leaves it alone; one that does not takes it in.
    let norm_first = |padding| {
        let conv = Conv2dConfig::new([8, 4], [3, 3]).with_padding(padding).init(&device);
        let module = NormFirst { norm: net.stem.norm.clone(), conv };
        let forward = |m: &NormFirst, x: Tensor<4>| m.conv.forward(m.norm.forward(x));
        let graph = capture(&module, Tensor::zeros([1, 8, 8, 8], &device), forward).unwrap();
        let inputs: Tensor<4> = Draws::new(8).tensor([16, 8, 8, 8], [-2.0, 2.0], &device);
        let quantized = Quantizer::new(plain(8, 8)).quantize(graph, vec![inputs.clone()]).unwrap();
        let expected = host(forward(&module, inputs.clone()));
        (quantized.write_back(module).map(|module| host(forward(&module, inputs))), expected)
    };
    let (found, expected) = norm_first(PaddingConfig2d::Explicit(1, 1, 1, 1));
    let worst =
        found.unwrap().iter().zip(&expected).map(|(f, e)| (f - e).abs()).fold(0.0, f32::max);
    assert!(worst > 0.0 && worst < 0.05, "{worst}");
    let (error, _) = norm_first(PaddingConfig2d::Valid);
    assert_eq!(error, Err(WriteBackError::Norm { norm: "norm".into() }));
}

#[test]
fn weights_from_quantization_aware_training_keep_their_grids() {
    let device = Device::flex().autodiff();
    let net = Net::new(&device);
    let quantizers = FakeQuantizeWeights::new(2).unwrap().with_bits("classifier", 4).unwrap();
    let tuned = net.apply_reparameterization(quantizers);
    let mut recipe = plain(2, 8);
    recipe.layers =
        Recipe::parse("[[layer]]\nname = 'classifier'\nweights = 4", "test").unwrap().layers;
    let quantized = quantize(&tuned.valid(), recipe);
    let graph = &quantized.float;
    for (node, layer) in graph.nodes.iter().zip(&quantized.graph.weights) {
        let (Some((weight, _)), Some(layer)) = (node.op.weight_and_bias(), layer) else { continue };
        for (float, kept) in weight.data.iter().zip(layer.dequantize(&weight.shape).data) {
            assert!((float - kept).abs() <= 1e-4 * float.abs().max(1e-3), "{}", node.name);
        }
    }
}

#[test]
fn a_network_for_fine_tuning_starts_as_the_simulation_and_learns() {
    let device = Device::flex().autodiff();
    let mut net = Net::new(&Device::flex());
    // Outputs that are clearly different, and so are their errors.
    net.classifier.weight = net.classifier.weight.map(|weight| weight * 40.0);
    let quantized = quantize(&net, plain(4, 4));
    let mut qat = QatConfig::new().init(&quantized.graph, &device);
    let input = batches().remove(0);
    let output = |model: &burn_ptq::qat::QatModel| {
        host(model.valid().to_device(&Device::flex()).forward(input.clone()))
    };
    let simulated = host(quantized.simulate(&Device::flex()).forward(input.clone()));
    let start = output(&qat);
    let close = start.iter().zip(&simulated).filter(|(a, b)| (*a - *b).abs() < 0.1).count();
    assert!(close * 10 >= start.len() * 9, "{start:?}\n{simulated:?}");
    // Nothing was learned: nothing changes.
    let same = quantized.refined(qat.quantized()).unwrap();
    assert_eq!(same.program.nodes, quantized.program.nodes);

    let target = Tensor::<2>::from_inner(net.forward(input.clone()));
    let mut adam = AdamConfig::new().with_epsilon(1e-8).init();
    let mut losses = Vec::new();
    for _ in 0..60 {
        let images = Tensor::<4>::from_inner(input.clone());
        let loss = (qat.forward(images).flatten::<2>(1, 3) - target.clone()).powi_scalar(2).mean();
        losses.push(loss.clone().into_scalar::<f32>());
        let gradients = GradientsParams::from_grads(loss.backward(), &qat);
        qat = adam.step(2e-2, qat, gradients);
    }
    let best = losses.iter().copied().fold(f32::MAX, f32::min);
    assert!(best < 0.6 * losses[0], "{losses:?}");
    let refined = quantized.refined(qat.quantized()).unwrap();
    assert_ne!(refined.program.nodes, quantized.program.nodes);
}

#[test]
fn observers_and_roundings_of_other_crates_take_part_and_are_recorded() {
    /// Sees half of what there is.
    struct Halved(HistogramObserver);
    impl Observer for Halved {
        fn observe(&mut self, batch: Tensor<4>) -> Result<(), usize> {
            self.0.observe(batch * 0.5)
        }
        fn stats(&self) -> Stats {
            self.0.stats()
        }
    }
    struct Down;
    impl Rounding for Down {
        fn needs_inputs(&self) -> bool {
            false
        }

        fn is_random(&self) -> bool {
            false
        }

        fn steps(&self) -> usize {
            0
        }

        fn round(&self, problem: &RoundingProblem) -> Rounded {
            let level = |(i, w): (usize, &f32)| {
                let grid =
                    problem.qparams.grid(i / (problem.weight.len() / problem.weight.shape[0]));
                ((w / grid.scale).floor() as i32).clamp(grid.min, grid.max) as i8
            };
            let values = problem.weight.data.iter().enumerate().map(level).collect();
            Rounded { values, scales: problem.qparams.scales.clone() }
        }
    }
    let net = Net::new(&Device::flex());
    let usual = quantize(&net, plain(8, 8));
    let custom = Quantizer::new(plain(8, 8))
        .with_observer("halved", |_| Halved(HistogramObserver::default()))
        .with_rounding("down", Down)
        .quantize(captured(&net), batches())
        .unwrap();
    let input = usual.graph.graph.input().0;
    let scale = |q: &Quantized| q.graph.activations[input].grid.scale;
    assert!((scale(&custom) / scale(&usual) - 0.5).abs() < 0.05);
    let above = |q: &Quantized| {
        let (float, _) = q.graph.graph.nodes[0].op.weight_and_bias().unwrap();
        let rounded = q.graph.weights[0].as_ref().unwrap().dequantize(&float.shape);
        rounded.data.iter().zip(&float.data).filter(|(r, f)| **r > **f + 1e-6).count()
    };
    // Some of the most negative saturate.
    assert!(above(&custom) < 10 && above(&usual) > 40, "{} {}", above(&custom), above(&usual));
    let recipe = &custom.program.provenance.recipe;
    assert!(recipe.contains("halved") && recipe.contains("down"), "{recipe}");
}

#[test]
fn parameters_may_be_shared_between_threads() {
    fn movable<T: Send + Sync>(_: &T) {}
    movable(&Quantizer::new(plain(8, 8)));
    movable(&Arc::new(Param::from_tensor(Tensor::<1>::zeros([1], &Device::flex()))));
}

#[cfg(feature = "ndarray")]
#[test]
fn a_simulated_network_moves_between_devices() {
    let other = burn_ptq::backend::device("ndarray").unwrap();
    let quantized = quantize(&Net::new(&Device::flex()), plain(4, 8));
    let input = batches().remove(0);
    let here = quantized.simulate(&Device::flex());
    let there = here.clone().to_device(&other);
    let expected = host(here.forward(input.clone()));
    let found = host(there.forward(input.to_device(&other)));
    // A value at a tie may fall to the other side.
    let same = expected.iter().zip(&found).filter(|(a, b)| (*a - *b).abs() < 1e-6).count();
    assert!(same * 10 >= expected.len() * 9, "{same} of {}", expected.len());
}
