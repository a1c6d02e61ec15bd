//! Schemes, quantization parameters and fake quantizers.

mod error;
mod fake_quantize;
mod qparams;
mod scheme;

pub use error::QuantizeError;
pub use fake_quantize::FakeQuantize;
pub(crate) use fake_quantize::round_half_away;
pub use qparams::{QParams, Range};
pub use scheme::{Granularity, Scheme, SchemeError};
