//! The Rust export as a user meets it: a crate that builds offline, proves itself, and never clobbers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use burn_ptq_deploy::export::{ExportError, SelfTest, exporter};
use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::preprocess::{Element, Preprocessing};
use burn_ptq_deploy::target::{HOST, Target};
use network::{proven, several};

#[allow(dead_code)]
#[path = "../../crates/deploy/tests/looped/mod.rs"]
mod looped;
#[path = "../../crates/deploy/tests/network/mod.rs"]
mod network;
#[allow(dead_code)]
#[path = "../../crates/deploy/tests/programs/mod.rs"]
mod programs;
#[allow(dead_code)]
#[path = "../../crates/deploy/tests/stateful/mod.rs"]
mod stateful;

fn export(
    model: &Placed,
    self_test: &SelfTest,
    target: &Target,
    dir: &Path,
) -> Result<Vec<PathBuf>, ExportError> {
    exporter("rust")?.export(model, self_test, target, dir).map(|exported| exported.files)
}

/// Runs cargo in an exported folder, without a network; warnings are errors.
fn cargo(dir: &Path, arguments: &[&str], target: &Path) -> Output {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    Command::new(cargo)
        .current_dir(dir)
        .args(arguments)
        .arg("--offline")
        .env("RUSTFLAGS", "-Dwarnings")
        .env_remove("CARGO_TERM_QUIET")
        .env("CARGO_TARGET_DIR", target.join("target"))
        .output()
        .expect("cargo runs")
}

fn cargo_only(dir: &Path, arguments: &[&str]) -> Output {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    Command::new(cargo).current_dir(dir).args(arguments).output().expect("cargo runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn m4() -> &'static Target {
    burn_ptq_deploy::export::target("cortex-m4").expect("known")
}

#[test]
fn export_builds_without_warnings_and_passes_its_self_test() {
    let (model, self_test) = proven("tiny net");
    for target in [&HOST, m4()] {
        let folder = tempfile::tempdir().expect("a folder");
        export(&model, &self_test, target, folder.path()).expect("an export");
        let output = cargo(folder.path(), &["test"], folder.path());
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{}:\n{stdout}{stderr}", target.name);
        assert!(stdout.contains("samples_give_the_expected_outputs ... ok"), "{stdout}");
    }
}

#[test]
fn networks_of_several_inputs_and_outputs_pass_and_stream() {
    let (model, self_test) = several("net");
    let folder = tempfile::tempdir().expect("a folder");
    export(&model, &self_test, &HOST, folder.path()).expect("an export");
    let output = cargo(folder.path(), &["test"], folder.path());
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{stdout}{stderr}");
    assert!(stdout.contains("samples_give_the_expected_outputs ... ok"), "{stdout}");
    let inputs: Vec<u8> = self_test.samples.iter().flat_map(|(input, _)| input.clone()).collect();
    let expected: Vec<u8> = self_test.samples.iter().flat_map(|(_, out)| out.clone()).collect();
    fs::write(folder.path().join("samples.bin"), inputs).expect("samples written");
    let arguments = ["run", "--quiet", "--example", "stream", "samples.bin"];
    let output = cargo(folder.path(), &arguments, folder.path());
    assert_eq!(output.stdout, expected, "{}", text(&output.stderr));
}

#[test]
fn layers_run_row_by_row_with_the_same_outputs() {
    let (model, self_test) = proven("net");
    for target in [&HOST, m4()] {
        let streamed = model.place_again(target.kernels, Memory::Reduced).expect("a valid program");
        assert!(!streamed.streams().is_empty(), "{}", target.name);
        let folder = tempfile::tempdir().expect("a folder");
        let exported = exporter("rust").expect("known");
        let exported = exported.export(&streamed, &self_test, target, folder.path());
        assert!(
            exported.expect("an export").figures.ram_bytes < model.arena_bytes(),
            "{}",
            target.name
        );
        let output = cargo(folder.path(), &["test"], folder.path());
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
}

#[test]
fn self_test_fails_if_one_expected_byte_is_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    let (model, mut self_test) = proven("net");
    self_test.samples[3].1[2] ^= 1;
    export(&model, &self_test, &HOST, folder.path()).expect("an export");
    let output = cargo(folder.path(), &["test"], folder.path());
    assert!(!output.status.success());
    assert!(text(&output.stdout).contains("sample: 3"), "{}", text(&output.stdout));
}

#[test]
fn exports_of_odd_model_names_compile() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["", "fn", "core", "Self", "8 bit", "\u{fc}ber", "burn_ptq_kernels", "a*/b\"??/"] {
        let (model, self_test) = proven(name);
        let dir = folder.path().join("rust");
        export(&model, &self_test, &HOST, &dir).expect("an export");
        let output = cargo(&dir, &["check", "--tests", "--examples"], folder.path());
        assert!(output.status.success(), "{name:?}: {}", text(&output.stderr));
    }
}

