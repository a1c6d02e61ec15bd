//! The command line, run as a process.

mod ablate;
mod bad_input;
mod commands;
#[cfg(target_os = "linux")]
mod process;
mod support;
