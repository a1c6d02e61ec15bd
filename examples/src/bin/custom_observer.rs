//! A custom observer, in a crate of its own.
//!
//! ```text
//! cargo run --release -p burn-ptq-examples --bin custom_observer
//! ```
//!
//! Range methods see the distribution of all elements; an observer sees whole samples. This one leaves
//! out faulty samples: here, images that were not scaled.

use std::error::Error;

use burn::tensor::{Device, Tensor};
use burn_ptq::import::onnx;
use burn_ptq::observe::{HistogramObserver, Observer, Stats};
use burn_ptq::{Quantizer, Recipe};
use burn_ptq_examples::data::Split;
use burn_ptq_examples::training::{accuracy, demo};

/// Calibration samples.
const SAMPLES: usize = 256;
/// One image in this many has pixels of 0..=16 instead of 0..=1.
const FAULTY: usize = 16;

/// Leaves out samples whose largest element is far from what is usual in their batch.
struct SampleFilter {
    /// How many times the median of the batch's largest elements a sample may reach.
    factor: f32,
    stats: Stats,
}

impl Observer for SampleFilter {
    fn observe(&mut self, batch: Tensor<4>) -> Result<(), usize> {
        let count = batch.dims()[0].max(1);
        let values: Vec<f32> = batch.into_data().iter::<f32>().collect();
        match values.iter().filter(|x| !x.is_finite()).count() {
            0 => {}
            broken => return Err(broken),
        }
        let samples = || values.chunks((values.len() / count).max(1));
        let largest = |sample: &[f32]| sample.iter().fold(0.0, |most: f32, x| most.max(x.abs()));
        let mut all: Vec<f32> = samples().map(largest).collect();
        all.sort_unstable_by(f32::total_cmp);
        let limit = self.factor * all.get(all.len() / 2).copied().unwrap_or(0.0);
        for sample in samples().filter(|sample| largest(sample) <= limit) {
            self.stats.add(sample);
        }
        Ok(())
    }

    fn stats(&self) -> Stats {
        self.stats.clone()
    }
}

/// Calibration images of which some were not scaled.
fn images(train: &Split) -> Vec<Tensor<4>> {
    let device = Device::flex();
    let image = |(i, image): (usize, Tensor<4>)| if i % FAULTY == 0 { image * 16.0 } else { image };
    let images = train.first_images(SAMPLES, &device).split(1, 0).into_iter().enumerate();
    Tensor::cat(images.map(image).collect(), 0).split(32, 0)
}

fn main() -> Result<(), Box<dyn Error>> {
    let (train, evaluation) = (Split::read(&demo(), "train")?, Split::read(&demo(), "eval")?);
    let mut recipe = Recipe::preset("nearest")?;
    recipe.activations.bits = 4;
    let quantizer = Quantizer::new(recipe);
    let usual = quantizer.clone().with_observer("histogram", |_| HistogramObserver::default());
    let filtered = quantizer
        .with_observer("sample filter", |_| SampleFilter { factor: 4.0, stats: Stats::default() });
    let measure = |quantizer: &Quantizer, batches| -> Result<f64, Box<dyn Error>> {
        let quantized = quantizer.quantize(onnx::read(&demo().join("model.onnx"))?, batches)?;
        accuracy(&evaluation, |x| quantized.forward(x))
    };
    let clean = train.first_images(SAMPLES, &Device::flex()).split(32, 0);
    let clean = measure(&usual, clean)?;
    println!("W8A4, sound images, default observer:             {:.2} %", 100.0 * clean);
    let before = measure(&usual, images(&train))?;
    println!("W8A4, 1 image in {FAULTY} unscaled, default observer: {:.2} %", 100.0 * before);
    let after = measure(&filtered, images(&train))?;
    println!("W8A4, 1 image in {FAULTY} unscaled, sample filter:    {:.2} %", 100.0 * after);
    assert!(after > before + 0.02, "the observer has no effect");
    assert!(after > clean - 0.01, "the observer does not keep faulty samples out");
    Ok(())
}