#[test]
fn example_streams_samples_and_refuses_a_partial_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let (model, self_test) = proven("net");
    export(&model, &self_test, &HOST, folder.path()).expect("an export");
    let samples = folder.path().join("samples.bin");
    let run = |bytes: &[u8]| {
        fs::write(&samples, bytes).expect("samples written");
        let arguments = ["run", "--quiet", "--example", "stream", "samples.bin"];
        cargo(folder.path(), &arguments, folder.path())
    };
    let inputs: Vec<u8> = self_test.samples.iter().flat_map(|(input, _)| input.clone()).collect();
    let expected: Vec<u8> = self_test.samples.iter().flat_map(|(_, out)| out.clone()).collect();
    assert_eq!(run(&inputs).stdout, expected);
    let partial = run(&inputs[..inputs.len() - 1]);
    assert!(!partial.status.success());
    let message = text(&partial.stderr);
    assert!(message.contains("the last sample has 107 of 108 bytes"), "{message}");
}

/// Rust source without its comments.
fn code(source: &str) -> String {
    // Tests come last in a file.
    let source = source.split("#[cfg(test)]").next().unwrap_or("");
    source.lines().map(|line| line.split("//").next().unwrap_or("").to_owned() + "\n").collect()
}

#[test]
fn generated_code_neither_allocates_nor_is_unsafe() {
    let folder = tempfile::tempdir().expect("a folder");
    let (model, self_test) = proven("net");
    let files = export(&model, &self_test, m4(), folder.path()).expect("an export");
    let source = |file: &&PathBuf| {
        let name = file.strip_prefix(folder.path()).expect("inside");
        name.starts_with("src") || name.starts_with("kernels/src")
    };
    let sources: Vec<_> = files.iter().filter(source).collect();
    assert!(sources.len() > 20);
    for file in sources {
        let code = code(&fs::read_to_string(file).expect("readable"));
        let words: Vec<&str> = code.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        assert!(!words.contains(&"alloc") && !words.contains(&"Vec"), "{}", file.display());
        let assembly = file.ends_with("dsp/extension.rs") || file.ends_with("dsp/taps.rs");
        assert_eq!(words.contains(&"unsafe"), assembly, "{}", file.display());
    }
}

#[test]
fn reported_bytes_are_those_of_the_stored_constants_and_the_model() {
    let folder = tempfile::tempdir().expect("a folder");
    let (model, self_test) = proven("net");
    let exported = exporter("rust")
        .expect("known")
        .export(&model, &self_test, &HOST, folder.path())
        .expect("an export");
    // As in C: weights in 8, 4, 2 and 3 bits, and 28 channels with a bias and a multiplier each. Then
    // what describes three convolutions, a sum, a pool and a fully connected layer.
    let parameters = 92 + 88 + 92 + 28 + 52 + 32;
    assert_eq!(exported.figures.flash_constant_bytes, 216 + 36 + 10 + 119 + 28 * 12 + parameters);
    assert_eq!(exported.figures.ram_bytes, model.arena_bytes().next_multiple_of(8));
    assert!(exported.files.iter().all(|file| file.is_file()));
}

/// Whether cargo has a component.
fn has_component(name: &str) -> bool {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo).args([name, "--version"]).output();
    let found = output.is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("SKIPPED cargo {name} on exports: not installed (rustup component add)");
    }
    found
}

