//! `cargo xtask compare`: whether two builds of the command write the same programs and exports.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};

/// Compare the programs and exports of two builds of burn-ptq byte by byte.
///
/// Both quantize the demo's task, and those in the folder BURN_PTQ_ASSETS, by every preset. License
/// lines and files may differ.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The earlier build of burn-ptq.
    old: PathBuf,
    /// The later build.
    new: PathBuf,
    /// Presets, separated by commas; all that the earlier build lists if left out.
    #[arg(long, value_delimiter = ',')]
    presets: Vec<String>,
    /// Tasks by the names of their folders, separated by commas; all if left out.
    #[arg(long, value_delimiter = ',')]
    tasks: Vec<String>,
}

/// The exporters whose output is compared.
const EXPORTERS: [&str; 2] = ["c", "rust"];

/// Files of an export that say who owns it, not what it computes. The manifest has the hashes of the
/// others.
const LICENSE_FILES: &[&str] = &["LICENSE-MIT", "LICENSE-APACHE", "NOTICE", ".burn-ptq-export"];

/// Lines with one of these words are about licenses.
const LICENSE_WORDS: &[&str] = &["SPDX", "Copyright", "license", "License", "LICENSE", "NOTICE"];

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let builds = [&arguments.old, &arguments.new];
    let tasks = tasks(arguments, &folder.path().join("demo"))?;
    let presets = if arguments.presets.is_empty() {
        presets(&arguments.old)?
    } else {
        arguments.presets.clone()
    };
    let mut differing = 0;
    let mut files = 0;
    for task in &tasks {
        let name = task.file_name().unwrap_or_default().to_string_lossy();
        for preset in &presets {
            let mut results = Vec::new();
            for (build, side) in builds.into_iter().zip(["old", "new"]) {
                let out = folder.path().join(side);
                quantize(build, task, preset, &out)?;
                results.push(read_all(&out)?);
                fs::remove_dir_all(&out).with_context(|| format!("cannot delete {out:?}"))?;
            }
            let found = differences(&results[0], &results[1]);
            files += results[0].len();
            let verdict = match found.as_slice() {
                [] => format!("same, {} files", results[0].len()),
                names => format!("DIFFERS: {}", names.join(", ")),
            };
            println!("{name} {preset}: {verdict}");
            differing += found.len();
        }
    }
    println!(
        "{} tasks, {} presets, {files} files, {differing} differing",
        tasks.len(),
        presets.len()
    );
    Ok(if differing == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The folders of the tasks: the demo's, written to `demo`, and those of BURN_PTQ_ASSETS.
fn tasks(arguments: &Arguments, demo: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new(&arguments.old)
        .args(["demo", "--out"])
        .arg(demo)
        .output()
        .with_context(|| format!("cannot start {}", arguments.old.display()))?;
    ensure!(
        output.status.success(),
        "the demo failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut roots = vec![demo.to_path_buf()];
    match std::env::var_os("BURN_PTQ_ASSETS") {
        Some(assets) => roots.push(assets.into()),
        None => println!("SKIPPED tasks beside the demo's: BURN_PTQ_ASSETS names no folder"),
    }
    let mut found = Vec::new();
    for root in roots {
        let entries = fs::read_dir(&root).with_context(|| format!("cannot read {root:?}"))?;
        found.extend(entries.flatten().map(|entry| entry.path()));
    }
    found.retain(|path| path.join("task.toml").exists());
    found.sort();
    let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if let Some(unknown) =
        arguments.tasks.iter().find(|task| !found.iter().any(|p| name(p) == **task))
    {
        bail!("no task {unknown:?} in the demo or in BURN_PTQ_ASSETS");
    }
    found.retain(|path| arguments.tasks.is_empty() || arguments.tasks.contains(&name(path)));
    Ok(found)
}

/// The presets that a build lists.
fn presets(build: &Path) -> Result<Vec<String>> {
    let output = Command::new(build)
        .args(["recipe", "list"])
        .output()
        .with_context(|| format!("cannot start {}", build.display()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let listed = text.lines().skip_while(|line| !line.starts_with("presets")).skip(1);
    let names = listed.filter_map(|line| line.split_whitespace().next()).map(str::to_owned);
    let names: Vec<String> = names.collect();
    ensure!(!names.is_empty(), "{} lists no presets", build.display());
    Ok(names)
}

fn quantize(build: &Path, task: &Path, preset: &str, out: &Path) -> Result<()> {
    let mut command = Command::new(build);
    command.arg("quantize").arg("--task").arg(task).args(["--preset", preset, "--out"]).arg(out);
    for exporter in EXPORTERS {
        command.args(["--export", exporter]);
    }
    let output = command.output().with_context(|| format!("cannot start {}", build.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} {task:?} by {preset}: {said}", build.display());
    Ok(())
}

/// The files that are compared, by their paths in `out`: the program and the exports.
fn read_all(out: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut folders = EXPORTERS.map(|name| out.join(name)).to_vec();
    files.insert("model.bptq".to_owned(), fs::read(out.join("model.bptq"))?);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {folder:?}"))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if !LICENSE_FILES.contains(&&*name) {
                let shown = path.strip_prefix(out)?.display().to_string();
                files.insert(shown, fs::read(&path)?);
            }
        }
    }
    Ok(files)
}

/// The names of files that only one side has, or that differ in more than lines on licenses.
fn differences(old: &BTreeMap<String, Vec<u8>>, new: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let same = |name: &str| match (old.get(name), new.get(name)) {
        (Some(old), Some(new)) if name.ends_with(".bptq") => old == new,
        (Some(old), Some(new)) => old == new || without_licenses(old) == without_licenses(new),
        _ => false,
    };
    names.into_iter().filter(|name| !same(name)).cloned().collect()
}

/// The lines that are not about licenses, nor the empty ones that set those apart.
fn without_licenses(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let about = |line: &str| LICENSE_WORDS.iter().any(|word| line.contains(word));
    let is_empty = |line: &str| line.trim_matches(['#', '/', '*', ' ']).is_empty();
    text.lines().filter(|line| !about(line) && !is_empty(line)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(of: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
        of.iter().map(|(name, text)| ((*name).into(), text.as_bytes().to_vec())).collect()
    }

    #[test]
    fn lines_on_licenses_are_no_difference_and_all_others_are() {
        let old = files(&[("c/a.c", "int a;\n"), ("model.bptq", "SPDX 1")]);
        let new = files(&[
            ("c/a.c", "// SPDX-License-Identifier: MIT\n//\nint a;\n"),
            ("model.bptq", "SPDX 1"),
        ]);
        assert!(differences(&old, &new).is_empty());
        let other = files(&[("c/a.c", "int b;\n"), ("model.bptq", "SPDX 2")]);
        assert_eq!(differences(&old, &other), ["c/a.c", "model.bptq"]);
    }

    #[test]
    fn a_file_of_one_side_alone_is_a_difference() {
        let (old, new) = (files(&[("c/a.c", "")]), files(&[("c/b.c", "")]));
        assert_eq!(differences(&old, &new), ["c/a.c", "c/b.c"]);
    }
}
