//! Streams that are closed, full or endless, and names that a terminal would act on.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::{burn_ptq, demo, files, run, stderr, stdout};

fn demo_file(name: &str) -> String {
    demo().join(name).display().to_string()
}

/// Commands that print, without an output folder of their own.
fn printing(folder: &Path) -> Vec<Vec<String>> {
    let path = |name: &str| folder.join(name).display().to_string();
    let task = demo().display().to_string();
    let bptq = path("model/model.bptq");
    let study = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../studies/smoke.toml");
    let commands = [
        vec!["quantize", "--task", &task, "--samples", "32", "--out", &path("model")],
        vec!["quantize", "--task", &task, "--samples", "32", "--json", "--out", &path("json")],
        vec!["inspect", &bptq],
        vec!["inspect", &bptq, "--json"],
        vec!["inspect", &demo_file("model.onnx")],
        vec!["evaluate", &bptq, "--task", &task],
        vec!["evaluate", &bptq, "--task", &task, "--json"],
        vec!["export", &bptq, "--to", "c", "--out", &path("export")],
        vec!["recipe", "list"],
        vec!["recipe", "show", "w4a8"],
        vec!["ablate", &study.display().to_string(), "--dry-run", "--out", &path("study")],
        vec!["--help"],
        vec!["quantize", "--help"],
        vec!["--version"],
    ]
    .map(|command| command.into_iter().map(String::from).collect());
    commands.into()
}

fn start(arguments: &[String], stdout: Stdio, stderr: Stdio) -> Child {
    burn_ptq().args(arguments).stdin(Stdio::null()).stdout(stdout).stderr(stderr).spawn().unwrap()
}

/// Far more than any command here takes.
const WATCHDOG: Duration = Duration::from_secs(600);

/// Ends a command that hangs, so that its test fails instead of hanging too.
fn wait(mut child: Child) -> Output {
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > WATCHDOG {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

#[test]
fn a_full_standard_output_is_an_error_and_a_full_standard_error_is_not() {
    let folder = tempfile::tempdir().unwrap();
    for command in printing(folder.path()) {
        let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = wait(start(&command, full().into(), Stdio::piped()));
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{command:?}: {text}");
        assert!(text.contains("cannot write to standard output: No space left"), "{text}");
        let output = wait(start(&command, Stdio::null(), full().into()));
        assert_eq!(output.status.code(), Some(0), "{command:?}");
        let output = wait(start(&["inspect".into()], full().into(), full().into()));
        assert_eq!(output.status.code(), Some(2));
    }
}

#[test]
fn a_reader_that_has_seen_enough_ends_nothing_but_the_printing() {
    let folder = tempfile::tempdir().unwrap();
    for command in printing(folder.path()) {
        // Both ends of standard output and of standard error are closed before anything is printed.
        let mut child = start(&command, Stdio::piped(), Stdio::piped());
        drop(child.stdout.take());
        let mut standard_error = child.stderr.take().unwrap();
        let mut text = String::new();
        standard_error.read_to_string(&mut text).unwrap();
        assert_eq!(wait(child).status.code(), Some(0), "{command:?}: {text}");
        assert!(!text.contains("panicked") && !text.contains("error"), "{command:?}: {text}");
        let mut child = start(&command, Stdio::null(), Stdio::piped());
        drop(child.stderr.take());
        assert_eq!(wait(child).status.code(), Some(0), "{command:?}");
    }
    let written = files(folder.path());
    for file in ["model/model.bptq", "model/report.json", "export/c/self_test.c"] {
        assert!(written.iter().any(|found| found == file), "{file} is not among {written:?}");
    }
}

#[test]
fn inputs_without_end_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let zero = "/dev/zero";
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::create_dir_all(folder.path().join("task")).unwrap();
    std::os::unix::fs::symlink(zero, folder.path().join("task/task.toml")).unwrap();
    std::os::unix::fs::symlink(zero, folder.path().join("zero.bptq")).unwrap();
    let task = demo().display().to_string();
    let calib = demo_file("calib_x.npy");
    for (arguments, message) in [
        (vec!["inspect", zero], "holds more than"),
        (vec!["inspect", &at("zero.bptq")], "not a .bptq file"),
        (vec!["quantize", zero, "--calib", &calib, "--out", &at("o")], "holds more than"),
        (vec!["quantize", "--task", &at("task"), "--out", &at("o")], "holds more than"),
        (
            vec!["quantize", "--task", &task, "--recipe", zero, "--out", &at("o")],
            "holds more than 1 MiB",
        ),
        (vec!["quantize", "--task", &task, "--calib", zero, "--out", &at("o")], "/dev/zero"),
        (vec!["ablate", zero, "--out", &at("s")], "holds more than 1 MiB"),
        (vec!["ablate", "merge", zero, "--out", &at("s")], "line 1 has more than 16 MiB"),
    ] {
        let output = run(&arguments);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains(message), "{arguments:?}: {text}");
        assert_eq!(text.matches(message).count(), 1, "{arguments:?}: {text}");
    }
}

