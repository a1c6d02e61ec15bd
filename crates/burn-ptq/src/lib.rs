//! Post-training quantization for tinyML, native to the Burn deep-learning framework.
//!
//! Data flows one way: [`import`] makes a float [`graph`], [`prepare`] rewrites it, [`calibrate`]
//! observes it, [`quantized`] decides grids and integers, [`lower`] makes the integer program that
//! `burn-ptq-deploy` runs and exports. [`pipeline::Quantizer`] does all of it by a [`recipe`].

pub mod agreement;
pub mod calibrate;
pub mod catalogue;
pub mod choice;
pub mod condition;
pub mod correct;
pub mod data;
pub mod evaluate;
pub mod graph;
pub mod import;
pub mod job;
pub mod layerwise;
pub mod lower;
pub mod metric;
pub mod observe;
pub mod pipeline;
mod prediction;
pub mod prepare;
pub mod quant;
pub mod quantized;
pub mod range;
pub mod recipe;
pub mod reconstruct;
pub mod report;
pub mod round;
pub mod synthesize;
pub mod task;
mod walk;
