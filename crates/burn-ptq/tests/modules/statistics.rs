//! Running statistics, which clones of a module share in Burn 0.22.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burn_ptq::Warning;
use burn_ptq::{Quantized, Quantizer, Recipe, WriteBackError, capture};

use crate::net::{Draws, Net, host};

fn quantize(net: &Net) -> Quantized {
    let device = Device::flex();
    let graph = capture(&net.valid(), Tensor::zeros([1, 2, 8, 8], &device), Net::forward).unwrap();
    let batch: Tensor<4> = Draws::new(9).tensor([16, 2, 8, 8], [-2.0, 2.0], &device);
    Quantizer::new(Recipe::preset("w8a8").unwrap()).quantize(graph, [batch]).unwrap()
}

fn outputs(net: &Net) -> Vec<f32> {
    let input: Tensor<4> = Draws::new(3).tensor([4, 2, 8, 8], [-2.0, 2.0], &Device::flex());
    host(net.valid().forward(input))
}

/// What training does to running statistics; weights stay.
fn train(net: &Net) {
    let device = Device::flex().autodiff();
    for seed in 0..4 {
        let batch: Tensor<4> = Draws::new(seed).tensor([16, 2, 8, 8], [1.0, 5.0], &device);
        net.forward(batch);
    }
}

fn trainable() -> Net {
    Net::new(&Device::flex().autodiff())
}

/// The warnings about statistics that moved.
fn moved(quantized: &Quantized) -> Vec<Warning> {
    let warnings = quantized.warnings.iter();
    warnings.filter(|warning| warning.kind == "moved-statistics").cloned().collect()
}

#[test]
fn a_clone_that_trains_moves_the_original_and_the_second_capture_says_so() {
    let net = trainable();
    let before = outputs(&net);
    assert_eq!(moved(&quantize(&net)), []);
    train(&net.clone());
    assert_ne!(outputs(&net), before, "Burn's clones do not share statistics any more");
    let quantized = quantize(&net);
    let [warning] = &moved(&quantized)[..] else { panic!("{:?}", quantized.warnings) };
    let text = warning.to_string();
    assert!(text.contains("'blocks.0.norm.running_mean'"), "{text}");
    assert!(text.contains("`module.valid().train()`"), "{text}");
    // It stays with what is made of it.
    assert_eq!(moved(&quantized.refined(quantized.graph.clone()).unwrap()).len(), 1);
}

#[test]
fn a_copy_by_valid_and_train_has_statistics_of_its_own() {
    let net = trainable();
    let before = outputs(&net);
    quantize(&net);
    let copy = net.valid().train();
    train(&copy);
    assert_ne!(outputs(&copy), before);
    assert_eq!(outputs(&net), before);
    assert_eq!(moved(&quantize(&net)), []);
}

#[test]
fn a_module_that_trained_since_its_last_capture_gives_no_warning() {
    let mut net = trainable();
    quantize(&net);
    train(&net);
    net.classifier.weight = net.classifier.weight.map(|weight| weight * 1.01);
    assert_eq!(moved(&quantize(&net)), []);
}

#[test]
fn writing_back_to_a_module_that_has_changed_is_refused() {
    let net = trainable();
    let quantized = quantize(&net);
    train(&net.clone());
    let error = quantized.write_back(net).unwrap_err();
    let WriteBackError::Changed { parameter } = &error else { panic!("{error}") };
    assert_eq!(parameter, "blocks.0.norm.running_mean");
    assert!(error.to_string().contains("`module.valid().train()`"), "{error}");

    let mut net = trainable();
    let quantized = quantize(&net);
    net.classifier.weight = net.classifier.weight.map(|weight| weight * 1.01);
    let error = quantized.write_back(net).unwrap_err();
    assert_eq!(error, WriteBackError::Changed { parameter: "classifier.weight".into() });
}

#[test]
fn what_was_written_back_is_untouched_by_training_the_original() {
    let net = trainable();
    let written = quantize(&net).write_back(net.clone()).unwrap();
    let before = outputs(&written);
    train(&net);
    assert_eq!(outputs(&written), before);
    // It still trains, and frozen parameters stay frozen.
    assert!(written.classifier.weight.val().is_require_grad());
    let mut frozen = trainable();
    frozen.classifier.weight = frozen.classifier.weight.set_require_grad(false);
    let written = quantize(&frozen).write_back(frozen).unwrap();
    assert!(!written.classifier.weight.val().is_require_grad());
    assert!(written.stem.conv.weight.val().is_require_grad());
}
