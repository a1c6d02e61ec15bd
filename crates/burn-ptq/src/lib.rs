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
//! use burn_ptq::{Quantizer, Recipe, capture};
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
//! # What to read next
//!
//! - [`Quantizer`]: progress, other devices, custom components.
//! - [`Recipe`]: what can be chosen, and the presets.
//! - [`Quantized`]: the result: [simulated](Quantized::simulate) as a Burn module, run as integers,
//!   saved, exported, [written back](Quantized::write_back) into the module that it came from.
//! - [`Error`] and [`Event`]: what can go wrong, and what a running job reports.
//! - [`capture`] and [`onnx`]: models from Burn modules and from ONNX files.
//! - [`qat`]: fine-tuning with your own loop, where calibration alone loses too much.
//!
//! # Extension points
//!
//! Each is a trait, with the components that recipes can name beside it:
//! [`Rounding`](round::Rounding), [`RangeMethod`](range::RangeMethod),
//! [`WeightRange`](range::WeightRange), [`JointRange`](range::JointRange),
//! [`Observer`](observe::Observer), [`Conditioning`](condition::Conditioning),
//! [`Loss`](reconstruct::Loss), [`Correction`](correct::Correction), and, for code in another
//! language, [`Exporter`](burn_ptq_deploy::export::Exporter). A rounding and an observer of another
//! crate take part by [`Quantizer::with_rounding`] and [`Quantizer::with_observer`].
//!
//! # Features and versions
//!
//! The backend flex is always there. The features `ndarray` and `wgpu` add Burn's backends of that name;
//! see [`backend`]. `schema` adds JSON schemas of recipes. Burn is pinned to 0.22.1, Rust is 1.95 or
//! later (lints hold the code to it).
//!
//! # How data flows
//!
//! One way: [`import`] makes a float [`graph`], [`prepare`](fn@prepare) and [`condition`] rewrite it,
//! observers see its values on calibration data, [`range`] chooses grids and [`round`] integers, which
//! [`reconstruct`] and [`correct`] tune; the result, a [`QuantizedGraph`], becomes the integer program that
//! `burn-ptq-deploy` runs and exports.

pub mod backend;
mod bits;
mod calibrate;
pub mod condition;
pub mod correct;
mod error;
mod event;
pub mod graph;
pub mod import;
mod lower;
pub mod network;
pub mod observe;
mod pipeline;
mod prepare;
pub mod qat;
mod quant;
pub mod range;
pub mod recipe;
pub mod reconstruct;
pub mod round;
mod sequence;
mod warning;
pub mod warnings;

pub use calibrate::{BatchShapeError, CalibrateError, SeveralEnds};
pub use error::{CalibratedError, Error, OpenGrids};
pub use event::{Cancelled, Event, Progress};
pub use import::{capture, capture_named, onnx};
pub use lower::LowerError;
pub use network::{Quantized, WriteBackError};
pub use pipeline::{Calibrated, Quantizer, quantize_as_given, quantize_uncalibrated};
pub use prepare::prepare;
pub use quant::{
    FakeQuantize, Granularity, QParams, QuantizeError, QuantizedActivation, QuantizedGraph,
    QuantizedWeights, Range, Scheme, SchemeError, SimulatedModel,
};
pub use recipe::Recipe;
#[cfg(feature = "schema")]
pub use recipe::schema;
pub use sequence::{Unroll, outputs_of_steps, step_len};
pub use warning::Warning;
