//! Quantization-aware fine-tuning, with the loop and the optimizer of the user.
//!
//! Two ways lead there. [`QatModel`] is a quantized graph whose weights, biases and scales are
//! variables: it rounds weights and activations as the integer program does, and what was learned
//! goes back into a [`QuantizedGraph`](crate::quantized::QuantizedGraph). [`FakeQuantizeWeights`]
//! attaches fake quantizers to the weights of any Burn module, whose `forward` stays as it is; the
//! module is captured and quantized again at the end, and its weights keep their grids.

mod model;
mod weights;

pub use model::{QatConfig, QatModel};
pub use weights::{FakeQuantizeWeights, WeightFakeQuantize};
