//! `cargo xtask mcu random`: many random layers, of which a test run has few.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use super::Request;

/// Microcontrollers where the command line does not say.
pub(super) const TARGETS: &[&str] = &["cortex-m4", "cortex-m55"];

const TEST: &str = "random_layers_agree_on_microcontrollers_and_under_sanitizers";

/// Returns whether every byte was the reference's.
pub(super) fn run(request: &Request) -> Result<bool> {
    let names: Vec<&str> = request.targets.iter().map(|target| target.name).collect();
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let seed = request.seed.unwrap_or(clock);
    println!("seed {seed}: repeat with cargo xtask mcu random --seed {seed}");
    let status = crate::cargo()
        .args(["test", "--package=burn-ptq-tests", "--test=conformance", TEST])
        .args(["--", "--nocapture"])
        .env("BURN_PTQ_RANDOM_CASES", request.cases.to_string())
        .env("BURN_PTQ_RANDOM_SEED", seed.to_string())
        .env("BURN_PTQ_RANDOM_TARGETS", names.join(","))
        .status()
        .context("cannot start cargo")?;
    Ok(status.success())
}
