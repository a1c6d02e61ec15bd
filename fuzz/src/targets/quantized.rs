//! ONNX models that are quantized already. What is imported keeps its grids through preparation, and what is quantized
//! throughout becomes a valid program.

use std::path::Path;

use burn::tensor::Device;
use burn_ptq::import::onnx;
use burn_ptq::prepare;
use burn_ptq::{Error, quantize_as_given};

use super::onnx::mutate;
use crate::Target;

/// See the module.
pub const TARGET: Target = Target { name: "quantized", seeds, mutate, run };

/// Graphs of at most this many multiply-accumulates become programs.
const MAX_MACS: usize = 1 << 20;

/// Graphs with at most this many elements in all values do.
const MAX_ELEMENTS: usize = 1 << 16;

fn seeds() -> Vec<Vec<u8>> {
    super::files(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/burn-ptq/tests/quantized"),
        "onnx",
    )
}

fn run(input: &[u8]) -> bool {
    let Ok(imported) = onnx::parse(input, "fuzz") else { return false };
    imported.verify().expect("an imported graph is valid");
    let prepared = prepare(imported).expect("it can be prepared");
    prepared.verify().expect("a prepared graph is valid");
    let elements: usize = prepared.values.iter().map(|value| value.len()).sum();
    if prepared.macs() > MAX_MACS || elements > MAX_ELEMENTS {
        return true;
    }
    let quantized = quantize_as_given(prepared, "", &Device::flex());
    if let Err(Error::Lower(error)) = quantized {
        let text = error.to_string();
        assert!(!text.contains("is a bug"), "{text}");
    }
    true
}
