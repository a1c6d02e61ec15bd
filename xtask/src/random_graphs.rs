//! `cargo xtask random-graphs`: many random networks, of which a test run has few.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

pub const HELP: &str = "\
Makes random networks of supported operators, quantizes them by random recipes, and compares them with
ONNX Runtime, their simulation and exported C.
  --count N      networks; 3000 if not given
  --seed N       of networks and recipes; the clock if not given
  --first N      the number of the first network, to run a single one again with --count 1";

const TEST: &str = "random_graphs_agree_with_onnx_runtime_their_simulation_and_exported_c";

pub fn run(arguments: &[String]) -> Result<ExitCode> {
    let (mut count, mut seed, mut first) = (3000, None, 0);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut number = || -> Result<u64> {
            let text = arguments.next().with_context(|| format!("{argument} needs a number"))?;
            text.parse().with_context(|| format!("{argument} {text:?} is not a number"))
        };
        match argument.as_str() {
            "--count" => count = number()?,
            "--seed" => seed = Some(number()?),
            "--first" => first = number()?,
            other => bail!("unknown argument {other:?} of cargo xtask random-graphs\n\n{HELP}"),
        }
    }
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let seed = seed.unwrap_or(clock);
    println!("seed {seed}: repeat with cargo xtask random-graphs --count {count} --seed {seed}");
    let status = crate::cargo()
        .args(["test", "--release", "--package=burn-ptq", "--package=burn-ptq-cli"])
        .args(["--package=burn-ptq-examples", "--features=burn-ptq/ndarray"])
        .args(["--test=random_graphs", TEST, "--", "--nocapture"])
        .env("BURN_PTQ_RANDOM_GRAPHS", count.to_string())
        .env("BURN_PTQ_RANDOM_GRAPHS_SEED", seed.to_string())
        .env("BURN_PTQ_RANDOM_GRAPHS_FIRST", first.to_string())
        .status()
        .context("cannot start cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
