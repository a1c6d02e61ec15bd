//! The observer module.

use burn::module::Module;
use burn::tensor::Tensor;

use super::Stats;

/// An observer that keeps range, moments and a histogram of everything it sees.
#[derive(Module, Debug, Default)]
pub struct HistogramObserver {
    #[module(skip)]
    stats: Stats,
}

impl HistogramObserver {
    /// Takes in a batch.
    ///
    /// # Errors
    /// How many elements were NaN or infinite, if any were; the batch is not taken in then.
    pub fn observe<const D: usize>(&mut self, batch: Tensor<D>) -> Result<(), usize> {
        let values = batch.into_data().convert::<f32>().try_to_vec::<f32>().unwrap_or_default();
        match values.iter().filter(|x| !x.is_finite()).count() {
            0 => {
                self.stats.add(&values);
                Ok(())
            }
            broken => Err(broken),
        }
    }

    /// What was gathered.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }
}
