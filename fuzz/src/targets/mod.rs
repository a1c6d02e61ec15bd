//! The targets, one file each.

pub mod bptq;
pub mod data;
pub mod onnx;
pub mod recipe;
pub mod report;
pub mod results;
pub mod study;