/// Exports with all that generated code may have: streams, both widths, raw samples of several types,
/// tables and formulas, classes, several means.
fn varied_exports(folder: &Path) -> Vec<PathBuf> {
    let mut dirs = Vec::new();
    let mut add = |name: &str, model: &Placed, target: &Target| {
        let samples = vec![0; model.input_bytes()];
        let self_test = SelfTest::new(model, &[samples]).expect("it runs");
        let dir = folder.join(name);
        let kernels = exporter("rust").expect("known").kernels(target);
        let model = model.place_again(kernels, Memory::Reduced).expect("a valid program");
        export(&model, &self_test, target, &dir).expect("an export");
        dirs.push(dir);
    };
    let (plain, _) = proven("net");
    add("plain", &plain, &HOST);
    let mut pixels = plain.program().clone();
    network::channels_first(&mut pixels);
    pixels.inputs[0].preprocessing = Preprocessing {
        element: Element::U8,
        scale: 1.0 / 255.0,
        mean: vec![0.485, 0.456, 0.406],
        std: vec![0.229, 0.224, 0.225],
        ..Preprocessing::default()
    };
    pixels.outputs[0].classes = ["cat", "dog", "an \"odd\" one"].map(str::to_owned).into();
    add("pixels", &programs::placed(pixels.clone()), m4());
    let mut audio = pixels;
    audio.inputs[0].preprocessing.element = Element::I16;
    add("audio", &programs::placed(audio), &HOST);
    let mut kept = stateful::every_kind();
    for (output, name) in kept.outputs.iter_mut().zip(["y", "n", "l"]) {
        output.name = name.into();
    }
    add("states", &programs::placed(kept), m4());
    let mut steps = looped::every_kind();
    for (output, name) in steps.outputs.iter_mut().zip(["v", "z", "n", "e"]) {
        output.name = name.into();
    }
    add("steps", &programs::placed(steps), m4());
    let mut once = programs::running_sum(1, true);
    once.outputs.truncate(1);
    add("once", &programs::placed(once), &HOST);
    let mut zeros = stateful::delay_line(2);
    zeros.states.iter_mut().for_each(|state| state.initial = 0);
    add("zeros", &programs::placed(zeros), &HOST);
    for (index, mut parts) in programs::valid_parts().into_iter().enumerate() {
        parts.program.inputs[0].preprocessing.element =
            if index % 2 == 0 { Element::I8 } else { Element::F32 };
        add(&format!("program{index}"), &parts.placed().expect("valid"), &HOST);
    }
    dirs
}

#[test]
fn exports_are_as_rustfmt_writes_them() {
    if !has_component("fmt") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut complaints = String::new();
    for dir in varied_exports(folder.path()) {
        let firmware = dir.join("firmware");
        for dir in [dir.clone(), dir.join("kernels"), firmware] {
            if dir.exists() {
                let output = cargo_only(&dir, &["fmt", "--check"]);
                if !output.status.success() {
                    complaints.push_str(&text(&output.stdout));
                    complaints.push_str(&text(&output.stderr));
                }
            }
        }
    }
    assert!(complaints.is_empty(), "{complaints}");
}

#[test]
fn exports_are_free_of_clippy_warnings() {
    if !has_component("clippy") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut dirs = varied_exports(folder.path());
    // Three as they are, the others as modules of the first, so that they cost one check.
    let others = dirs.split_off(3);
    let mut modules = fs::read_to_string(dirs[0].join("src/lib.rs")).expect("readable");
    for (index, dir) in others.iter().enumerate() {
        modules.push_str(&format!("pub mod other{index};\n"));
        let module = dirs[0].join(format!("src/other{index}"));
        fs::rename(dir.join("src"), &module).expect("moved");
        fs::rename(module.join("lib.rs"), module.join("mod.rs")).expect("moved");
        let source = fs::read_to_string(module.join("mod.rs")).expect("readable");
        let inner = source.replace("#![no_std]\n", "").replace("#![forbid(unsafe_code)]\n", "");
        fs::write(module.join("mod.rs"), inner).expect("written");
        fs::rename(dir.join("samples.rs"), module.join("samples.rs")).expect("moved");
        let self_test = module.join("self_test.rs");
        let source = fs::read_to_string(&self_test).expect("readable");
        fs::write(self_test, source.replace("\"../samples.rs\"", "\"samples.rs\""))
            .expect("written");
    }
    fs::write(dirs[0].join("src/lib.rs"), modules).expect("written");
    let mut complaints = String::new();
    for dir in dirs {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .current_dir(&dir)
            .args(["clippy", "--all-targets", "--offline", "--", "-Dwarnings"])
            .env("CARGO_TARGET_DIR", folder.path().join("target"))
            .output()
            .expect("cargo runs");
        if !output.status.success() {
            complaints.push_str(&text(&output.stderr));
        }
    }
    assert!(complaints.is_empty(), "{complaints}");
}

#[test]
fn unusable_requests_are_refused_with_what_is_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("rust");
    let (model, _) = proven("net");
    let error = export(&model, &SelfTest::default(), &HOST, &dir).expect_err("refused");
    assert_eq!(error.to_string(), "the self-test has no samples; give at least one");
    assert!(!dir.exists());
}

