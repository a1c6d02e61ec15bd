//! TensorFlow Lite models: float ones become graphs, quantized ones valid programs, which run alike on both paths.

use std::path::Path;

use burn_ptq::import;
use burn_ptq::import::onnx::{Options, Requantize};
use burn_ptq::prepare;
use burn_ptq_deploy::place::Memory;
use burn_ptq_deploy::program::Program;
use burn_ptq_deploy::target::Kernels;

use crate::mutate::{Random, damage};
use crate::{Target, damaged};

/// See the module.
pub const TARGET: Target = Target { name: "tflite", seeds, mutate, run };

fn seeds() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = super::files(&root.join("tests/imports/files"), "tflite");
    files.extend(super::files(&root.join("crates/burn-ptq/tests/tflite"), "tflite"));
    files
}

fn mutate(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    damaged(random, seeds, damage)
}

fn run(input: &[u8]) -> bool {
    let mut accepted = false;
    for requantize in [None, Some(Requantize::All)] {
        let options = Options { requantize, ..Options::default() };
        if let Ok(model) = import::parse(input, "fuzz", &options) {
            model.graph.verify().expect("an imported graph is valid");
            prepare(model.graph).expect("it can be prepared");
            accepted = true;
        }
    }
    if let Ok(program) = Program::from_tflite(input) {
        let placed = program.place(Kernels::Portable, Memory::Whole);
        super::bptq::run_both(&placed.expect("an imported program has places"));
        accepted = true;
    }
    accepted
}
