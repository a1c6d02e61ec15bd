//! From training to C in one program: train, quantize, fine-tune what lost too much, export.
//!
//! ```text
//! cargo run --release -p burn-ptq-examples --bin train_then_quantize [FOLDER]
//! ```
//!
//! At 2-bit weights, and more so at 2-bit weights and activations, calibration alone loses accuracy.
//! Two ways of quantization-aware fine-tuning get it back: fake quantizers on the weights of the
//! network itself, and the quantized network as a module that trains.

use std::convert::Infallible;
use std::error::Error;
use std::path::PathBuf;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burn_ptq::qat::{FakeQuantizeWeights, QatConfig, QatModel};
use burn_ptq::{Quantized, Quantizer, Recipe, capture};
use burn_ptq_examples::data::Split;
use burn_ptq_examples::net::TinyNet;
use burn_ptq_examples::training::{accuracy, demo, fit_small};

const SEED: u64 = 1;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).map_or("burn-ptq-trained".into(), PathBuf::from);
    let (train, evaluation) = (Split::read(&demo(), "train")?, Split::read(&demo(), "eval")?);

    // Any network, trained as always.
    let device = Device::flex().autodiff();
    device.seed(SEED);
    let net = fit_small(TinyNet::new(&device), TinyNet::forward, &train, 30, 8e-3, SEED);
    let float = accuracy(&evaluation, |x| Ok::<_, Infallible>(net.valid().forward(x)))?;
    println!("float:                          {:.2} %", 100.0 * float);

    // Eight bits cost nothing, and four-bit weights little.
    for (what, preset) in [("W8A8", "w8a8"), ("W4A8", "w4a8")] {
        show(what, &quantize(&net, &Recipe::preset(preset)?, &train)?, &evaluation)?;
    }

    // Two-bit weights: fake quantizers on a copy of the network, which continues training. Its weights
    // then lie on their grids, and quantizing keeps them. The copy is not a clone, because clones share
    // the running statistics of batch normalizations: training one would change what `net` computes.
    let w2a8 = Recipe::preset("w2a8")?;
    let before = show("W2A8, calibrated", &quantize(&net, &w2a8, &train)?, &evaluation)?;
    let copy = net.valid().train();
    let tuned = copy.apply_reparameterization(FakeQuantizeWeights::new(2)?);
    let tuned = fit_small(tuned, TinyNet::forward, &train, 20, 1e-2, SEED);
    let after = show("W2A8, weights fine-tuned", &quantize(&tuned, &w2a8, &train)?, &evaluation)?;
    assert!(after > before, "fine-tuning did not help at 2-bit weights");

    // Two-bit weights and activations: the quantized network itself continues training, from the
    // preset that does best by calibration alone.
    let mut w2a2 = Recipe::preset("w4a4-best")?;
    (w2a2.weights.bits, w2a2.activations.bits) = (2, 2);
    let quantized = quantize(&net, &w2a2, &train)?;
    let before = show("W2A2, calibrated", &quantized, &evaluation)?;
    let qat = QatConfig::new().init(&quantized.graph, &device);
    let forward = |qat: &QatModel, x: Tensor<4>| qat.forward(x).flatten(1, 3);
    let qat = fit_small(qat, forward, &train, 20, 1e-2, SEED);
    let quantized = quantized.refined(qat.quantized())?;
    let after = show("W2A2, network fine-tuned", &quantized, &evaluation)?;
    assert!(after > before, "fine-tuning did not help at 2 bits");

    // The network that all of it was made of is as it was.
    let unchanged = accuracy(&evaluation, |x| Ok::<_, Infallible>(net.valid().forward(x)))?;
    assert_eq!(unchanged, float);
    quantized.save(&folder.with_extension("bptq"))?;
    quantized.export("c", &folder)?;
    println!("C code and its self-test: make -C {} test", folder.display());
    Ok(())
}

fn quantize(net: &TinyNet, recipe: &Recipe, train: &Split) -> Result<Quantized, Box<dyn Error>> {
    let device = Device::flex();
    let sample = Tensor::zeros([1, 1, 8, 8], &device);
    let graph = capture(&net.valid(), sample, TinyNet::forward)?;
    let batches = train.first_images(256, &device).split(32, 0);
    Ok(Quantizer::new(recipe.clone()).quantize(graph, batches)?)
}

fn show(what: &str, quantized: &Quantized, evaluation: &Split) -> Result<f64, Box<dyn Error>> {
    let integer = accuracy(evaluation, |x| quantized.forward(x))?;
    println!("{:<31} {:.2} %", format!("{what}:"), 100.0 * integer);
    Ok(integer)
}
