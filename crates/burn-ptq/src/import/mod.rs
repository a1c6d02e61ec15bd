//! Importers: from models of other tools to the float graph.

pub mod onnx;
