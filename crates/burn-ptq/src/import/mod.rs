//! Making the float [`Graph`](crate::graph::Graph): from a file format or from a Burn module.

mod capture;
pub mod onnx;
mod support;

pub use capture::{
    CaptureError, SupportedOperation, Tensors, capture, capture_named, supported_operations,
};
pub(crate) use capture::{Fingerprint, is_statistic};
pub use support::supported_markdown;
