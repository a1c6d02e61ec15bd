//! `cargo xtask bench`: the benches of the workspace, and nothing else.

use std::process::ExitCode;

use anyhow::{Context, Result};

/// Run the benches of the workspace, optimized.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Arguments for the benches, such as a name to filter by.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    bench: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    // The glob selects bench targets only; without it, every library's unit tests are benches too.
    let status = crate::cargo()
        .args(["bench", "--workspace", "--bench", "*", "--"])
        .args(&arguments.bench)
        .status()
        .context("cannot start cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
