//! The TensorFlow Lite export as a user meets it: a folder that proves itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use burn_ptq_deploy::export::{Exporter, Options, SelfTest, TfLite};
use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::program::{IntOp, Program};
use burn_ptq_deploy::target::HOST;
use burn_ptq_kernels::multiplier::Multiplier;
use network::{placed, proven, several};
use oracle::python;

#[allow(dead_code)]
#[path = "../../crates/deploy/tests/network/mod.rs"]
mod network;
mod oracle;

/// The network with the multipliers that follow from scales, and the same samples.
fn derived((model, self_test): (Placed, SelfTest)) -> (Placed, SelfTest) {
    let (mut program, _) = model.into_parts();
    let Program { nodes, tensors, .. } = &mut program;
    for node in nodes {
        let [input, output] = [node.inputs[0], node.output].map(|id| tensors[id.0].grid.scale);
        match &mut node.op {
            IntOp::Conv2d { weighted, .. }
            | IntOp::DepthwiseConv2d { weighted, .. }
            | IntOp::FullyConnected { weighted, .. } => {
                let real = |m: &Multiplier| f64::from(m.quantized) * 2_f64.powi(m.exponent - 31);
                let scale = |m| (real(m) * f64::from(output) / f64::from(input)) as f32;
                weighted.weights.scales = weighted.multipliers.iter().map(scale).collect();
                let derive = |&scale: &f32| Multiplier::of_scales(input, scale, output);
                let derived = weighted.weights.scales.iter().map(derive).collect::<Option<_>>();
                weighted.multipliers = derived.expect("multipliers");
            }
            IntOp::Requantize { multiplier, .. } => {
                let ratio = Multiplier::from_real(f64::from(input) / f64::from(output));
                *multiplier = ratio.expect("a multiplier");
            }
            _ => {}
        }
    }
    let inputs: Vec<Vec<u8>> = self_test.samples.into_iter().map(|sample| sample.0).collect();
    let model = placed(program);
    let self_test = SelfTest::new(&model, &inputs).expect("inputs of the right size");
    (model, self_test)
}

fn export(model: &Placed, self_test: &SelfTest, dir: &Path) -> Vec<String> {
    let exported = TfLite.export(model, self_test, &HOST, dir).expect("an export");
    let name = |path: &PathBuf| path.strip_prefix(dir).expect("inside").display().to_string();
    let mut names: Vec<String> = exported.files.iter().map(name).collect();
    names.sort();
    names
}

fn check(python: &Path, dir: &Path) -> Output {
    let mut command = Command::new(python);
    command.args(["check.py", "--runtime", "tflm"]).current_dir(dir);
    command.output().expect("Python starts")
}

#[test]
fn an_export_gives_the_bytes_of_its_samples_and_says_when_it_does_not() {
    let (model, self_test) = derived(proven("tiny net"));
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    let files = export(&model, &self_test, dir);
    for name in ["LICENSE-MIT", "NOTICE", "README.md", "check.py", "samples.bin", "tiny_net.tflite"]
    {
        assert!(files.iter().any(|file| file == name), "{name} of {files:?}");
    }
    let Some(python) = python("the check of an export") else { return };
    let output = check(&python, dir);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let expected = format!("{} samples, 0 of ", self_test.samples.len());
    assert!(said.lines().all(|line| line.contains(&expected)) && !said.is_empty(), "{said}");
    let samples = dir.join("samples.bin");
    let mut bytes = fs::read(&samples).expect("samples");
    *bytes.last_mut().expect("a byte") ^= 1;
    fs::write(&samples, bytes).expect("written");
    let output = check(&python, dir);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success() && said.contains("1 of "), "{said}");
}

#[test]
fn several_inputs_and_outputs_keep_their_order() {
    let Some(python) = python("an export with several ends") else { return };
    let (model, self_test) = derived(several("several ends"));
    let folder = tempfile::tempdir().expect("a folder");
    export(&model, &self_test, folder.path());
    let output = check(&python, folder.path());
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn programs_of_reduced_memory_have_the_same_file() {
    let (model, self_test) = derived(proven("tiny net"));
    let file = |memory| {
        let model = model.place_again(TfLite.kernels(&HOST), memory).expect("a valid program");
        let rendered = TfLite.render(&model, &self_test, &Options::new(&HOST)).expect("an export");
        let file = rendered.files.into_iter().find(|file| file.path == "tiny_net.tflite");
        file.expect("a file").contents
    };
    assert_eq!(file(Memory::Whole), file(Memory::Reduced));
}
