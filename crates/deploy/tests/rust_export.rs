//! The Rust export as a user meets it: a crate that builds offline, proves itself, and never clobbers.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use burn_ptq_deploy::export::{ExportError, SelfTest, exporter};
use burn_ptq_deploy::model::IntModel;
use burn_ptq_deploy::target::{HOST, Target};
use network::proven;

mod network;

fn export(
    model: &IntModel,
    self_test: &SelfTest,
    target: &Target,
    dir: &Path,
) -> Result<Vec<PathBuf>, ExportError> {
    exporter("rust")?.export(model, self_test, target, dir).map(|exported| exported.files)
}

/// Runs cargo in an exported folder, without a network; warnings are errors.
fn cargo(dir: &Path, arguments: &[&str]) -> Output {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    Command::new(cargo)
        .current_dir(dir)
        .args(arguments)
        .arg("--offline")
        .env("RUSTFLAGS", "-Dwarnings")
        .env("CARGO_TARGET_DIR", dir.join("target"))
        .output()
        .expect("cargo runs")
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
        let output = cargo(folder.path(), &["test"]);
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{}:\n{stdout}{stderr}", target.name);
        assert!(stdout.contains("samples_give_the_expected_outputs ... ok"), "{stdout}");
    }
}

#[test]
fn self_test_fails_if_one_expected_byte_is_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    let (model, mut self_test) = proven("net");
    self_test.samples[3].1[2] ^= 1;
    export(&model, &self_test, &HOST, folder.path()).expect("an export");
    let output = cargo(folder.path(), &["test"]);
    assert!(!output.status.success());
    assert!(text(&output.stdout).contains("sample 3"), "{}", text(&output.stdout));
}
