//! Training with a custom loop.

use std::error::Error;
use std::f64::consts::PI;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Int, Tensor};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::data::{self, Split};

const BATCH: usize = 64;
const WEIGHT_DECAY: f32 = 1e-4;

/// The folder with the model and the splits of the digits.
pub fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("crates").join("cli/demo")
}

/// Trains `net` on `train` by Adam under a cosine schedule that starts at `learning_rate`, with weight
/// decay and on images that are shifted at random.
///
/// `forward` gives the logits of a batch.
pub fn fit<M: Module>(
    net: M,
    forward: impl Fn(&M, Tensor<4>) -> Tensor<2>,
    train: &Split,
    epochs: usize,
    learning_rate: f64,
    seed: u64,
) -> M {
    let decay = WeightDecayConfig::new(WEIGHT_DECAY);
    let adam = AdamConfig::new().with_epsilon(1e-8).with_weight_decay(Some(decay));
    run(net, forward, (train, Split::shifted_batch), adam, epochs, learning_rate, seed)
}

/// As [`fit`], without weight decay and on images as they are: for networks that are too small to
/// learn more than that.
pub fn fit_small<M: Module>(
    net: M,
    forward: impl Fn(&M, Tensor<4>) -> Tensor<2>,
    train: &Split,
    epochs: usize,
    learning_rate: f64,
    seed: u64,
) -> M {
    let batch: Batch = |split, indices, _, device| split.batch(indices, device);
    let adam = AdamConfig::new().with_epsilon(1e-8);
    run(net, forward, (train, batch), adam, epochs, learning_rate, seed)
}

/// Makes a batch of the samples of these indices.
type Batch = fn(&Split, &[usize], &mut ChaCha8Rng, &Device) -> (Tensor<4>, Tensor<1, Int>);

fn run<M: Module>(
    net: M,
    forward: impl Fn(&M, Tensor<4>) -> Tensor<2>,
    (train, batch): (&Split, Batch),
    adam: AdamConfig,
    epochs: usize,
    learning_rate: f64,
    seed: u64,
) -> M {
    let schedule = Schedule { batch: BATCH, epochs, learning_rate, seed };
    let cross_entropy = cross_entropy(&net);
    descend(net, train.len(), adam, schedule, |net, indices, rng, device| {
        let (images, labels) = batch(train, indices, rng, device);
        cross_entropy.forward(forward(net, images), labels)
    })
}

/// The mean cross-entropy of logits, where `net` is.
pub fn cross_entropy<M: Module>(net: &M) -> CrossEntropyLoss {
    CrossEntropyLossConfig::new().init(&device_of(net))
}

fn device_of<M: Module>(net: &M) -> Device {
    net.devices().first().cloned().unwrap_or_default().autodiff()
}

/// How long [`descend`] trains.
#[derive(Clone, Copy)]
pub struct Schedule {
    /// Samples of a step.
    pub batch: usize,
    /// Times that every sample is seen.
    pub epochs: usize,
    /// Of the first step; it falls to zero along a cosine.
    pub learning_rate: f64,
    /// Of the order of the samples, and of the random numbers that `loss` gets.
    pub seed: u64,
}

/// Trains `net` by Adam on the mean loss of batches of `samples`, of which `loss` gets the indices.
pub fn descend<M: Module>(
    mut net: M,
    samples: usize,
    adam: AdamConfig,
    schedule: Schedule,
    mut loss: impl FnMut(&M, &[usize], &mut ChaCha8Rng, &Device) -> Tensor<1>,
) -> M {
    let Schedule { batch, epochs, learning_rate, seed } = schedule;
    let device = device_of(&net);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut adam = adam.init();

    let mut order: Vec<usize> = (0..samples).collect();
    // A last, smaller batch would disturb the running statistics of the normalizations.
    let batches = samples / batch;
    for epoch in 0..epochs {
        data::shuffle(&mut order, &mut rng);
        let mut total = 0.0;
        for (step, indices) in order.chunks_exact(batch).enumerate() {
            let progress = (epoch * batches + step) as f64 / (epochs * batches) as f64;
            let learning_rate = learning_rate * 0.5 * (1.0 + (PI * progress).cos());
            let loss = loss(&net, indices, &mut rng, &device);
            total += loss.clone().into_scalar::<f32>();
            let gradients = GradientsParams::from_grads(loss.backward(), &net);
            net = adam.step(learning_rate, net, gradients);
        }
        if (epoch + 1) % 10 == 0 {
            println!("epoch {}: mean loss {:.4}", epoch + 1, total / batches as f32);
        }
    }
    net
}

/// The share of images whose most likely class is their label.
///
/// # Errors
/// If `forward` fails.
pub fn accuracy<E: Error + 'static>(
    split: &Split,
    forward: impl FnOnce(Tensor<4>) -> Result<Tensor<2>, E>,
) -> Result<f64, Box<dyn Error>> {
    let outputs = forward(split.images(&Device::flex()))?;
    let classes = outputs.argmax(1).into_data().convert::<i64>().try_to_vec::<i64>()?;
    let correct = classes.iter().zip(&split.labels).filter(|(class, label)| class == label);
    Ok(correct.count() as f64 / split.len() as f64)
}
