//! The observer module.

use burn::module::Module;
use burn::tensor::Tensor;

use super::Stats;

/// Watches one value of the network while calibration samples run.
///
/// What it leaves out, its range will not see. One that is not a method of this crate is given to
/// [`Quantizer::with_observer`](crate::pipeline::Quantizer::with_observer).
pub trait Observer {
    /// Takes in a batch of the value.
    ///
    /// # Shapes
    /// - `batch`: `[batch, d1, d2, d3]`
    ///
    /// # Errors
    /// How many elements were NaN or infinite, if any were; the batch is not taken in then.
    fn observe(&mut self, batch: Tensor<4>) -> Result<(), usize>;

    /// What was gathered.
    fn stats(&self) -> Stats;
}

/// An observer that keeps range, moments and a histogram of everything it sees.
#[derive(Module, Debug, Default)]
pub struct HistogramObserver {
    #[module(skip)]
    stats: Stats,
}

impl Observer for HistogramObserver {
    fn observe(&mut self, batch: Tensor<4>) -> Result<(), usize> {
        let values = batch.into_data().convert::<f32>().try_to_vec::<f32>().unwrap_or_default();
        match values.iter().filter(|x| !x.is_finite()).count() {
            0 => {
                self.stats.add(&values);
                Ok(())
            }
            broken => Err(broken),
        }
    }

    fn stats(&self) -> Stats {
        self.stats.clone()
    }
}
