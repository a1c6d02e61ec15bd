//! `cargo xtask results`: quantizes the four tasks by every preset and writes `docs/results.md`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Quantize the four MLPerf Tiny tasks by every preset and write docs/results/presets.md.
///
/// BURN_PTQ_ASSETS names the folder of the tasks.
#[derive(Debug, clap::Args)]
pub struct Arguments {}

/// The tasks: name, metric, and a peer's metrics on the same arrays by [`CASES`] that it was measured
/// for: rounding to nearest, and AdaRound with 1000 iterations a layer.
const TASKS: &[(&str, &str, Peer)] = &[
    (
        "ic",
        "top-1",
        &[
            ("W8A8", 0.876, None),
            ("W4A8", 0.668, Some(0.851)),
            ("W3A8", 0.102, None),
            ("W2A8", 0.108, Some(0.324)),
            ("W4A4", 0.265, Some(0.330)),
        ],
    ),
    (
        "kws",
        "top-1",
        &[
            ("W8A8", 0.936, None),
            ("W4A8", 0.917, Some(0.917)),
            ("W3A8", 0.664, None),
            ("W2A8", 0.083, Some(0.565)),
            ("W4A4", 0.143, Some(0.153)),
        ],
    ),
    (
        "vww",
        "top-1",
        &[
            ("W8A8", 0.801, None),
            ("W4A8", 0.745, None),
            ("W3A8", 0.530, None),
            ("W2A8", 0.441, None),
            ("W4A4", 0.610, None),
        ],
    ),
    (
        "ad",
        "AUC",
        &[
            ("W8A8", 0.862, None),
            ("W4A8", 0.769, None),
            ("W3A8", 0.512, None),
            ("W2A8", 0.390, None),
            ("W4A4", 0.772, None),
        ],
    ),
];

/// Widths, and a peer's metrics with nearest rounding and with AdaRound.
type Peer = &'static [(&'static str, f64, Option<f64>)];

/// What is quantized: a preset, flags on top, and whether it also runs with 8-bit ends.
const CASES: &[(&str, &[&str], bool)] = &[
    ("nearest", &[], false),
    ("w8a8", &[], false),
    ("w4a8-fast", &[], false),
    ("w4a8", &[], true),
    ("w3a8", &[], true),
    ("w2a8", &[], true),
    ("w4a4", &[], true),
    ("w4a4", &["--weights", "3"], true),
    ("w4a4", &["--weights", "2"], true),
    ("w4a8-best", &[], false),
    ("w3a8-best", &[], false),
    ("w2a8-best", &[], true),
    ("w4a4-best", &[], false),
];

pub fn run(_: &Arguments) -> Result<ExitCode> {
    build()?;
    let assets = assets()?;
    let mut text = HEAD.to_string();
    for (task, metric, peer) in TASKS {
        let folder = assets.join(task);
        ensure!(folder.is_dir(), "{} is not there; see BURN_PTQ_ASSETS", folder.display());
        section(&mut text, &folder, task, metric, peer)?;
    }
    write("presets.md", &text)?;
    Ok(ExitCode::SUCCESS)
}

/// The folder of the tasks.
pub fn assets() -> Result<PathBuf> {
    let folder = std::env::var_os("BURN_PTQ_ASSETS").map(PathBuf::from);
    folder.context("set BURN_PTQ_ASSETS to the folder of the MLPerf Tiny tasks")
}

/// The command line: `binary`, or else a new build.
pub fn built(binary: Option<&Path>) -> Result<Command> {
    let Some(binary) = binary else {
        build()?;
        return Ok(command_line());
    };
    let path = binary.canonicalize();
    Ok(Command::new(path.with_context(|| format!("no {}", binary.display()))?))
}

/// Builds the command line.
pub fn build() -> Result<()> {
    let build = ["build", "--release", "--locked", "-p", "burn-ptq-cli"];
    ensure!(crate::cargo().args(build).status()?.success(), "the command line does not build");
    Ok(())
}

/// Where cargo builds.
pub fn target_folder() -> PathBuf {
    let folder = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    folder.unwrap_or_else(|| crate::root().join("target"))
}

/// The command line that [`build`] builds.
pub fn command_line() -> Command {
    Command::new(target_folder().join("release/burn-ptq"))
}

/// Writes a page of the documentation.
pub fn write(name: &str, text: &str) -> Result<()> {
    let path = crate::root().join("docs/results").join(name);
    burn_ptq_deploy::output::write_atomically(&path, text.as_bytes())?;
    println!("written to docs/results/{name}");
    Ok(())
}

