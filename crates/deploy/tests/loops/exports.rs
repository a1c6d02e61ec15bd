//! Exported C and Rust, on this machine and on boards.

use std::ffi::OsString;
use std::fs;
use std::path::Path as FilePath;
use std::process::{Command, Output, Stdio};

use burn_ptq_deploy::board::board;
use burn_ptq_deploy::export::{SelfTest, exporter, target};
use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::program::Program;
use burn_ptq_deploy::run::{Path, run_sequence};
use burn_ptq_deploy::target::{HOST, Target};

use crate::looped::every_kind;
use crate::programs::running_sum;
use crate::stateful::{placed, samples};

const STRICT: &str =
    "-std=c99 -O2 -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Werror";
const SANITIZED: &str =
    "-std=c99 -O1 -g -Wall -Werror -fsanitize=address,undefined -fno-sanitize-recover=all";

fn runs(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    let found = command.status().is_ok_and(|status| status.success());
    if !found {
        eprintln!("SKIPPED loops with {program}: not installed");
    }
    found
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What `program` says in `folder`; it succeeds.
fn output(folder: &FilePath, program: impl Into<OsString>, arguments: &[&str]) -> Output {
    let mut command = Command::new(program.into());
    command.current_dir(folder).args(arguments).env("RUSTFLAGS", "-Dwarnings");
    let output = command.env("CARGO_TARGET_DIR", folder.join("target")).output();
    let output = output.expect("it runs");
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{stdout}{stderr}");
    output
}

/// The program and its export, with a self-test of five samples and the samples of a longer sequence.
fn exported(
    program: Program,
    language: &str,
    target: &Target,
    folder: &FilePath,
) -> (Placed, Vec<u8>) {
    let model = placed(program);
    let model = model.place_again(target.kernels, Memory::Reduced).expect("a valid program");
    let samples = samples(&model, 20);
    let tested: Vec<_> = samples.chunks(model.input_bytes()).take(5).map(<[u8]>::to_vec).collect();
    let self_test = SelfTest::new(&model, &tested).expect("samples");
    let exporter = exporter(language).expect("known");
    exporter.export(&model, &self_test, target, folder).expect("an export");
    fs::write(folder.join("samples.bin"), &samples).expect("written");
    (model, samples)
}

#[test]
fn exported_c_gives_the_interpreters_bytes_by_every_compiler() {
    for program in [every_kind(), running_sum(7, true)] {
        let folder = tempfile::tempdir().expect("a folder");
        let (model, samples) = exported(program, "c", &HOST, folder.path());
        let expected = run_sequence(&model, Path::Reference, &samples).expect("whole samples");
        let name = model.name.clone();
        let runtime = fs::read_dir(folder.path().join("runtime")).expect("there").flatten();
        let sources: Vec<String> = runtime
            .map(|entry| format!("runtime/{}", entry.file_name().to_string_lossy()))
            .filter(|path| path.ends_with(".c"))
            .chain([format!("{name}.c"), format!("{name}_io.c"), "main.c".into()])
            .collect();
        for compiler in ["gcc", "clang"].into_iter().filter(|compiler| runs(compiler)) {
            for build in [STRICT, SANITIZED] {
                let mut arguments: Vec<&str> = build.split_whitespace().collect();
                arguments.extend(["-Iruntime", "-o", "stream", "-lm"]);
                arguments.extend(sources.iter().map(String::as_str));
                output(folder.path(), compiler, &arguments);
                let stream = folder.path().join("stream");
                let found = output(folder.path(), stream, &["samples.bin"]);
                assert_eq!(found.stdout, expected, "{compiler} {build}");
            }
        }
    }
}

#[test]
fn the_self_test_hashes_every_step_and_names_the_node_that_goes_wrong() {
    if !(runs("make") && runs("cc")) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    exported(every_kind(), "c", &HOST, folder.path());
    let make = |_: ()| {
        let mut make = Command::new("make");
        make.current_dir(folder.path()).args(["CFLAGS=-O2 -Werror", "test"]);
        make.output().expect("make runs")
    };
    let found = text(&make(()).stdout);
    assert!(found.contains("self-test: 5 samples, 0 differing bytes\n"), "{found}");
    // A loop that ends too early, and a part that comes from the wrong place.
    let network = folder.path().join("net.c");
    let source = fs::read_to_string(&network).expect("readable");
    for (right, wrong, named) in [
        ("step < 4;", "step < 3;", "operation 5, x_t (Step)\n"),
        ("(3 - step)", "step", "operation 6, w_t (Step)\n"),
    ] {
        assert!(source.contains(right), "{source}");
        fs::write(&network, source.replacen(right, wrong, 1)).expect("written");
        let tested = make(());
        let found = text(&tested.stdout);
        assert!(!tested.status.success() && found.contains(named), "{found}");
    }
}

#[test]
fn exported_rust_gives_the_interpreters_bytes_with_checked_arithmetic() {
    for program in [every_kind(), running_sum(7, true)] {
        let folder = tempfile::tempdir().expect("a folder");
        let (model, samples) = exported(program, "rust", &HOST, folder.path());
        let expected = run_sequence(&model, Path::Reference, &samples).expect("whole samples");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        output(folder.path(), &cargo, &["test", "--quiet", "--offline"]);
        let stream = ["run", "--quiet", "--offline", "--example", "stream", "samples.bin"];
        assert_eq!(output(folder.path(), &cargo, &stream).stdout, expected);
    }
}

#[test]
fn firmware_passes_its_self_test_and_counts_every_step() {
    for name in ["cortex-m0", "cortex-m4", "cortex-m55", "rv32"] {
        let target = target(name).expect("known");
        let emulator = board(target).expect("a board").emulator;
        if !(runs("make") && runs(target.compiler) && runs(emulator)) {
            continue;
        }
        let instructions = |steps: usize| -> u64 {
            let folder = tempfile::tempdir().expect("a folder");
            exported(running_sum(steps, true), "c", target, folder.path());
            let firmware = folder.path().join("firmware");
            let found = output(&firmware, "make", &["CFLAGS=-O2 -Werror", "count"]);
            let found = text(&found.stdout);
            assert!(found.contains("self-test: 5 samples, 0 differing bytes\n"), "{found}");
            let row = found.lines().find(|line| line.ends_with("next (Add)")).expect("its row");
            row.split_whitespace().next().and_then(|count| count.parse().ok()).expect("a count")
        };
        let [few, many] = [instructions(2), instructions(20)];
        assert!((9 * few..=11 * few).contains(&many), "{name}: {few}, then {many}");
        let folder = tempfile::tempdir().expect("a folder");
        exported(every_kind(), "c", target, folder.path());
        let firmware = folder.path().join("firmware");
        let found = text(&output(&firmware, "make", &["CFLAGS=-O2 -Werror", "count"]).stdout);
        assert!(found.contains("self-test: 5 samples, 0 differing bytes\n"), "{name}: {found}");
    }
}
