//! Quantization-aware fine-tuning, with the loop and the optimizer of the user.
//!
//! Two ways lead there. [`QatModel`] is a quantized graph whose weights, biases and scales are
//! variables: it rounds weights and activations as the integer program does, and what was learned
//! goes back into a [`QuantizedGraph`](crate::quant::QuantizedGraph). [`FakeQuantizeWeights`]
//! attaches fake quantizers to the weights of any Burn module, whose `forward` stays as it is; the
//! module is captured and quantized again at the end, and its weights keep their grids.
//!
//! # Clones share running statistics
//!
//! In Burn 0.22, clones of a module share the running statistics of its batch normalizations, and no
//! other parameter. Fine-tuning `net.clone()` therefore moves the statistics of `net`: what `net`
//! computes afterwards belongs to neither network, and fine-tuning looks better beside it than it is.
//! Fine-tune a copy with statistics of its own:
//!
//! ```
//! use burn::module::Module;
//! use burn::nn::BatchNormConfig;
//! use burn::tensor::{Device, Distribution, Tensor};
//!
//! let device = Device::flex().autodiff();
//! let net = BatchNormConfig::new(3).init(&device);
//! let train = |net: &burn::nn::BatchNorm| {
//!     for _ in 0..2 {
//!         net.forward(Tensor::<2>::random([8, 3], Distribution::Uniform(4.0, 5.0), &device));
//!     }
//! };
//! let mean = |net: &burn::nn::BatchNorm| net.valid().running_mean.value().sum().into_scalar::<f32>();
//!
//! train(&net.valid().train()); // a copy
//! assert_eq!(mean(&net), 0.0);
//! train(&net.clone()); // a clone
//! assert!(mean(&net) > 0.0);
//! ```
//!
//! [`capture`](crate::import::capture) warns where it can see that this happened.

mod model;
mod weights;

pub use model::{QatConfig, QatModel};
pub use weights::{FakeQuantizeWeights, WeightFakeQuantize};
