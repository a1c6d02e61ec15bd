//! Corrections after rounding: what the rounded weights do to the layers' statistics is undone.
//!
//! To add one: a file with a struct that implements [`Correction`], and a line in the list below.

mod bias;
mod none;

use burn::tensor::Tensor;

pub use bias::Bias;
pub use none::NoCorrection;

use crate::choice::choices;
use crate::quantized::QuantizedGraph;

/// A correction of a quantized graph.
pub trait Correction {
    /// How many calibration samples it wants to see; 0 for none.
    fn samples(&self) -> usize;

    /// Corrects the graph.
    ///
    /// # Shapes
    /// - samples: `[batch, d1, d2, d3]`, at most as many as asked for
    fn correct(&self, quantized: &mut QuantizedGraph, samples: Tensor<4>);
}

choices! {
    /// The corrections that a recipe can name.
    CorrectionChoice of Correction, a "correction" {
        "none" => NoCorrection,
        "bias" => Bias,
    }
}
