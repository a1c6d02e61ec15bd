//! Integer programs: what a microcontroller executes, how it is verified, placed in memory, stored,
//! run on the host and exported as code. Does not depend on Burn: a firmware's build script can use it
//! alone.
//!
//! A [`Program`](program::Program) is operations on tensors. [`place`](program::Program::place)
//! verifies it and gives it memory; everything else takes the [`Placed`](place::Placed) one.

mod alone;
pub mod board;
pub mod border;
pub mod bounded;
pub mod cost;
pub mod export;
pub mod file;
pub mod harness;
pub mod import;
pub mod loops;
pub mod movement;
pub mod op;
pub mod output;
pub mod place;
pub mod preprocess;
pub mod printable;
pub mod program;
pub mod run;
pub mod simplify;
pub mod size;
mod states;
pub mod streaming;
pub mod target;
pub mod tflite;
pub mod verify;
