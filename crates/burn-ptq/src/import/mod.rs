//! Making the float [`Graph`](crate::graph::Graph): from a file format or from a Burn module.

mod capture;
pub mod onnx;

pub use capture::{CaptureError, capture};
pub(crate) use capture::{Fingerprint, is_statistic};
