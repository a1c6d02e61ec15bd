//! From training to C in one program: train, quantize, fine-tune what lost too much, export.
//!
//! ```text
//! cargo run --release -p burn-ptq-examples --bin train_then_quantize [FOLDER]
//! ```
//!
//! At 2-bit weights and at 4-bit weights and activations, rounding to nearest loses accuracy. Two
//! ways of quantization-aware fine-tuning get it back: fake quantizers on the weights of the network
//! itself, and the quantized network as a module that trains.

use std::convert::Infallible;
use std::error::Error;
use std::path::PathBuf;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burn_ptq::import::capture;
use burn_ptq::pipeline::{Quantized, Quantizer};
use burn_ptq::qat::{FakeQuantizeWeights, QatConfig};
use burn_ptq::recipe::Recipe;
use burn_ptq_examples::data::Split;
use burn_ptq_examples::net::DigitsNet;
use burn_ptq_examples::training::{accuracy, demo, fit};

const SEED: u64 = 1;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).map_or("burn-ptq-trained".into(), PathBuf::from);
    let (train, evaluation) = (Split::read(&demo(), "train")?, Split::read(&demo(), "eval")?);

    // A network of one's own, trained as always.
    let device = Device::flex().autodiff();
    device.seed(SEED);
    let net = fit(DigitsNet::new(&device), DigitsNet::forward, &train, 15, 4e-3, SEED);
    let float = accuracy(&evaluation, |x| Ok::<_, Infallible>(net.valid().forward(x)))?;
    println!("float:                          {:.2} %", 100.0 * float);

    // Eight bits cost nothing.
    let eight = quantize(&net, &Recipe::preset("w8a8")?, &train)?;
    show("W8A8", &eight, &evaluation)?;

    // Two-bit weights: fake quantizers on the network, which trains on. Its weights then lie on
    // their grids, and quantizing keeps them.
    let mut two = Recipe::preset("w8a8")?;
    two.weights.bits = 2;
    let before = show("W2A8, calibrated", &quantize(&net, &two, &train)?, &evaluation)?;
    let tuned = net.clone().apply_reparameterization(FakeQuantizeWeights::new(2)?);
    let tuned = fit(tuned, DigitsNet::forward, &train, 8, 2e-3, SEED);
    let after = show("W2A8, weights fine-tuned", &quantize(&tuned, &two, &train)?, &evaluation)?;
    assert!(after > before, "fine-tuning did not help at 2-bit weights");

    // Four-bit weights and activations: the quantized network itself trains on.
    let mut four = Recipe::preset("w8a8")?;
    (four.weights.bits, four.activations.bits) = (4, 4);
    let four = quantize(&net, &four, &train)?;
    let before = show("W4A4, calibrated", &four, &evaluation)?;
    let qat = QatConfig::new().init(&four.quantized, &device);
    let forward = |qat: &burn_ptq::qat::QatModel, x: Tensor<4>| qat.forward(x).flatten(1, 3);
    let qat = fit(qat, forward, &train, 8, 4e-3, SEED);
    let four = four.refined(qat.quantized())?;
    let after = show("W4A4, network fine-tuned", &four, &evaluation)?;
    assert!(after >= before, "fine-tuning did not help at 4 bits");

    four.save(&folder.with_extension("bptq"))?;
    four.export("c", &folder)?;
    println!("C code and its self-test: make -C {} test", folder.display());
    Ok(())
}

fn quantize(net: &DigitsNet, recipe: &Recipe, train: &Split) -> Result<Quantized, Box<dyn Error>> {
    let device = Device::flex();
    let sample = Tensor::zeros([1, 1, 8, 8], &device);
    let graph = capture(&net.valid(), sample, DigitsNet::forward)?;
    let batches = train.first_images(256, &device).split(32, 0);
    Ok(Quantizer::new(recipe.clone()).quantize(graph, batches)?)
}

fn show(what: &str, quantized: &Quantized, evaluation: &Split) -> Result<f64, Box<dyn Error>> {
    let integer = accuracy(evaluation, |x| quantized.forward(x))?;
    println!("{:<31} {:.2} %", format!("{what}:"), 100.0 * integer);
    Ok(integer)
}
