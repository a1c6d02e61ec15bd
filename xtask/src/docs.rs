//! `cargo xtask docs`: the reference pages that the command line generates about itself.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

use crate::results::built;

/// Generate docs/reference, or check that it is up to date.
///
/// Builds the command line, which writes what it knows of itself: operators, components, recipe
/// keys, presets and commands.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Write nothing; fail if a page is stale.
    #[arg(long)]
    check: bool,
    /// Use this burn-ptq instead of building one.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut reference = built(arguments.binary.as_deref())?;
    reference.arg("reference").arg(crate::root().join("docs/reference"));
    if arguments.check {
        reference.arg("--check");
    }
    let status = reference.status().context("cannot start burn-ptq")?;
    ensure!(status.success(), "docs/reference is not up to date");
    Ok(ExitCode::SUCCESS)
}
