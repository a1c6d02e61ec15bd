//! Observers: what calibration remembers of a value.
//!
//! An observer sees batches one at a time and keeps [`Stats`] of fixed size, so that memory does not
//! grow with the number of samples. Range methods are pure functions of a [`Distribution`] made
//! from the statistics: another range method or bit width needs no new forward pass.

mod cholesky;
mod histogram;
mod moments;
mod observer;
mod products;
mod stats;

pub(crate) use cholesky::Factor as CholeskyFactor;
pub use histogram::Histogram;
pub use moments::{Moments, MomentsObserver, Quadratic};
pub use observer::{HistogramObserver, Observer};
pub(crate) use products::{TOGETHER, add_scaled, products};
pub(crate) use stats::unit;
pub use stats::{Distribution, Stats};
