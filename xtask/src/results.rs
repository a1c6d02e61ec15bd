//! `cargo xtask results`: quantizes the four tasks by every preset and writes `docs/results.md`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

pub const HELP: &str = "\
Quantizes the four MLPerf Tiny tasks by every preset and writes docs/results.md.
The tasks are taken from BURN_PTQ_ASSETS, default ../shared/assets.";

/// The tasks: name, metric, and a peer's metric on the same arrays for each of [`PRESETS`].
const TASKS: &[(&str, &str, [f64; 5])] = &[
    ("ic", "top-1", [0.876, 0.668, 0.265, 0.102, 0.108]),
    ("kws", "top-1", [0.936, 0.917, 0.143, 0.664, 0.083]),
    ("vww", "top-1", [0.801, 0.745, 0.610, 0.530, 0.441]),
    ("ad", "AUC", [0.862, 0.769, 0.772, 0.512, 0.390]),
];

const PRESETS: [&str; 5] = ["w8a8", "w4a8", "w4a4", "w3a8", "w2a8"];

pub fn run(arguments: &[String]) -> Result<ExitCode> {
    ensure!(arguments.is_empty(), "results takes no arguments");
    let assets = match std::env::var_os("BURN_PTQ_ASSETS") {
        Some(folder) => PathBuf::from(folder),
        None => crate::root().join("../shared/assets"),
    };
    let build = ["build", "--release", "--locked", "-p", "burn-ptq-cli"];
    ensure!(crate::cargo().args(build).status()?.success(), "the command line does not build");
    let mut text = HEAD.to_string();
    for (task, metric, peer) in TASKS {
        let folder = assets.join(task);
        ensure!(folder.is_dir(), "{} is missing; set BURN_PTQ_ASSETS", folder.display());
        section(&mut text, &folder, task, metric, peer)?;
    }
    let path = crate::root().join("docs/results.md");
    let temporary = path.with_extension("md.tmp");
    std::fs::write(&temporary, text)?;
    std::fs::rename(&temporary, &path)?;
    println!("written to docs/results.md");
    Ok(ExitCode::SUCCESS)
}

const HEAD: &str = "\
# Results

Written by `cargo xtask results`; not edited by hand.

The four MLPerf Tiny tasks, by the presets of this version: weights rounded to nearest, per-channel
ranges with the smallest error of the layer's output (`output-mse`), biases of layers below 8 bits
corrected (`bias`), activation ranges by `mse`. All layers have the stated widths, the first and the
last too; the model's own input and output stay at 8 bits. `integer` is the metric of the integer
program, which is what the exported C computes bit for bit; `simulated` is that of the float network
with fake quantizers. `flash` is constants as stored (weights, biases, multipliers, tables), without
code; `RAM` is the arena. `peer` is AIMET 2.42 on the same arrays, simulated, with min-max ranges and
nearest rounding; in its W4A4 the model's input and output have 4 bits too. `seconds` is everything
from reading the model to the report, with the three evaluations, on 2 cores.
";

fn section(
    text: &mut String,
    folder: &Path,
    task: &str,
    metric: &str,
    peer: &[f64; 5],
) -> Result<()> {
    for (i, (preset, peer)) in PRESETS.iter().zip(peer).enumerate() {
        eprintln!("{task} {preset} ...");
        let clock = Instant::now();
        let report = quantize(folder, preset)?;
        let seconds = clock.elapsed().as_secs_f64();
        let number = |key: &str| report[key].as_f64().with_context(|| format!("no {key}"));
        if i == 0 {
            writeln!(
                text,
                "\n## {task}\n\n{metric} on {} samples; float {:.4}; {:.2} million \
                 multiply-accumulates.\n\n| widths | integer | simulated | peer | flash | RAM | \
                 seconds |\n|---|---|---|---|---|---|---|",
                report["samples"],
                number("float")?,
                number("macs")? / 1e6
            )?;
        }
        writeln!(
            text,
            "| {} | **{:.4}** | {:.4} | {peer:.3} | {:.1} KiB | {:.1} KiB | {seconds:.1} |",
            report["label"].as_str().context("no label")?,
            number("integer")?,
            number("simulated")?,
            number("flash_bytes")? / 1024.0,
            number("ram_bytes")? / 1024.0,
        )?;
    }
    Ok(())
}

fn quantize(folder: &Path, preset: &str) -> Result<Value> {
    let out = std::env::temp_dir().join(format!("burn-ptq-results-{}", std::process::id()));
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| crate::root().join("target"));
    let output = Command::new(target.join("release/burn-ptq"))
        .args(["quantize", "--preset", preset, "--json", "--task"])
        .arg(folder)
        .arg("--out")
        .arg(&out)
        .output()
        .context("cannot start burn-ptq")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "quantizing {} failed: {errors}", folder.display());
    std::fs::remove_dir_all(&out)?;
    serde_json::from_slice(&output.stdout).context("the report is not JSON")
}
