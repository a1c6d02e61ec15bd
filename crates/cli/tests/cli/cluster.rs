//! The templates of `examples/cluster`: shards under common schedulers.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::ablate::{finished, ids, smoke, sorted};
use crate::support::burn_ptq;

fn template(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/cluster").join(name)
}

/// A script under `sh` that finds this command.
fn script(name: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg(template(name)).env("BURN_PTQ", env!("CARGO_BIN_EXE_burn-ptq"));
    command
}

fn whole(folder: &Path) -> Vec<String> {
    let out = folder.join("whole");
    let mut command = burn_ptq();
    finished(command.arg("ablate").arg(smoke()).arg("--out").arg(&out).output().unwrap());
    sorted(&out.join("results.jsonl"))
}

fn merge(out: &Path, count: usize) -> Output {
    let files = (1..=count).map(|i| out.join(format!("results-{i}-of-{count}.jsonl")));
    let mut command = burn_ptq();
    command.args(["ablate", "merge"]).args(files).arg("--out").arg(out).output().unwrap()
}

#[test]
fn the_template_of_gnu_parallel_gives_the_whole_study() {
    let version = Command::new("parallel").arg("--version").output();
    if !version.is_ok_and(|v| String::from_utf8_lossy(&v.stdout).starts_with("GNU parallel")) {
        eprintln!(
            "SKIPPED the_template_of_gnu_parallel_gives_the_whole_study: no GNU parallel; install it \
             (Debian: apt-get install parallel)"
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("a folder");
    let mut command = script("gnu-parallel.sh");
    finished(command.arg(smoke()).arg(&out).args(["3", "2"]).output().unwrap());
    assert!(out.join("results-3-of-3.jsonl").exists() && out.join("report.html").exists());
    assert_eq!(sorted(&out.join("results.jsonl")), whole(folder.path()));
}

#[test]
fn the_template_of_slurm_runs_the_shard_that_slurm_names() {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(template("slurm-array.sh")).unwrap();
    assert!(text.contains("--array=1-16\n") && text.contains("\nSHARDS=16\n"), "{text}");
    let two = folder.path().join("two.sh");
    std::fs::write(&two, text.replace("\nSHARDS=16\n", "\nSHARDS=2\n")).unwrap();
    let out = folder.path().join("a folder");
    for task in ["1", "2"] {
        let mut command = Command::new("sh");
        command.arg(&two).env("BURN_PTQ", env!("CARGO_BIN_EXE_burn-ptq"));
        // As when each is submitted again by itself.
        command.env("SLURM_ARRAY_TASK_ID", task).env("SLURM_ARRAY_TASK_COUNT", "1");
        finished(command.arg(smoke()).arg(&out).output().unwrap());
    }
    finished(merge(&out, 2));
    assert_eq!(sorted(&out.join("results.jsonl")), whole(folder.path()));
}

#[test]
fn the_command_of_the_kubernetes_job_runs_its_shard() {
    let text = std::fs::read_to_string(template("kubernetes-job.yaml")).unwrap();
    let (_, rest) = text.split_once(">-\n").unwrap();
    let lines = rest.lines().map_while(|line| line.strip_prefix("              "));
    let folder = tempfile::tempdir().unwrap();
    let study = smoke();
    let command = lines.collect::<Vec<_>>().join(" ");
    assert!(text.contains("completions: 16") && command.contains("/16\""), "{command}");
    let command = command
        .replace("burn-ptq ", &format!("{} ", env!("CARGO_BIN_EXE_burn-ptq")))
        .replace("/study/study.toml --assets /study", &study.display().to_string())
        .replace("/study/out", &folder.path().display().to_string());
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command).env("JOB_COMPLETION_INDEX", "15");
    finished(shell.output().unwrap());
    let found = ids(&folder.path().join("results-16-of-16.jsonl"));
    assert!((1..=2).contains(&found.len()), "{found:?}");
}
