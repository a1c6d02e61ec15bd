//! What one quantization by each preset gives: the metric, and flash and RAM on a Cortex-M4.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use burn_ptq_deploy::file;
use burn_ptq_deploy::place::Memory;
use burn_ptq_deploy::target::target;
use burn_ptq_mcu::{Sizes, Toolchain, available};
use serde_json::Value;

use super::peers::{self, Peer};
use super::{assets, target_folder};

/// The tasks with their metrics.
const TASKS: &[(&str, &str)] =
    &[("ic", "top-1"), ("kws", "top-1"), ("vww", "top-1"), ("ad", "AUC")];

/// What is quantized: a preset and flags on top.
const CASES: &[(&str, &[&str])] = &[
    ("w8a8", &[]),
    ("nearest", &[]),
    ("w4a8", &[]),
    ("w4a8-fast", &[]),
    ("w3a8", &[]),
    ("w2a8", &[]),
    ("w4a4", &[]),
    ("w4a4", &["--weights", "3"]),
    ("w4a4", &["--weights", "2"]),
    ("w4a8-best", &[]),
    ("w3a8-best", &[]),
    ("w2a8-best", &[]),
    ("w4a4-best", &[]),
];

/// The microcontroller on which flash and RAM are measured.
const TARGET: &str = "cortex-m4";

pub(super) const HEAD: &str = "\
# Presets

Written by `cargo xtask results presets`; not edited by hand.

The four MLPerf Tiny tasks by the presets of this version (`burn-ptq recipe show NAME` prints one). Every layer
has the stated widths, the first and the last too; the model's own input and output, with the logits before
a softmax, stay at 8 bits. `integer` is the metric of the integer program, which is what exported code computes
bit for bit, with its 95 % confidence interval over the evaluation samples, after calibration with all
calibration samples; `simulated` is that of the float network with fake quantizers. The intervals are those of
single rows: whether two presets differ, `studies/presets.toml` tests sample by sample, on several draws of the
calibration samples.

`flash` and `RAM` are those of exported C on a Cortex-M4, compiled at -Os and read from the linker's map: `flash`
holds constants and all code, `RAM` the arena, where layers run row by row if that saves memory, without the
stack; [kernels.md](kernels.md) has other targets. `seconds` is the processor time of the whole command, from
reading the model to the written files, three evaluations included; spread over cores, it takes less.

Other tools on the same arrays, for comparison:

";

/// A table for each task.
pub(super) fn tables(program: &OsStr) -> Result<String> {
    let peers = peers::read()?;
    let target = target(TARGET).context("there is no such target")?;
    ensure!(available(target), "{} is not installed", target.compiler);
    let mut toolchain = Toolchain::new(target, "-Os")?;
    let mut text = peers::sources(&peers);
    for (task, metric) in TASKS {
        let folder = assets()?.join(task);
        ensure!(folder.is_dir(), "{} is not there; see BURN_PTQ_ASSETS", folder.display());
        for (at, (preset, flags)) in CASES.iter().enumerate() {
            eprintln!("{task} {preset} {} ...", flags.join(" "));
            let quantized = quantize(program, &mut toolchain, &folder, preset, flags)?;
            if at == 0 {
                text.push_str(&heading(task, metric, &quantized.report, &peers)?);
            }
            let name = [&[*preset], *flags].concat().join(" ");
            text.push_str(&row(&name, task, &quantized, &peers)?);
        }
    }
    Ok(text)
}

/// A task's heading, and that of its table.
fn heading(task: &str, metric: &str, report: &Value, peers: &[Peer]) -> Result<String> {
    let columns: String = peers.iter().map(|peer| format!(" {} |", peer.name)).collect();
    Ok(format!(
        "\n## {task}\n\n{metric} on {} samples; float {}; {:.2} million multiply-accumulates.\n\n\
         | preset | widths | flash, KiB | of it constants | RAM, KiB | integer | simulated | seconds |\
         {columns}\n|---|---|---|---|---|---|---|---|{}\n",
        report["samples"],
        shown(report, "float")?,
        number(report, "macs")? / 1e6,
        "---|".repeat(peers.len()),
    ))
}

