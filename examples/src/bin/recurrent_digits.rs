//! A recurrent network from training to C: handwritten digits, read row by row.
//!
//! ```text
//! cargo run --release -p burn-ptq-examples --bin recurrent_digits [FOLDER]
//! ```
//!
//! A GRU reads the eight rows of an image one after the other, and a layer tells the digit from what it has kept.
//! Captured as it is trained, the network takes whole images, and the GRU is a loop on the device. The exported C
//! of the last width has a test of itself.

use std::convert::Infallible;
use std::error::Error;
use std::path::PathBuf;

use burn::module::Module;
use burn::nn::gru::{Gru, GruConfig};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use burn_ptq::{Quantizer, Recipe, capture};
use burn_ptq_examples::data::Split;
use burn_ptq_examples::net::{CLASSES, SIDE};
use burn_ptq_examples::training::{accuracy, demo, fit};

const SEED: u64 = 1;
const HIDDEN: usize = 32;

#[derive(Module, Debug)]
struct RowByRow {
    gru: Gru,
    head: Linear,
}

impl RowByRow {
    fn new(device: &Device) -> Self {
        Self {
            gru: GruConfig::new(SIDE, HIDDEN, true).init(device),
            head: LinearConfig::new(HIDDEN, CLASSES).init(device),
        }
    }

    /// `[batch, 1, rows, columns]` to `[batch, classes]`
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let states = self.gru.forward(images.squeeze_dim::<3>(1), None);
        self.head.forward(states.narrow(1, SIDE - 1, 1).squeeze_dim::<2>(1))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).map_or("burn-ptq-recurrent".into(), PathBuf::from);
    let (train, evaluation) = (Split::read(&demo(), "train")?, Split::read(&demo(), "eval")?);

    let device = Device::flex().autodiff();
    device.seed(SEED);
    let net = fit(RowByRow::new(&device), RowByRow::forward, &train, 30, 1e-2, SEED).valid();
    let float = accuracy(&evaluation, |x| Ok::<_, Infallible>(net.forward(x)))?;
    println!("float: {:.2} %", 100.0 * float);

    let device = Device::flex();
    let graph = capture(&net, Tensor::zeros([1, 1, SIDE, SIDE], &device), RowByRow::forward)?;
    for (width, preset) in [("W2A8", "w2a8"), ("W8A8", "w8a8"), ("W4A8", "w4a8")] {
        let quantizer = Quantizer::new(Recipe::preset(preset)?);
        let batches = train.first_images(256, &device).split(32, 0);
        let quantized = quantizer.quantize(graph.clone(), batches)?;
        let integer = accuracy(&evaluation, |x| quantized.forward(x))?;
        println!("{width}:  {:.2} %", 100.0 * integer);
        let costs = 100.0 * (float - integer);
        assert!(width == "W2A8" || costs <= 1.0, "{width} costs {costs:.2} points");
        quantized.export("c", &folder)?;
    }
    println!("C code and its self-test: make -C {} test", folder.display());
    Ok(())
}
