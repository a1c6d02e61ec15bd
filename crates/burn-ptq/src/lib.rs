//! Post-training quantization for tinyML, native to the Burn deep-learning framework.
//!
//! A trained model and some hundred samples in, an integer network out: with weights of 2 to 8 bits,
//! evaluated as what the microcontroller will compute, and exported as C.
//!
//! # Ten lines
//!
//! ```
//! use burn::nn::{Linear, LinearConfig, Relu};
//! use burn::module::Module;
//! use burn::tensor::{Device, Distribution, Tensor};
//! use burn_ptq::{import::capture, pipeline::Quantizer, recipe::Recipe};
//! # #[derive(Module, Debug)]
//! # struct Net {
//! #     hidden: Linear,
//! #     classifier: Linear,
//! # }
//! # impl Net {
//! #     fn forward(&self, x: Tensor<2>) -> Tensor<2> {
//! #         self.classifier.forward(Relu::new().forward(self.hidden.forward(x)))
//! #     }
//! # }
//! # let device = Device::flex();
//! # let trained = Net {
//! #     hidden: LinearConfig::new(16, 32).init(&device),
//! #     classifier: LinearConfig::new(32, 3).init(&device),
//! # };
//! # let batches: Vec<Tensor<2>> =
//! #     (0..4).map(|_| Tensor::random([32, 16], Distribution::Default, &device)).collect();
//! # let images = batches[0].clone();
//! # let folder = std::env::temp_dir().join("burn-ptq-ten-lines");
//!
//! // Any Burn module, its `forward` as it is, and a sample that says the shape:
//! let sample = Tensor::<2>::zeros([1, 16], &device);
//! let graph = capture(&trained.valid(), sample, Net::forward)?;
//! // Any iterator of batches calibrates, such as a `DataLoader`'s.
//! let quantized = Quantizer::new(Recipe::preset("w4a8")?).quantize(graph, batches)?;
//! // What the microcontroller computes, bit for bit:
//! let outputs = quantized.forward(images)?;
//! quantized.save(&folder.with_extension("bptq"))?;
//! quantized.export("c", &folder)?;
//! # std::fs::remove_dir_all(&folder)?;
//! # std::fs::remove_file(folder.with_extension("bptq"))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where to go on
//!
//! - [`import`]: models from Burn modules and from ONNX files.
//! - [`recipe`]: what can be chosen, and the presets.
//! - [`pipeline::Quantizer`]: progress, other devices, custom components.
//! - [`pipeline::Quantized`]: the result: [simulated](pipeline::Quantized::simulate) as a Burn module,
//!   run as integers, [written back](pipeline::Quantized::write_back) into the module it came from.
//! - [`qat`]: fine-tuning with your own loop, where calibration alone loses too much.
//!
//! # Features and versions
//!
//! The backend flex is always there. The features `ndarray` and `wgpu` add Burn's backends of that name;
//! see [`backend`]. `schema` adds JSON schemas of recipes. Burn is pinned to 0.22.1, Rust is 1.92 or later (lints hold the code to it).
//!
//! Data flows one way: [`import`] makes a float [`graph`], [`prepare`] rewrites it, [`calibrate`]
//! observes it, [`quantized`] decides grids and integers, [`lower`] makes the integer program that
//! `burn-ptq-deploy` runs and exports.

pub mod agreement;
pub mod backend;
pub mod calibrate;
pub mod catalogue;
pub mod choice;
pub mod condition;
pub mod correct;
mod deployment;
mod error;
mod event;
pub mod graph;
pub mod import;
pub mod layerwise;
pub mod lower;
pub mod noise;
pub mod observe;
pub mod pipeline;
pub mod prediction;
pub mod prepare;
pub mod qat;
pub mod quant;
pub mod quantized;
pub mod range;
pub mod recipe;
pub mod reconstruct;
pub mod round;
#[cfg(feature = "schema")]
pub mod schema;
mod suspicious;
pub mod synthesize;
mod walk;
pub mod warning;
pub mod warnings;
mod write_back;

pub use error::Error;
pub use event::{Cancelled, Event, Progress};
pub use write_back::WriteBackError;
