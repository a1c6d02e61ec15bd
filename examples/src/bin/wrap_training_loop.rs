//! Quantization-aware training under Burn's `Learner`, with its metrics and data loaders.
//!
//! ```text
//! cargo run --release -p burn-ptq-examples --bin wrap_training_loop
//! ```

use std::error::Error;
use std::sync::Arc;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::AdamConfig;
use burn::tensor::{Device, Int, Tensor};
use burn::train::logger::InMemoryMetricLogger;
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{
    ClassificationOutput, InferenceStep, Learner, SupervisedTraining, TrainOutput, TrainStep,
};
use burn_ptq::qat::{QatConfig, QatModel};
use burn_ptq::{Quantized, Quantizer, Recipe, capture};
use burn_ptq_examples::data::Split;
use burn_ptq_examples::net::TinyNet;
use burn_ptq_examples::training::{accuracy, demo};

const BATCH: usize = 64;

/// A network that Burn's `Learner` can train: of floats first, of quantized values then.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)] // there is one of it
enum Classifier {
    Float(TinyNet),
    Quantized(QatModel),
}

impl Classifier {
    fn classify(&self, batch: Batch) -> ClassificationOutput {
        let logits = match self {
            Self::Float(net) => net.forward(batch.images),
            Self::Quantized(net) => net.forward(batch.images).flatten(1, 3),
        };
        let cross_entropy = CrossEntropyLossConfig::new().init(&logits.device());
        let loss = cross_entropy.forward(logits.clone(), batch.labels.clone());
        ClassificationOutput::new(loss, logits, batch.labels)
    }
}

impl TrainStep for Classifier {
    type Input = Batch;
    type Output = ClassificationOutput;

    fn step(&self, batch: Batch) -> TrainOutput<ClassificationOutput> {
        let output = self.classify(batch);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for Classifier {
    type Input = Batch;
    type Output = ClassificationOutput;

    fn step(&self, batch: Batch) -> ClassificationOutput {
        self.classify(batch)
    }
}

/// Images `[batch, 1, 8, 8]` and their labels.
#[derive(Clone, Debug)]
struct Batch {
    images: Tensor<4>,
    labels: Tensor<1, Int>,
}

/// Batches of indices into a split.
struct DigitsBatcher(Split);

impl Batcher<usize, Batch> for DigitsBatcher {
    fn batch(&self, indices: Vec<usize>, device: &Device) -> Batch {
        let (images, labels) = self.0.batch(&indices, device);
        Batch { images, labels }
    }
}

fn loader(split: &str, device: &Device) -> Result<Arc<dyn DataLoader<Batch>>, Box<dyn Error>> {
    let split = Split::read(&demo(), split)?;
    let indices = (0..split.len()).collect();
    let builder = DataLoaderBuilder::new(DigitsBatcher(split)).batch_size(BATCH).shuffle(1);
    Ok(builder.set_device(device.clone()).build(InMemDataset::new(indices)))
}

fn train(model: Classifier, epochs: usize, rate: f64) -> Result<Classifier, Box<dyn Error>> {
    let artifacts = tempfile::tempdir()?;
    let device = Device::flex().autodiff();
    // The evaluation split is looked at once, at the end: progress is judged on what is trained on.
    let (training, validation) = (loader("train", &device)?, loader("train", &Device::flex())?);
    let steps = epochs * training.num_items().div_ceil(BATCH);
    let schedule = CosineAnnealingLrSchedulerConfig::new(rate, steps).init()?;
    let learner = Learner::new(model, AdamConfig::new().init(), schedule);
    let result = SupervisedTraining::new(artifacts.path(), training, validation)
        .metric_train(AccuracyMetric::new())
        .metric_train(LossMetric::new())
        .with_metric_logger(InMemoryMetricLogger::new())
        .with_application_logger(None)
        .num_epochs(epochs)
        .launch(learner);
    match result.error {
        None => Ok(result.model),
        Some(error) => Err(error.to_string().into()),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let evaluation = Split::read(&demo(), "eval")?;
    let device = Device::flex().autodiff();
    device.seed(1);

    let trained = train(Classifier::Float(TinyNet::new(&device)), 20, 1e-2)?;
    let Classifier::Float(net) = &trained else { unreachable!("training keeps the variant") };

    // A data loader calibrates.
    let mut recipe = Recipe::preset("w4a4")?;
    (recipe.weights.bits, recipe.activations.bits) = (2, 2);
    let sample = Tensor::zeros([1, 1, 8, 8], &Device::flex());
    let graph = capture(net, sample, TinyNet::forward)?;
    let batches = loader("train", &Device::flex())?;
    let images = batches.iter().take(4).map(|batch| batch.map(|batch| batch.images));
    let images = images.collect::<Result<Vec<_>, _>>()?;
    let quantized = Quantizer::new(recipe).quantize(graph, images)?;
    let before = show("W2A2, calibrated", &quantized, &evaluation)?;

    let qat = QatConfig::new().init(&quantized.graph, &device);
    let Classifier::Quantized(tuned) = train(Classifier::Quantized(qat), 20, 1e-2)? else {
        unreachable!("training keeps the variant")
    };
    let quantized = quantized.refined(tuned.quantized())?;
    let after = show("W2A2, fine-tuned", &quantized, &evaluation)?;
    assert!(after > before, "fine-tuning did not help");
    Ok(())
}

fn show(what: &str, quantized: &Quantized, evaluation: &Split) -> Result<f64, Box<dyn Error>> {
    let integer = accuracy(evaluation, |x| quantized.forward(x))?;
    println!("{what}: {:.2} %", 100.0 * integer);
    Ok(integer)
}
