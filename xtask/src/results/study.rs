//! Runs a study of the repository.

use std::ffi::OsStr;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use burn_ptq_deploy::output::write_atomically;

use super::{assets, target_folder};

/// Runs `studies/NAME.toml`, keeps its results in `studies/results` and returns its report without the
/// title. Runs that are kept there already are not repeated.
pub(super) fn run(program: &OsStr, name: &str, jobs: usize) -> Result<String> {
    let root = crate::root();
    let out = target_folder().join("studies").join(name);
    let results = root.join(format!("studies/results/{name}.jsonl"));
    let own = out.join("results.jsonl");
    if results.exists() && !own.exists() {
        let copied = fs::create_dir_all(&out).and_then(|()| fs::copy(&results, &own));
        copied
            .with_context(|| format!("cannot copy {} to {}", results.display(), own.display()))?;
    }
    let status = Command::new(program)
        .arg("ablate")
        .arg(root.join(format!("studies/{name}.toml")))
        .arg("--assets")
        .arg(assets()?)
        .args(["--jobs", &jobs.to_string(), "--out"])
        .arg(&out)
        .status()
        .context("cannot start burn-ptq")?;
    ensure!(status.success(), "the study '{name}' did not end well");
    let read = |file: &str| {
        let path = out.join(file);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    write_atomically(&results, read("results.jsonl")?.as_bytes())
        .with_context(|| format!("cannot write {}", results.display()))?;
    body(&read("report.md")?)
}

/// A report from its first section on.
fn body(report: &str) -> Result<String> {
    let begin = report.find("\n## ").context("the report has no section")?;
    Ok(report[begin + 1..].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_title_of_a_report_is_left_out() {
        let report = "# Study\n\nWritten by.\n\n## What was run\n\ntext\n";
        assert_eq!(body(report).expect("a section"), "## What was run\n\ntext\n");
        assert!(body("# Study\n").is_err());
    }
}
