// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! The integer semantics of burn-ptq, in one place.
//!
//! Everything that rounds, clamps to a grid, requantizes or unpacks a weight lives here and nowhere
//! else in the workspace: the simulation, the interpreter, generated Rust and the C runtime are all
//! tested against these functions. The arithmetic is TensorFlow Lite Micro's (double rounding), so
//! int8 programs give the same bytes as TFLM and CMSIS-NN.
//!
//! The crate is `no_std`, never allocates and has no dependencies. [`reference`](mod@reference) holds loops that a
//! reader can check against the formulas by eye; `fast` holds the same operations, quicker, with
//! the same bits out, for hosts (feature `host`); [`embedded`] and [`dsp`] hold them for microcontrollers.
#![no_std]
#![warn(missing_docs)]

#[cfg(any(test, feature = "host"))]
extern crate std;

pub mod dsp;
pub mod embedded;
#[cfg(any(test, feature = "host"))]
pub mod fast;
pub mod geometry;
pub mod grid;
pub mod multiplier;
pub mod packing;
pub mod params;
pub mod reference;
mod rows;
#[cfg(any(test, feature = "source"))]
pub mod source;
pub mod stream;
