//! What the examples share: data, networks, their training, and how these are written as ONNX.

pub mod data;
pub mod net;
pub mod onnx;
pub mod recordings;
pub mod training;
