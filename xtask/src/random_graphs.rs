//! `cargo xtask random-graphs`: many random networks, of which a test run has few.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

/// Quantize random networks by random recipes and compare them with ONNX Runtime, their simulation
/// and exported C.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The number of networks.
    #[arg(long, value_name = "N", default_value_t = 3000)]
    count: u64,
    /// The seed of networks and recipes; the clock by default.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// The number of the first network; with --count 1, repeats a single one.
    #[arg(long, value_name = "N", default_value_t = 0)]
    first: u64,
}

const TEST: &str = "random_graphs_agree_with_onnx_runtime_their_simulation_and_exported_c";

pub(crate) fn run(&Arguments { count, seed, first }: &Arguments) -> Result<ExitCode> {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let seed = seed.unwrap_or(clock);
    println!("seed {seed}: repeat with cargo xtask random-graphs --count {count} --seed {seed}");
    let status = crate::cargo()
        .args(["test", "--release", "--package=burn-ptq", "--package=burn-ptq-cli"])
        .arg("--package=burn-ptq-examples")
        .args(["--test=random_graphs", TEST, "--", "--nocapture"])
        .env("BURN_PTQ_RANDOM_GRAPHS", count.to_string())
        .env("BURN_PTQ_RANDOM_GRAPHS_SEED", seed.to_string())
        .env("BURN_PTQ_RANDOM_GRAPHS_FIRST", first.to_string())
        .status()
        .context("cannot start cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
