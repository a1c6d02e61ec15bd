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

/// The manifests that state a version, and the package that is compiled with it; packages that it
/// depends on state the same.
const STATED: [(&str, &str); 2] =
    [("crates/deploy/Cargo.toml", "burn-ptq-deploy"), ("Cargo.toml", "burn-ptq-cli")];

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    for (manifest, package) in STATED {
        let text = fs::read_to_string(root().join(manifest)).context("no manifest")?;
        let version = stated(&text).with_context(|| format!("{manifest} states no version"))?;
        if !installed(version) {
            println!("SKIPPED Rust {version}: not installed, and rustup cannot install it");
            if arguments.require || std::env::var("CI").is_ok_and(|ci| ci == "true") {
                return Ok(ExitCode::FAILURE);
            }
            continue;
        }
        // Through rustup, since the environment's cargo belongs to the toolchain that runs this.
        let status = Command::new("rustup")
            .args(["run", version, "cargo", "check", "--locked", "--package", package])
            .current_dir(root())
            .env("CARGO_TARGET_DIR", FOLDER)
            .env_remove("RUSTUP_TOOLCHAIN")
            .status()
            .context("cannot start rustup")?;
        if !status.success() {
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The version that a manifest states.
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
    fn every_manifest_states_a_version() {
        for (manifest, _) in STATED {
            let text = fs::read_to_string(root().join(manifest)).expect("it exists");
            let version = stated(&text).expect("it states one");
            assert!(version.split('.').all(|part| part.parse::<u32>().is_ok()), "{version}");
        }
    }
}
