//! `cargo xtask msrv`: the oldest Rust that the manifests promise.

use std::fs;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result};

use crate::root;

/// Compile every published crate with the minimum supported Rust version.
///
/// rustup installs that toolchain where permitted; where it cannot, this prints SKIPPED and why.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Fail instead of skipping; implied by CI=true in the environment.
    #[arg(long)]
    require: bool,
}

/// Where the compiled crates go: another compiler would evict what the usual one has built.
const FOLDER: &str = "target/msrv";

/// The published packages; the command line depends on the others.
const PUBLISHED: [&str; 2] = ["burn-ptq-kernels", "burn-ptq-cli"];

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).context("no Cargo.toml")?;
    let version = stated(&manifest).context("Cargo.toml states no rust-version")?;
    if !installed(version) {
        println!("SKIPPED Rust {version}: not installed, and rustup cannot install it");
        let required = arguments.require || std::env::var("CI").is_ok_and(|ci| ci == "true");
        return Ok(if required { ExitCode::FAILURE } else { ExitCode::SUCCESS });
    }
    let packages = PUBLISHED.iter().flat_map(|package| ["--package", package]);
    // Through rustup, since the environment's cargo belongs to the toolchain that runs this.
    let status = Command::new("rustup")
        .args(["run", version, "cargo", "check", "--locked"])
        .args(packages)
        .current_dir(root())
        .env("CARGO_TARGET_DIR", FOLDER)
        .env_remove("RUSTUP_TOOLCHAIN")
        .status()
        .context("cannot start rustup")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The version that the workspace states.
fn stated(manifest: &str) -> Option<&str> {
    let line = manifest.lines().find_map(|line| line.strip_prefix("rust-version = \""))?;
    line.strip_suffix('"')
}

/// Whether a toolchain is there, after rustup has tried to install it.
fn installed(version: &str) -> bool {
    let rustup = |arguments: &[&str]| {
        let status = Command::new("rustup").args(arguments).stdout(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    rustup(&["run", version, "rustc", "--version"])
        || rustup(&["toolchain", "install", version, "--profile", "minimal"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stated_version_is_that_of_the_workspace() {
        let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("it exists");
        let version = stated(&manifest).expect("it states one");
        assert!(version.split('.').all(|part| part.parse::<u32>().is_ok()), "{version}");
    }
}
