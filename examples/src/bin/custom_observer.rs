//! An observer of one's own, in one's own crate.
//!
//! ```text
//! cargo run --release -p burn-ptq-examples --bin custom_observer
//! ```

use std::error::Error;

use burn::tensor::{Device, Tensor};
use burn_ptq::import::onnx;
use burn_ptq::observe::{HistogramObserver, Observer, Stats};
use burn_ptq::pipeline::Quantizer;
use burn_ptq::range::{MinMax, RangeChoice};
use burn_ptq::recipe::Recipe;
use burn_ptq_examples::data::Split;
use burn_ptq_examples::training::{accuracy, demo};

/// Forgets the outermost elements of every batch, so that one odd sample does not decide a range.
struct TrimmedObserver {
    /// The share of elements that is left out at each end.
    share: f64,
    stats: Stats,
}

impl Observer for TrimmedObserver {
    fn observe(&mut self, batch: Tensor<4>) -> Result<(), usize> {
        let mut values: Vec<f32> = batch.into_data().iter::<f32>().collect();
        match values.iter().filter(|x| !x.is_finite()).count() {
            0 => {}
            broken => return Err(broken),
        }
        values.sort_unstable_by(f32::total_cmp);
        let trimmed = (values.len() as f64 * self.share) as usize;
        self.stats.add(&values[trimmed..values.len() - trimmed]);
        Ok(())
    }

    fn stats(&self) -> Stats {
        self.stats.clone()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (train, evaluation) = (Split::read(&demo(), "train")?, Split::read(&demo(), "eval")?);
    // Whole observed ranges at 4 bits: outliers cost resolution.
    let mut recipe = Recipe::preset("w8a8")?;
    recipe.activations.bits = 4;
    recipe.activations.range = RangeChoice::MinMax(MinMax {});
    let all = Quantizer::new(recipe.clone()).with_observer("all", |_| HistogramObserver::default());
    let trimmed = Quantizer::new(recipe)
        .with_observer("trimmed", |_| TrimmedObserver { share: 0.001, stats: Stats::default() });
    for (name, quantizer) in [("all", all), ("trimmed", trimmed)] {
        let graph = onnx::read(&demo().join("model.onnx"))?;
        let batches = train.first_images(256, &Device::flex()).split(32, 0);
        let quantized = quantizer.quantize(graph, batches)?;
        let accuracy = accuracy(&evaluation, |x| quantized.forward(x))?;
        println!("W8A4, ranges of {name} elements: {:.2} %", 100.0 * accuracy);
        assert!(accuracy > 0.9, "{name} lost too much");
    }
    Ok(())
}
