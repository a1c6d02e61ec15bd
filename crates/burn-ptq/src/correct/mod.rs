//! Corrections after rounding: what the rounded weights do to the layers' statistics is undone.
//!
//! To add one: a file with a struct that implements [`Correction`], and a line in the list below.

mod affine;
mod analytic;
mod bias;
mod clipped_normal;
mod match_channels;
mod none;
mod statistics;

use burn::tensor::Device;

pub use affine::Affine;
pub use analytic::AnalyticBias;
pub use bias::Bias;
pub use none::NoCorrection;

use crate::graph::Batch;
use crate::quant::QuantizedGraph;
use crate::recipe::choice::choices;

/// A correction of a quantized graph.
///
/// It is deterministic.
pub trait Correction {
    /// How many calibration samples it wants to see.
    fn samples(&self) -> usize {
        0
    }

    /// Corrects the graph; `samples` are calibration samples, at most as many as asked for.
    fn correct(&self, quantized: &mut QuantizedGraph, samples: &Batch, device: &Device);
}

choices! {
    /// The corrections that a recipe can name.
    CorrectionChoice of Correction, a "correction" {
        "none" => NoCorrection: "corrects nothing",
        "bias" => Bias: "matches the measured means of output channels",
        "analytic-bias" => AnalyticBias: "matches the means of output channels that batch normalization implies",
        "affine" => Affine: "matches the measured means and standard deviations of output channels",
    }
}

#[cfg(test)]
mod tests;
