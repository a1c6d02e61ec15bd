//! Runs exported programs on emulated microcontrollers.
//!
//! [`Toolchain`] compiles any number of programs, as the C99 exporter prints them, into one
//! bare-metal [`Firmware`] with the exported start-up code. [`Firmware::run`] streams samples through
//! QEMU and returns the outputs, and the instructions of every node: how many were executed, which
//! says nothing of cycles. [`RustToolchain`] does the same with what the Rust exporter prints.
//!
//! A crate of its own, unpublished, because the developer commands and the conformance suite share
//! it.

mod cycles;
mod device;
mod error;
mod firmware;
pub mod layers;
mod map;
mod runtime;
mod rust;
pub mod samples;
pub mod sequences;
mod toolchain;

pub use cycles::{Estimate, estimates_cycles};
pub use device::{Device, Inference};
pub use error::McuError;
pub use firmware::{Firmware, Run};
pub use map::{Piece, RuntimeFunction, RustSizes, Sizes};
pub use rust::{RustToolchain, rust_available, rust_cargo};
pub use toolchain::{Toolchain, available, clang_flags};
