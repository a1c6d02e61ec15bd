//! A quantized network, and how it is used: run, judged, refined, saved, exported, and written back
//! into the module that it came from.

mod agreement;
mod bins;
mod deployment;
mod noise;
mod write_back;

pub use agreement::{Agreement, compare_layers};
pub use bins::Bins;
pub(crate) use deployment::Deployed;
pub use noise::{FEWEST_NOISE_SAMPLES, MeasuredOn, NOISE_SAMPLES, Noise, ValueNoise, weight_sqnr};
pub use write_back::WriteBackError;

use std::sync::Arc;

use burn_ptq_deploy::place::Placed;
use burn_ptq_deploy::simplify::Simplification;
use burn_ptq_deploy::streaming::Streamed;

use crate::graph::{Batch, Graph};
use crate::lower::Layout;
use crate::quant::QuantizedGraph;
use crate::warning::Warning;
use crate::warnings::Facts;

/// A quantized network in its three forms, and how long each stage took.
#[derive(Debug)]
#[non_exhaustive]
pub struct Quantized {
    /// The prepared float graph.
    pub float: Arc<Graph>,
    /// The float graph with grids and integer weights.
    pub graph: QuantizedGraph,
    /// The integer program, without what cannot change its outputs: what runs, is saved and exported.
    pub program: Placed,
    /// The same with all channels and operations of the quantized graph, whose values the layers of the
    /// simulation are compared with.
    pub lowered: Placed,
    /// Where [`lowered`](Self::lowered) keeps each value of the quantized graph.
    pub layouts: Vec<Option<Layout>>,
    /// What [`program`](Self::program) has less than [`lowered`](Self::lowered); `None` if it was to keep
    /// everything.
    pub simplification: Option<Simplification>,
    /// What is exported in place of [`program`](Self::program) if the recipe asks for frame by frame.
    pub streamed: Option<Streamed>,
    /// The first calibration samples.
    pub probes: Batch,
    /// How far the values are from the float network's; see [`MeasuredOn`] for the samples.
    pub noise: Noise,
    /// What the checks of [`warnings`](crate::warnings) looked at.
    pub facts: Facts,
    /// Warnings to read before trusting the result.
    pub warnings: Vec<Warning>,
    /// Seconds of each stage, in order.
    pub seconds: Vec<(&'static str, f64)>,
}
