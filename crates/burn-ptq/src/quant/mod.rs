//! Quantized networks: schemes, grids and fake quantizers, the quantized graph and its simulation.

mod error;
mod fake_quantize;
mod qparams;
mod quantized_graph;
mod scheme;
mod side_by_side;
mod simulate;

pub use error::QuantizeError;
pub use fake_quantize::FakeQuantize;
pub(crate) use fake_quantize::round_half_away;
pub use qparams::{QParams, Range};
pub(crate) use quantized_graph::least_scale;
pub use quantized_graph::{QuantizedActivation, QuantizedGraph, QuantizedWeights};
pub use scheme::{Granularity, Scheme, SchemeError};
pub(crate) use side_by_side::{Pair, SideBySide};
pub use simulate::SimulatedModel;
