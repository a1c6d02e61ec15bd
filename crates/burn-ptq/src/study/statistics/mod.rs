//! Whether a difference between two cells is shown.
//!
//! A cell is a recipe on a task, run several times: with several sets of calibration samples and
//! several seeds, each judged on the same evaluation samples. What is asked is whether another
//! evaluation sample and other runs would show the same sign. So both are drawn anew, with
//! replacement, 10 000 times: the evaluation samples (the same for both cells, which makes the
//! comparison paired; for AUC within each group's normal and anomalous samples) and, independently,
//! the runs (in pairs where both cells have the same draws and seeds). This is the bootstrap of two
//! crossed factors (Owen, The pigeonhole bootstrap, 2007), which errs on the side of too wide
//! intervals. Confidence intervals are percentiles; the p-value is twice the smaller share of
//! resamples on one side of zero.

mod bootstrap;
mod holm;

pub use bootstrap::{Comparison, Judge, Resampled, Resamples};
pub use holm::holm;

/// The mean, and the standard deviation with `n - 1`; none of one value.
pub fn mean_and_deviation(values: &[f64]) -> (f64, Option<f64>) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count.max(1.0);
    let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
    (mean, (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt()))
}

#[cfg(test)]
mod tests;
