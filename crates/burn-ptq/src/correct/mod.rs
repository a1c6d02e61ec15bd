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
        "none" => NoCorrection: "leaves everything as it was rounded",
        "bias" => Bias: "float means of output channels, measured",
        "analytic-bias" => AnalyticBias: "float means of output channels, from batch normalization",
        "affine" => Affine: "float means and deviations of output channels, measured",
    }
}

#[cfg(test)]
mod tests;
