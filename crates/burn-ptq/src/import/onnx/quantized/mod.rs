//! Networks that are quantized already: floats between `QuantizeLinear` and `DequantizeLinear` (QDQ), and
//! operators on integers (QOperator).
//!
//! - `operators` says the operators on integers by those on floats, between the two;
//! - `encodings` reads the grids that AIMET writes beside a float model;
//! - `numbers` reads scales and zero points;
//! - `linear` translates `QuantizeLinear` and `DequantizeLinear`: the first of a value is a node that changes the
//!   grid, with the grid that the file gives; the second of it is nothing;
//! - `moved` follows integers through operators that move them;
//! - `weights` gives the scales of constants to the layers whose weights these become.
//!
//! What becomes of the grids on the way to the integer program is said in `prepare/given.rs`.

mod encodings;
mod linear;
mod moved;
mod numbers;
mod operators;
mod weights;

pub use encodings::{Encodings, EncodingsError};
pub(super) use numbers::Quantization;
pub(super) use operators::{express, quantizes};
pub(super) use weights::moved;

/// What the standard calls the two operators.
pub(super) const QUANTIZE: &str = "QuantizeLinear";
pub(super) const DEQUANTIZE: &str = "DequantizeLinear";
