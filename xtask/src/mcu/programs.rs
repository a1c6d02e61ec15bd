//! The programs of the networks: read from a folder, or made from the tasks by `burn-ptq`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use burn_ptq_deploy::file;
use burn_ptq_deploy::place::Placed;
use burn_ptq_deploy::run::{Path as Kernels, run_sequence};

use crate::results;

/// The tasks and the presets that are measured of each.
pub(super) const TASKS: [&str; 4] = ["ic", "kws", "vww", "ad"];
const PRESETS: [&str; 5] = ["w8a8", "w4a8", "w3a8", "w2a8", "w4a4"];

/// What the names of programs end in that keep the channels that are constant.
pub(super) const WHOLE: &str = "-all";

/// A program with samples and the outputs that the interpreter gives.
pub(crate) struct Program {
    pub name: String,
    pub model: Placed,
    pub inputs: Vec<u8>,
    pub expected: Vec<u8>,
}

/// Every `.bptq` of `folder` that has inputs, with at most `samples` of them; the tasks first, each
/// from many bits to few.
pub(crate) fn read(folder: &Path, samples: usize) -> Result<Vec<Program>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "bptq"))
        .filter(|path| path.with_extension("inputs").is_file())
        .collect();
    paths.sort_by_key(|path| {
        let name = stem(path);
        let place = names().iter().position(|known| *known == name);
        (place.unwrap_or(usize::MAX), name)
    });
    ensure!(!paths.is_empty(), "{} holds no NAME.bptq with NAME.inputs", folder.display());
    paths.iter().map(|path| program(path, samples)).collect()
}

/// Whether they are the ones that the documents are about.
pub(super) fn are_the_tasks(programs: &[Program]) -> bool {
    names().into_iter().eq(programs.iter().map(|program| program.name.clone()))
}

/// `ic-w8a8` and all others.
fn names() -> Vec<String> {
    let of_task = |task: &&str| {
        let whole = format!("{task}-{}{WHOLE}", PRESETS[0]);
        PRESETS
            .map(|preset| format!("{task}-{preset}"))
            .into_iter()
            .chain([whole])
            .collect::<Vec<_>>()
    };
    TASKS.iter().flat_map(of_task).collect()
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn program(path: &Path, samples: usize) -> Result<Program> {
    let model = file::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let inputs = path.with_extension("inputs");
    let mut inputs =
        fs::read(&inputs).with_context(|| format!("cannot read {}", inputs.display()))?;
    inputs.truncate(samples * model.input_bytes());
    let expected = run_sequence(&model, Kernels::Fast, &inputs)
        .with_context(|| format!("the inputs of {} do not fit", path.display()))?;
    Ok(Program { name: stem(path), model, inputs, expected })
}

/// Quantizes every task by every preset and writes `samples` evaluation samples of each beside it.
pub(crate) fn make(samples: usize) -> Result<PathBuf> {
    results::build()?;
    let folder = results::target_folder().join("mcu-programs");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for task in TASKS {
        let data = results::assets()?.join(task);
        ensure!(data.is_dir(), "{} is not there; see BURN_PTQ_ASSETS", data.display());
        for preset in PRESETS {
            make_one(&folder, task, &data, preset, false, samples)?;
        }
        make_one(&folder, task, &data, PRESETS[0], true, samples)?;
    }
    Ok(folder)
}

fn make_one(
    folder: &Path,
    task: &str,
    data: &Path,
    preset: &str,
    whole: bool,
    samples: usize,
) -> Result<()> {
    let (suffix, flags): (_, &[&str]) =
        if whole { (WHOLE, &["--keep-all-channels"]) } else { ("", &[]) };
    eprintln!("{task} {preset}{suffix} ...");
    let out = folder.join("out");
    let mut quantize = results::command_line();
    quantize.args(["quantize", "--preset", preset, "--task"]).arg(data).arg("--out").arg(&out);
    quantize.args(flags);
    succeed(&mut quantize)?;
    let model = out.join("model.bptq");
    let mut evaluate = results::command_line();
    evaluate.arg("evaluate").arg(&model).arg("--task").arg(data).arg("--dump").arg(&out);
    succeed(evaluate.args(["--dump-samples", &samples.to_string()]))?;
    let keep = |from: &Path, extension: &str| {
        let to = folder.join(format!("{task}-{preset}{suffix}.{extension}"));
        fs::rename(from, &to).with_context(|| format!("cannot write {}", to.display()))
    };
    keep(&model, "bptq")?;
    keep(&out.join("inputs.bin"), "inputs")?;
    fs::remove_dir_all(&out).with_context(|| format!("cannot remove {}", out.display()))
}

fn succeed(command: &mut Command) -> Result<()> {
    let output = command.output().context("cannot start burn-ptq")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed: {errors}");
    Ok(())
}
