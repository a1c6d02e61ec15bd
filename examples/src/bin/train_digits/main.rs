//! Trains the demo model: a small convolutional network on handwritten digits, to ONNX.
//!
//! ```text
//! cargo run --release -p burn-ptq-examples --bin train_digits [FOLDER]
//! ```
//!
//! Reads the splits in `crates/cli/demo` and writes `FOLDER/model.onnx`, by default beside them.
//! The number of epochs is fixed and the evaluation split is looked at once, at the end: its
//! accuracy chose nothing.

mod export;

use std::convert::Infallible;
use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::Device;
use burn_ptq_examples::data::Split;
use burn_ptq_examples::net::DigitsNet;
use burn_ptq_examples::onnx::write_model;
use burn_ptq_examples::training::{accuracy, demo, fit};

const SEED: u64 = 1;
const EPOCHS: usize = 60;
const LEARNING_RATE: f64 = 4e-3;
const DESCRIPTION: &str = "Classifier of the UCI handwritten digits (E. Alpaydin, C. Kaynak; \
    CC BY 4.0), pixels 0..16 divided by 16.";

fn main() -> Result<(), Box<dyn Error>> {
    let demo = demo();
    let folder = std::env::args_os().nth(1).map_or_else(|| demo.clone(), PathBuf::from);
    let train = Split::read(&demo, "train")?;
    let evaluation = Split::read(&demo, "eval")?;

    let start = Instant::now();
    let device = Device::flex().autodiff();
    device.seed(SEED);
    let net = DigitsNet::new(&device);
    let net = fit(net, DigitsNet::forward, &train, EPOCHS, LEARNING_RATE, SEED).valid();
    println!("trained {} parameters in {:.1?}", net.num_params(), start.elapsed());
    for (name, split) in [("training", &train), ("evaluation", &evaluation)] {
        let accuracy = accuracy(split, |images| Ok::<_, Infallible>(net.forward(images)))?;
        println!("float accuracy, {name}: {:.2} %", 100.0 * accuracy);
    }

    let bytes = export::to_onnx(&net, DESCRIPTION);
    write_model(&folder, &bytes)
}
