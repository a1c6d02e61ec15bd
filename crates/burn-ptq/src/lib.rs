//! Post-training quantization for tinyML, native to the Burn deep-learning framework.
//!
//! Data flows one way: [`import`] -> [`graph::Graph`] -> [`prepare`] -> [`calibrate`] ->
//! [`quantized::QuantizedGraph`] -> [`lower`] -> [`burn_ptq_deploy::model::IntModel`].

pub mod graph;
