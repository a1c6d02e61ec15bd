//! The command line, run as a process.

#![allow(clippy::print_stdout, reason = "tests say what they skip or measure")]

mod ablate;
mod bad_input;
mod boards;
mod cluster;
mod commands;
mod compare;
mod data;
mod ends;
mod fit;
mod formats;
mod frames;
mod measured;
mod metrics;
#[cfg(target_os = "linux")]
mod process;
mod reference;
mod report;
#[cfg(target_os = "linux")]
mod states;
mod streams;
mod support;
mod warnings;
mod widths;
