//! Trains the demo model: a small convolutional network on handwritten digits, to ONNX.
//!
//! ```text
//! cargo run --release -p burn-ptq --example train_digits [FOLDER]
//! ```
//!
//! Reads the splits in `crates/cli/demo` and writes `FOLDER/model.onnx`, by default beside them.
//! The number of epochs is fixed and the evaluation split is looked at once, at the end: its
//! accuracy chose nothing.

mod data;
mod export;
mod net;
mod onnx;

use std::error::Error;
use std::f64::consts::PI;
use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::Device;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use data::Split;
use net::DigitsNet;

const SEED: u64 = 1;
const EPOCHS: usize = 60;
const BATCH: usize = 64;
const LEARNING_RATE: f64 = 4e-3;
const WEIGHT_DECAY: f32 = 1e-4;
const DESCRIPTION: &str = "Classifier of the UCI handwritten digits (E. Alpaydin, C. Kaynak; \
    CC BY 4.0), pixels 0..16 divided by 16.";

fn main() -> Result<(), Box<dyn Error>> {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("cli").join("demo");
    let folder = std::env::args_os().nth(1).map_or_else(|| demo.clone(), PathBuf::from);
    let train = Split::read(&demo, "train")?;
    let evaluation = Split::read(&demo, "eval")?;

    let start = Instant::now();
    let net = fit(&train);
    println!("trained {} parameters in {:.1?}", net.num_params(), start.elapsed());
    for (name, split) in [("training", &train), ("evaluation", &evaluation)] {
        let correct = correct(&net, split)?;
        let percent = 100.0 * correct as f64 / split.len() as f64;
        println!("float accuracy, {name}: {percent:.2} % ({correct} of {})", split.len());
    }

    let bytes = export::to_onnx(&net, DESCRIPTION);
    let path = folder.join("model.onnx");
    write_whole(&path, &bytes).map_err(|error| format!("{}: {error}", path.display()))?;
    println!("wrote {} ({} bytes)", path.display(), bytes.len());
    Ok(())
}

/// Trains with Adam under a cosine schedule and returns the network for inference.
fn fit(train: &Split) -> DigitsNet {
    let device = Device::flex().autodiff();
    device.seed(SEED);
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let mut net = DigitsNet::new(&device);
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);
    let decay = WeightDecayConfig::new(WEIGHT_DECAY);
    let mut adam = AdamConfig::new().with_epsilon(1e-8).with_weight_decay(Some(decay)).init();

    let mut order: Vec<usize> = (0..train.len()).collect();
    // A last, smaller batch would disturb the running statistics of the normalizations.
    let batches = train.len() / BATCH;
    for epoch in 0..EPOCHS {
        data::shuffle(&mut order, &mut rng);
        let mut total = 0.0;
        for (step, indices) in order.chunks_exact(BATCH).enumerate() {
            let progress = (epoch * batches + step) as f64 / (EPOCHS * batches) as f64;
            let learning_rate = LEARNING_RATE * 0.5 * (1.0 + (PI * progress).cos());
            let (images, labels) = train.shifted_batch(indices, &mut rng, &device);
            let loss = cross_entropy.forward(net.forward(images), labels);
            total += loss.clone().into_scalar::<f32>();
            let gradients = GradientsParams::from_grads(loss.backward(), &net);
            net = adam.step(learning_rate, net, gradients);
        }
        if (epoch + 1) % 10 == 0 {
            println!("epoch {}: mean loss {:.4}", epoch + 1, total / batches as f32);
        }
    }
    net.valid()
}

/// Images whose most likely class is their label.
fn correct(net: &DigitsNet, split: &Split) -> Result<usize, Box<dyn Error>> {
    let logits = net.forward(split.images(&Device::flex()));
    let classes = logits.argmax(1).into_data().convert::<i64>().try_to_vec::<i64>()?;
    Ok(classes.iter().zip(&split.labels).filter(|(class, label)| class == label).count())
}

/// Replaces `path` in one step: an interrupted run leaves the file that was there.
fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let unfinished = path.with_extension("onnx.unfinished");
    std::fs::write(&unfinished, bytes)?;
    std::fs::rename(&unfinished, path)
}
