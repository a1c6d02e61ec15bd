//! Post-training quantization for tinyML, native to the Burn deep-learning framework.

pub mod choice;
pub mod graph;
pub mod observe;
pub mod quant;
pub mod range;
pub mod round;
