//! The exported firmware: compiles without warnings and passes its self-test on emulated boards.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use burn_ptq_deploy::board::{Board, board};
use burn_ptq_deploy::export::exporter;
use burn_ptq_deploy::target::{TARGETS, Target};
use network::{proven, several};

mod network;

/// What a firmware prints if all its samples give the expected bytes.
const PASSED: &str = "self-test: 5 samples, 0 differing bytes\n";

fn available(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The targets whose compiler and emulator are installed.
fn targets() -> Vec<(&'static Target, &'static Board)> {
    let boards = TARGETS.iter().filter_map(|target| Some((target, board(target)?)));
    let (present, absent): (Vec<_>, Vec<_>) =
        boards.partition(|(target, board)| available(target.compiler) && available(board.emulator));
    for (target, _) in absent {
        eprintln!("SKIPPED firmware for {}: no cross compiler or no QEMU", target.name);
    }
    present
}

fn make(folder: &Path, flags: &str, goal: &str) -> Output {
    let mut make = Command::new("make");
    make.current_dir(folder.join("firmware")).args([&format!("CFLAGS={flags}"), goal]);
    make.output().expect("make runs")
}

#[test]
fn firmware_of_every_target_passes_its_self_test() {
    let (model, self_test) = proven("tiny net");
    for (target, _) in targets() {
        let folder = tempfile::tempdir().expect("a folder");
        let export = exporter("c").expect("known");
        export.export(&model, &self_test, target, folder.path()).expect("an export");
        for hosted in ["Makefile", "main.c"] {
            assert!(
                !folder.path().join(hosted).exists(),
                "{hosted} does not run on {}",
                target.name
            );
        }
        // At -O2, where its instructions are counted.
        let output = make(folder.path(), "-Os -Werror", "run");
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}:\n{text}{errors}", target.name);
        assert!(text.ends_with(PASSED), "{}: {text}", target.name);
        assert!(errors.is_empty(), "{}: {errors}", target.name);
    }
}

#[test]
fn firmware_of_several_inputs_and_outputs_passes_its_self_test() {
    let (model, self_test) = several("net");
    let chosen = ["cortex-m4", "cortex-m55", "rv32"];
    for (target, _) in targets().into_iter().filter(|(t, _)| chosen.contains(&t.name)) {
        let folder = tempfile::tempdir().expect("a folder");
        let export = exporter("c").expect("known");
        export.export(&model, &self_test, target, folder.path()).expect("an export");
        let output = make(folder.path(), "-O2 -Werror", "count");
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}:\n{text}{errors}", target.name);
        assert!(text.contains(PASSED), "{text}");
    }
}

#[test]
fn firmware_fails_if_one_expected_byte_is_wrong() {
    let (model, mut self_test) = proven("net");
    self_test.samples[2].1[0] ^= 1;
    for (target, _) in targets().into_iter().filter(|(target, _)| target.name == "cortex-m4") {
        let folder = tempfile::tempdir().expect("a folder");
        let export = exporter("c").expect("known");
        export.export(&model, &self_test, target, folder.path()).expect("an export");
        let output = make(folder.path(), "-O2 -Werror", "run");
        assert!(!output.status.success());
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("self-test: 5 samples, 1 differing bytes\n"), "{text}");
    }
}

#[test]
fn counts_of_instructions_are_the_same_in_every_run() {
    let (model, self_test) = proven("semihosting");
    for (target, _) in targets() {
        let folder = tempfile::tempdir().expect("a folder");
        let export = exporter("c").expect("known");
        export.export(&model, &self_test, target, folder.path()).expect("an export");
        let macs: usize = model.nodes.iter().map(|node| node.op.macs()).sum();
        let counts = || {
            let output = make(folder.path(), "-O2 -Werror", "count");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}: {text}{errors}", target.name);
            assert!(errors.is_empty(), "{}: {errors}", target.name);
            assert!(text.contains(PASSED), "{}: {text}", target.name);
            let rows = text.lines().skip_while(|line| !line.starts_with("instructions")).skip(1);
            let rows: Vec<Vec<&str>> = rows.map(|line| line.split_whitespace().collect()).collect();
            let (sum, layers) = rows.split_last().expect("a sum");
            assert_eq!(sum[1..], ["100.0", &macs.to_string(), "all", "layers"], "{text}");
            for (row, node) in layers.iter().zip(&model.nodes) {
                assert_eq!(row[2], node.op.macs().to_string(), "{text}");
                assert_eq!(*row.last().expect("a name"), format!("({})", node.op.name()), "{text}");
            }
            assert_eq!(layers[0][3], "conv", "{text}");
            let counts = layers.iter().map(|row| row[0].parse().expect("a number"));
            let counts: Vec<u32> = counts.collect();
            assert_eq!(counts.iter().sum::<u32>().to_string(), sum[0], "{text}");
            counts
        };
        let first = counts();
        assert_eq!(first.len(), model.nodes.len(), "{}", target.name);
        // The first node has 7776 multiply-accumulates.
        assert!(first[0] > 2_000 && first[0] < 1_000_000, "{}: {first:?}", target.name);
        // The same image once more.
        assert_eq!(first, counts(), "{}", target.name);
    }
}