const HEAD: &str = "\
# Results

Written by `cargo xtask results`; not edited by hand.

The four MLPerf Tiny tasks by the presets of this version (`burn-ptq recipe show NAME` prints one).
`all` has every layer at the stated widths, the first and the last too; `8-bit ends` has the first and
the last layer at 8 bits. In both the model's own input and output, with the logits before a softmax,
stay at 8 bits. `integer` is the metric of the integer program, which is what the exported C computes
bit for bit; `simulated` is that of the float network with fake quantizers. `flash` and
`RAM` are those of what is exported: constants as stored (weights, biases, multipliers, tables,
parameters), without code, which [kernels.md](kernels.md) has for every target, and the arena, where layers
run row by row if that saves memory. `seconds` is
everything from reading the model to the report, with three evaluations, on 2 cores; `quantize` is the part from
calibration to the quantized network. `peer` is AIMET 2.42 on the same arrays, simulated, all layers at
the width: min-max ranges with nearest rounding, and its AdaRound with 1000 iterations a layer (55 s a
run on kws, 122 s on ic); in its W4A4 the model's input and output have 4 bits too.

On a few hundred evaluation samples one standard error is about 0.015: smaller differences between two
rows show nothing.
";

fn section(text: &mut String, folder: &Path, task: &str, metric: &str, peer: Peer) -> Result<()> {
    for (i, (preset, flags, ends)) in CASES.iter().enumerate() {
        eprintln!("{task} {preset} {} ...", flags.join(" "));
        let clock = Instant::now();
        let report = quantize(folder, preset, flags)?;
        let seconds = clock.elapsed().as_secs_f64();
        let with_ends = match ends {
            true => {
                let flags: Vec<&str> = [flags, ["--first-last", "8"].as_slice()].concat();
                let integer = quantize(folder, preset, &flags)?["integer"].as_f64();
                format!("{:.4}", integer.context("no integer metric")?)
            }
            false => "".into(),
        };
        let number = |key: &str| report[key].as_f64().with_context(|| format!("no {key}"));
        if i == 0 {
            writeln!(
                text,
                "\n## {task}\n\n{metric} on {} samples; float {:.4}; {:.2} million \
                 multiply-accumulates.\n\n| preset | widths | integer, all | integer, 8-bit ends | \
                 simulated, all | peer nearest | peer AdaRound | flash | RAM | quantize | seconds \
                 |\n|---|---|---|---|---|---|---|---|---|---|---|",
                report["samples"],
                number("float")?,
                number("macs")? / 1e6
            )?;
        }
        let exported = |key: &str| {
            report["exported"][key].as_f64().with_context(|| format!("no exported {key}"))
        };
        let label = report["label"].as_str().context("no label")?;
        let found = peer.iter().find(|(widths, ..)| *widths == label);
        let cell = |value: Option<f64>| value.map_or(String::new(), |x| format!("{x:.3}"));
        let quantizing = ["condition", "calibrate", "round", "reconstruct", "correct"];
        let quantizing: f64 =
            quantizing.iter().filter_map(|stage| report["seconds"][stage].as_f64()).sum();
        writeln!(
            text,
            "| {preset}{} | {label} | **{:.4}** | {with_ends} | {:.4} | {} | {} | {:.1} KiB | \
             {:.1} KiB | {quantizing:.1} s | {seconds:.1} s |",
            flags.iter().map(|flag| format!(" {flag}")).collect::<String>(),
            number("integer")?,
            number("simulated")?,
            cell(found.map(|peer| peer.1)),
            cell(found.and_then(|peer| peer.2)),
            exported("flash_bytes")? / 1024.0,
            exported("ram_bytes")? / 1024.0,
        )?;
    }
    Ok(())
}

fn quantize(folder: &Path, preset: &str, flags: &[&str]) -> Result<Value> {
    let flags = [["--preset", preset].as_slice(), flags].concat();
    quantize_with(folder, &flags.into_iter().map(String::from).collect::<Vec<_>>())
}

/// Quantizes a task and returns its report.
pub fn quantize_with(folder: &Path, flags: &[String]) -> Result<Value> {
    let out = std::env::temp_dir().join(format!("burn-ptq-results-{}", std::process::id()));
    let output = command_line()
        .args(["quantize", "--json", "--task"])
        .arg(folder)
        .args(flags)
        .arg("--out")
        .arg(&out)
        .output()
        .context("cannot start burn-ptq")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "quantizing {} failed: {errors}", folder.display());
    std::fs::remove_dir_all(&out)?;
    serde_json::from_slice(&output.stdout).context("the report is not JSON")
}
