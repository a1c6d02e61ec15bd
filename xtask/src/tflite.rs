//! `cargo xtask tflite`: exported `.tflite` files in the interpreters and compilers that take them.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use burn_ptq_deploy::export::{Exporter, SelfTest, TfLite};
use burn_ptq_deploy::target::HOST;

use crate::mcu::programs::{self, Program};
use crate::requirements;

/// Run exported .tflite files on all evaluation samples and count the outputs that differ.
///
/// TensorFlow Lite Micro must give the interpreter's bytes. LiteRT rounds otherwise: its differences are
/// counted, where BURN_PTQ_PYTHON or .venv has it. Vela compiles the files where it is installed:
/// BURN_PTQ_VELA, or `vela` on the path.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Networks as NAME.bptq, with input samples in NAME.inputs, of each the bytes of all inputs one
    /// after the other; by default they are made of the four tasks in BURN_PTQ_ASSETS.
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Samples of each network to run.
    #[arg(long, value_name = "N", default_value = "100000")]
    samples: usize,
    /// The accelerator that Vela compiles for.
    #[arg(long, value_name = "NAME", default_value = "ethos-u55-128")]
    accelerator: String,
    /// Leave the exports here.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// What became of the networks.
#[derive(Default)]
struct Tally {
    exact: usize,
    failed: usize,
    refused: usize,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let python = requirements::python().context(
        "no Python with tflite-micro: run scripts/install-oracles.sh, or set BURN_PTQ_PYTHON",
    )?;
    let folder = match &arguments.programs {
        Some(folder) => folder.clone(),
        None if std::env::var_os("BURN_PTQ_ASSETS").is_none() => {
            println!("SKIPPED networks in TensorFlow Lite: BURN_PTQ_ASSETS names no folder");
            return Ok(ExitCode::SUCCESS);
        }
        None => programs::make(arguments.samples)?,
    };
    let temporary = tempfile::tempdir().context("no temporary folder")?;
    let out = arguments.out.as_deref().unwrap_or(temporary.path());
    let vela = vela();
    if vela.is_none() {
        println!("SKIPPED Vela: neither BURN_PTQ_VELA nor `vela` on the path (pip: ethos-u-vela)");
    }
    let mut tally = Tally::default();
    for program in programs::read(&folder, arguments.samples)? {
        let dir = out.join(&program.name);
        let weights = match export(&program, &dir) {
            Ok(weights) => weights,
            Err(refusal) => {
                println!("{}: REFUSED, {refusal:#}", program.name);
                tally.refused += 1;
                continue;
            }
        };
        println!("{}: {weights}", program.name);
        match check(&python, &dir)? {
            true => tally.exact += 1,
            false => tally.failed += 1,
        }
        if let Some(vela) = &vela {
            println!("  {}", compile(vela, &dir, &arguments.accelerator)?);
        }
    }
    let Tally { exact, failed, refused } = tally;
    println!("{exact} networks exact on TensorFlow Lite Micro, {failed} not, {refused} refused");
    Ok(if failed == 0 && exact > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Writes the export, with all samples for its self-test; says what the file takes.
fn export(program: &Program, dir: &Path) -> Result<String> {
    let (input, output) = (program.model.input_bytes(), program.model.output_bytes());
    let inputs = program.inputs.chunks(input).map(<[u8]>::to_vec);
    let outputs = program.expected.chunks(output).map(<[u8]>::to_vec);
    let self_test = SelfTest { samples: inputs.zip(outputs).collect() };
    let exported = TfLite.export(&program.model, &self_test, &HOST, dir)?;
    let stored: usize = program.model.nodes.iter().map(|node| node.op.constant_bytes()).sum();
    Ok(format!(
        "{} bytes of file, {stored} bytes of weights and tables in the program, arena at least {}",
        exported.figures.flash_constant_bytes, exported.figures.ram_bytes
    ))
}

/// Runs the check of an export; whether TensorFlow Lite Micro gives the same bytes.
fn check(python: &Path, dir: &Path) -> Result<bool> {
    let output = Command::new(python).arg("check.py").current_dir(dir).output();
    let output = output.with_context(|| format!("cannot start {}", python.display()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let counts: Vec<&str> = said.lines().filter(|line| line.contains("differ")).collect();
    for line in &counts {
        println!("  {line}");
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(counts.iter().any(|line| line.contains(", tflm: ")), "check.py failed: {complaint}");
    Ok(output.status.success())
}

/// Vela, if it runs.
fn vela() -> Option<PathBuf> {
    let chosen = std::env::var_os("BURN_PTQ_VELA").map(PathBuf::from);
    let path = chosen.unwrap_or_else(|| "vela".into());
    let runs = Command::new(&path).arg("--version").output().is_ok_and(|o| o.status.success());
    runs.then_some(path)
}

/// What Vela says of an exported file.
fn compile(vela: &Path, dir: &Path, accelerator: &str) -> Result<String> {
    let entries = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let file = entries.flatten().map(|entry| entry.path());
    let file = file.filter(|path| path.extension().is_some_and(|end| end == "tflite")).max();
    // The one with a byte for each weight comes last.
    let file = file.context("the export has no .tflite file")?;
    let mut command = Command::new(vela);
    command.arg(&file).args(["--accelerator-config", accelerator, "--output-dir"]);
    let output = command.arg(dir.join("vela")).output().context("Vela does not start")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let mut text = format!("Vela for {accelerator}: ");
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        let last = complaint.lines().chain(said.lines()).rfind(|line| line.contains("rror"));
        let _ = write!(text, "REFUSED, {}", last.unwrap_or("without a word"));
        return Ok(text);
    }
    let counts = said.lines().filter(|line| line.contains("operators = "));
    let counts: Vec<&str> = counts.map(str::trim).collect();
    let counts = if counts.is_empty() { "accepted".into() } else { counts.join(", ") };
    text.push_str(&counts);
    Ok(text)
}
