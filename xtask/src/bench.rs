//! `cargo xtask bench`: the benches of the workspace, and nothing else.

use std::process::ExitCode;

use anyhow::{Context, Result};

pub const HELP: &str = "\
Runs the benches, optimized. Further arguments go to them.";

pub fn run(arguments: &[String]) -> Result<ExitCode> {
    // The glob selects bench targets only; without it, every library's unit tests are benches too.
    let status = crate::cargo()
        .args(["bench", "--workspace", "--bench", "*", "--"])
        .args(arguments)
        .status()
        .context("cannot start cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
