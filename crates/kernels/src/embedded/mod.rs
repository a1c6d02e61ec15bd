// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! The weighted operations for microcontrollers: weights stay packed, nothing panics.
//!
//! Every function gives the bits of its twin in [`reference`](mod@crate::reference) and has no panic path: a
//! slice of a wrong length, which a verified program excludes, gives wrong outputs instead. Weights
//! below 8 bits are decoded block by block into `scratch`, which holds what the function's
//! `_scratch_len` says; a fully connected layer with a single row of a multiple of eight 8-bit inputs
//! multiplies them as they are packed.

mod blocks;
mod conv2d;
mod depthwise;
mod dot;
mod transpose_conv2d;

pub use blocks::FILTERS;
pub use conv2d::{conv2d, conv2d_scratch_len, fully_connected};
pub use depthwise::{CHANNELS, depthwise_conv2d, depthwise_conv2d_scratch_len};
pub use transpose_conv2d::{transpose_conv2d, transpose_conv2d_scratch_len};
