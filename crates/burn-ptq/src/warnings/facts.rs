//! The facts that checks look at.

use super::BatchNormFit;
use crate::warning::Warning;

/// What is known of a run. Parts that a run did not have are absent, and checks of them find nothing.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The fewest bits of any layer's weights.
    pub weight_bits: u8,
    /// The fewest bits of any layer's output.
    pub activation_bits: u8,
    /// The calibration.
    pub calibration: Option<CalibrationFacts>,
    /// The layers of the quantized network, in order.
    pub layers: Vec<LayerFacts>,
    /// The outputs of the quantized network.
    pub outputs: Vec<OutputFacts>,
    /// What stages of the pipeline noticed themselves.
    pub noticed: Vec<Warning>,
}

/// What is known of calibration samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CalibrationFacts {
    /// Whether they were made from the model's batch normalization.
    pub made: bool,
    /// How many there were.
    pub samples: usize,
    /// How many different ones there were at least; counting stops at 1024.
    pub distinct: usize,
    /// The smallest and the largest element of the inputs.
    pub input: [f32; 2],
    /// How the network's first batch normalization fits the samples.
    pub batch_norm: Option<BatchNormFit>,
}

/// What is known of a layer of the quantized network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LayerFacts {
    /// The name in the source model.
    pub name: String,
    /// The ratio of signal to quantization noise of its output, in dB.
    pub sqnr_db: Option<f64>,
    /// The lowest ratio among its inputs.
    pub inputs_db: Option<f64>,
    /// The ratio of its weights.
    pub weight_sqnr_db: Option<f64>,
    /// The share of the output's elements that lie outside its grid.
    pub outside: f64,
    /// The largest magnitude of each channel of the output.
    pub channels: Vec<f32>,
    /// The input whose channels differ most: the name of the layer that writes it, and the range of
    /// its largest channel as a multiple of the median channel's.
    pub outlier: Option<(String, f64)>,
}

/// What is known of an output of the quantized network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OutputFacts {
    /// Its name.
    pub name: String,
    /// The smallest element of the float network's output.
    pub low: f32,
    /// The largest.
    pub high: f32,
    /// The step of its grid.
    pub step: f32,
}