/// What cargo makes of the exported firmware.
fn firmware(dir: &Path, arguments: &[&str]) -> Output {
    let mut cargo = Command::new(burn_ptq_mcu::rust_cargo());
    cargo.current_dir(dir.join("firmware")).args(arguments).args(["--release", "--offline"]);
    // The flags of the environment would replace those that the export configures.
    cargo.env_remove("RUSTFLAGS").env("CARGO_TARGET_DIR", dir.join("target"));
    cargo.output().expect("cargo runs")
}

fn runs_rust(target: &Target) -> bool {
    let available = burn_ptq_mcu::rust_available(target);
    if !available {
        let how = "run scripts/install-rust-mcu.sh; it also needs QEMU";
        eprintln!("SKIPPED firmware in Rust for {}: {how}", target.name);
    }
    available
}

#[test]
fn firmware_passes_its_self_test_counts_and_fails_if_a_byte_is_wrong() {
    // Both kinds of start-up code; a name that the firmware's own files have.
    for name in ["cortex-m4", "rv32"] {
        let target = burn_ptq_deploy::export::target(name).expect("known");
        if !runs_rust(target) {
            continue;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let (model, mut self_test) = proven("counter");
        export(&model, &self_test, target, folder.path()).expect("an export");
        let output = firmware(folder.path(), &["run"]);
        assert!(output.status.success(), "{name}: {}", text(&output.stderr));
        assert_eq!(text(&output.stdout), "self-test: 5 samples, 0 differing bytes\n", "{name}");
        let output = firmware(folder.path(), &["run", "--features", "count"]);
        assert!(output.status.success(), "{name}: {}", text(&output.stderr));
        let counted = text(&output.stdout);
        let rows = counted.lines().skip_while(|line| !line.starts_with("instructions")).skip(1);
        assert_eq!(rows.clone().count(), model.nodes.len() + 1, "{name}: {counted}");
        let macs: usize = model.nodes.iter().map(|node| node.op.macs()).sum();
        let sum: Vec<_> = rows.last().unwrap_or_default().split_whitespace().collect();
        assert_eq!(sum[1..], ["100.0", &macs.to_string(), "all", "layers"], "{name}: {counted}");
        self_test.samples[2].1[0] ^= 1;
        export(&model, &self_test, target, folder.path()).expect("an export");
        let output = firmware(folder.path(), &["run"]);
        assert!(!output.status.success());
        let message = text(&output.stdout);
        assert!(message.contains("5 samples, 1 differing bytes"), "{name}: {message}");
    }
}

#[test]
fn firmware_with_states_cannot_panic_and_runs_its_samples_as_a_sequence() {
    for name in ["cortex-m0", "cortex-m4", "rv32"] {
        let target = burn_ptq_deploy::export::target(name).expect("known");
        if !runs_rust(target) {
            continue;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let model = programs::placed(stateful::every_kind());
        let samples = stateful::samples(&model, 6);
        let samples: Vec<_> = samples.chunks(model.input_bytes()).map(<[u8]>::to_vec).collect();
        let self_test = SelfTest::new(&model, &samples).expect("it runs");
        export(&model, &self_test, target, folder.path()).expect("an export");
        let output = firmware(folder.path(), &["run", "--features", "count"]);
        let found = text(&output.stdout);
        assert!(output.status.success(), "{name}: {found}{}", text(&output.stderr));
        assert!(found.starts_with("self-test: 6 samples, 0 differing bytes\n"), "{name}: {found}");
    }
}

#[test]
fn firmware_links_only_if_the_network_cannot_panic() {
    if !runs_rust(m4()) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (model, self_test) = proven("net");
    export(&model, &self_test, m4(), folder.path()).expect("an export");
    let output = firmware(folder.path(), &["build"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let kernel = folder.path().join("kernels/src/dsp/finish.rs");
    let source = fs::read_to_string(&kernel).expect("readable");
    let biases = "requantize.bias.get(first..).unwrap_or(&[])";
    assert!(source.contains(biases));
    let panicking = "&requantize.bias[first + sums.len()..]";
    fs::write(&kernel, source.replace(biases, panicking)).expect("writable");
    let output = firmware(folder.path(), &["build"]);
    assert!(!output.status.success());
    let message = text(&output.stderr);
    assert!(message.contains("this_program_can_panic"), "{message}");
}
