//! The ONNX exports as a user meets them: folders that count on their samples what a runtime rounds otherwise.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use burn_ptq_deploy::export::{Exporter, Onnx, OnnxQOperator, Options, SelfTest};
use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::target::HOST;
use network::{proven, several};
use oracle::python;

#[allow(dead_code)]
#[path = "../../crates/deploy/tests/network/mod.rs"]
mod network;
mod oracle;

const EXPORTERS: [&dyn Exporter; 2] = [&Onnx, &OnnxQOperator];

fn export(
    exporter: &dyn Exporter,
    model: &Placed,
    self_test: &SelfTest,
    dir: &Path,
) -> Vec<String> {
    let exported = exporter.export(model, self_test, &HOST, dir).expect("an export");
    let name = |path: &PathBuf| path.strip_prefix(dir).expect("inside").display().to_string();
    exported.files.iter().map(name).collect()
}

fn check(python: &Path, dir: &Path, steps: &str) -> (Output, String) {
    let mut command = Command::new(python);
    command.args(["check.py", "--steps", steps]).current_dir(dir);
    let output = command.output().expect("Python starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, said + &complaint)
}

#[test]
fn an_export_counts_on_its_samples_what_differs() {
    let (model, self_test) = proven("tiny net");
    for exporter in EXPORTERS {
        let folder = tempfile::tempdir().expect("a folder");
        let files = export(exporter, &model, &self_test, folder.path());
        for name in
            ["LICENSE-MIT", "NOTICE", "README.md", "check.py", "samples.bin", "tiny_net.onnx"]
        {
            assert!(files.iter().any(|file| file == name), "{name} of {files:?}");
        }
        let Some(python) = python("the check of an export") else { return };
        let (output, said) = check(&python, folder.path(), "2");
        assert!(output.status.success(), "{said}");
        let expected = format!("{} samples, ", self_test.samples.len());
        assert_eq!(said.lines().count(), 2, "{said}");
        assert!(said.lines().all(|line| line.contains(&expected)), "{said}");
        eprint!("{}: {said}", exporter.name());
        let samples = folder.path().join("samples.bin");
        let mut bytes = std::fs::read(&samples).expect("samples");
        let last = bytes.len() - 4;
        bytes[last..].copy_from_slice(&1e3_f32.to_le_bytes());
        std::fs::write(&samples, bytes).expect("written");
        let (output, said) = check(&python, folder.path(), "2");
        assert!(!output.status.success(), "{said}");
    }
}

#[test]
fn several_inputs_and_outputs_keep_their_order() {
    let Some(python) = python("an export with several ends") else { return };
    let (model, self_test) = several("several ends");
    for exporter in EXPORTERS {
        let folder = tempfile::tempdir().expect("a folder");
        export(exporter, &model, &self_test, folder.path());
        let (output, said) = check(&python, folder.path(), "1");
        assert!(output.status.success(), "{said}");
    }
}

#[test]
fn programs_of_reduced_memory_have_the_same_file() {
    let (model, self_test) = proven("tiny net");
    for exporter in EXPORTERS {
        let file = |memory| {
            let model =
                model.place_again(exporter.kernels(&HOST), memory).expect("a valid program");
            let rendered =
                exporter.render(&model, &self_test, &Options::new(&HOST)).expect("an export");
            let file = rendered.files.into_iter().find(|file| file.path == "tiny_net.onnx");
            file.expect("a file").contents
        };
        assert_eq!(file(Memory::Whole), file(Memory::Reduced));
    }
}