fn row(name: &str, task: &str, quantized: &Quantized, peers: &[Peer]) -> Result<String> {
    let Quantized { report, sizes, seconds } = quantized;
    let widths = report["label"].as_str().context("no label")?;
    let kib = |bytes: usize| bytes as f64 / 1024.0;
    let mut text = format!(
        "| {name} | {widths} | **{:.1}** | {:.1} | **{:.1}** | **{}** | {:.4} | {seconds:.1} |",
        kib(sizes.flash()),
        kib(sizes.constants),
        kib(sizes.ram()),
        shown(report, "integer")?,
        number(report, "simulated")?,
    );
    for peer in peers {
        write!(text, " {} |", peer.cell(task, widths))?;
    }
    text.push('\n');
    Ok(text)
}

fn number(report: &Value, key: &str) -> Result<f64> {
    report[key].as_f64().with_context(|| format!("the report has no {key}"))
}

/// A metric with its confidence interval.
fn shown(report: &Value, key: &str) -> Result<String> {
    let value = number(report, key)?;
    let bound = |at: usize| report[format!("{key}_ci")][at].as_f64();
    Ok(match bound(0).zip(bound(1)) {
        Some((low, high)) => format!("{value:.4} [{low:.3}, {high:.3}]"),
        None => format!("{value:.4}"),
    })
}

/// One quantization of a task.
struct Quantized {
    report: Value,
    /// What its program takes on the microcontroller.
    sizes: Sizes,
    /// Processor time of the command.
    seconds: f64,
}

/// Quantizes a task.
fn quantize(
    program: &OsStr,
    toolchain: &mut Toolchain,
    folder: &Path,
    preset: &str,
    flags: &[&str],
) -> Result<Quantized> {
    let out = target_folder().join("results").join(preset);
    let before = children_time()?;
    let output = Command::new(program)
        .args(["quantize", "--json", "--preset", preset, "--task"])
        .arg(folder)
        .args(flags)
        .arg("--out")
        .arg(&out)
        .output()
        .context("cannot start burn-ptq")?;
    let seconds = children_time()? - before;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "quantizing {} failed: {errors}", folder.display());
    let report = serde_json::from_slice(&output.stdout).context("the report is not JSON")?;
    let target = target(TARGET).context("there is no such target")?;
    let program = file::read(&out.join("model.bptq"))?;
    let program = program.place_again(target.kernels, Memory::Reduced)?;
    let sizes = toolchain.build(&[&program])?.sizes()?;
    fs::remove_dir_all(&out).with_context(|| format!("cannot remove {}", out.display()))?;
    Ok(Quantized { report, sizes, seconds })
}

/// Processor time of all processes that this one started and waited for, in seconds: fields 16 and 17 of
/// `/proc/self/stat` (proc_pid_stat(5)), in Linux's 100 ticks a second.
///
/// Processor time, because it says the same on a machine that does other work too.
fn children_time() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat").context("cannot read /proc/self/stat")?;
    // The second field is the program's name, in parentheses, and may hold spaces.
    let (_, fields) = stat.rsplit_once(") ").context("/proc/self/stat has an unknown form")?;
    let ticks = fields.split(' ').skip(13).take(2).map(str::parse::<u64>);
    let ticks = ticks.sum::<Result<u64, _>>().context("/proc/self/stat has an unknown form")?;
    Ok(ticks as f64 / 100.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn time_of_children_grows() {
        let before = children_time().expect("a time");
        let status = Command::new("sh")
            .args(["-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"])
            .status();
        assert!(status.expect("sh").success());
        assert!(children_time().expect("a time") > before);
    }

    #[test]
    fn rows_have_as_many_cells_as_their_heading_and_begin_with_what_is_exported() {
        let report = json!({
            "samples": 10, "macs": 2_000_000, "label": "W4A8", "float": 0.9, "integer": 0.8,
            "simulated": 0.81, "integer_ci": [0.75, 0.85],
        });
        let peers = peers::read().expect("they are there");
        let sizes = Sizes { constants: 1024, calls: 512, arena: 2048, ..Sizes::default() };
        let heading = heading("kws", "top-1", &report, &peers).expect("a heading");
        let quantized = Quantized { report, sizes, seconds: 1.5 };
        let row = row("w4a8", "kws", &quantized, &peers).expect("a row");
        let columns = heading.lines().last().expect("the rule").matches('|').count();
        assert_eq!(row.matches('|').count(), columns);
        let expected = "| w4a8 | W4A8 | **1.5** | 1.0 | **2.0** | **0.8000 [0.750, 0.850]** | 0.8100 \
                        | 1.5 | 0.917 |";
        assert!(row.starts_with(expected), "{row}");
        assert!(heading.contains("float 0.9000;"), "{heading}");
    }
}