#[test]
fn pipes_are_read_like_files() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("recipe.toml");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let out = folder.path().join("out");
    let mut command = burn_ptq();
    command.arg("quantize").arg("--task").arg(demo()).args(["--samples", "32", "--recipe"]);
    let child = command.arg(&pipe).arg("--out").arg(&out).stdout(Stdio::null()).spawn().unwrap();
    std::fs::write(&pipe, "weights.bits = 4\n").unwrap();
    assert_eq!(wait(child).status.code(), Some(0));
}

#[test]
fn a_signal_ends_what_waits_for_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("model.onnx");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for signal in ["-TERM", "-INT"] {
        let child =
            start(&["inspect".into(), pipe.display().to_string()], Stdio::null(), Stdio::piped());
        // The command opens the pipe once its handler is installed; then nothing follows.
        let writer = File::options().write(true).open(&pipe).unwrap();
        let killed = Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(killed.unwrap().success());
        let output = wait(child);
        assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
        drop(writer);
    }
}

#[test]
fn studies_of_more_runs_than_can_be_planned_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let study = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../studies/smoke.toml"),
    );
    let path = folder.path().join("huge.toml");
    std::fs::write(&path, study.unwrap().replace("draws = 3", "draws = 1000000000000")).unwrap();
    let out = folder.path().join("out").display().to_string();
    let output = run(&["ablate", &path.display().to_string(), "--dry-run", "--out", &out]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("expected at most 50000"), "{}", stderr(&output));
}

#[test]
fn names_do_not_reach_the_terminal_as_escape_sequences() {
    let folder = tempfile::tempdir().unwrap();
    let model = std::fs::read(demo().join("model.onnx")).unwrap();
    // The name of the input, and of whatever else is called like it, in as many bytes.
    let at: Vec<usize> =
        (0..model.len()).filter(|&i| model[i..].starts_with(b"\x05image")).collect();
    let mut hostile = model.clone();
    at.iter().for_each(|&i| hostile[i..i + 6].copy_from_slice(b"\x05\x1b[2Ja"));
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, hostile).unwrap();
    let path = path.display().to_string();
    let output = run(&["inspect", &path]);
    assert!(output.status.success() && !at.is_empty(), "{}", stderr(&output));
    assert!(!stdout(&output).contains('\x1b'), "{}", stdout(&output).escape_debug());
    assert!(stdout(&output).contains("input '\\u{1b}[2Ja'"), "{}", stdout(&output));
    let output = run(&["inspect", &path, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(json["input"], "\u{1b}[2Ja");
    let output = run(&["inspect", "no\x1b[31m.onnx"]);
    assert!(stderr(&output).contains("no\\u{1b}[31m.onnx"), "{}", stderr(&output));
}
