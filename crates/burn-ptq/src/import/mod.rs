//! Reading models: from a file format to the float [`Graph`](crate::graph::Graph).

pub mod onnx;
