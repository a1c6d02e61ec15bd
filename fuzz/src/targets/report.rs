//! Reports of quantizations, as `burn-ptq compare` reads them. What is accepted is compared with a good one.

use std::cell::RefCell;

use burn::tensor::Device;
use burn_ptq_eval::compare::compare;
use burn_ptq_eval::task::Task;
use tempfile::TempDir;

use crate::mutate::Random;
use crate::text::damage;
use crate::{Target, damaged};

/// See the module.
pub const TARGET: Target = Target { name: "report", seeds, mutate, run };

const REPORT: &str = r#"{
  "schema_version": 1, "task": "digits", "model": "model.onnx", "model_sha256": "0123456789abcdef",
  "calibration_sha256": "fedcba9876543210", "version": "0.1.0", "label": "W4A8", "seed": 3,
  "recipe": "name = 'mine'\nrounding = 'nearest'\nseed = 3\n[weights]\nbits = 4\n[[layers]]\nname = 'fc'\nweights = 8\n",
  "calibration_samples": 64, "calibration": "data", "metric": "top1", "samples": 500,
  "float": 0.996, "float_ci": [0.986, 0.999], "integer": 0.98, "integer_ci": [0.966, 0.991],
  "exported": {"flash_bytes": 9492, "ram_bytes": 2432, "row_by_row": 5},
  "flash_bytes": 9268, "ram_bytes": 3136, "macs": 356096,
  "layers": [
    {"name": "conv", "op": "Conv2d", "bits": 4, "activation_bits": 8, "sqnr_db": 12.5, "bytes": 324, "macs": 9216},
    {"name": "pool", "op": "MaxPool", "activation_bits": 8, "bytes": 60, "macs": 0},
    {"name": "fc", "op": "FullyConnected", "bits": 8, "activation_bits": 8, "bytes": 808, "macs": 640}
  ],
  "inputs": [{"name": "image", "shape": [1, 8, 8]}], "outputs": [{"name": "y", "shape": [10], "bits": 8}]
}"#;

fn seeds() -> Vec<Vec<u8>> {
    let other = REPORT.replace("\"top1\"", "\"mse\"").replace("\"conv\"", "\"fc\"");
    vec![REPORT.as_bytes().to_vec(), other.into_bytes(), br#"{"schema_version": 1}"#.to_vec()]
}

fn mutate(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    damaged(random, seeds, damage)
}

fn run(input: &[u8]) -> bool {
    thread_local! {
        static FOLDER: RefCell<TempDir> =
            RefCell::new(tempfile::tempdir().expect("a temporary folder"));
    }
    FOLDER.with_borrow(|folder| {
        let [good, found] = ["good.json", "found.json"].map(|name| folder.path().join(name));
        std::fs::write(&good, REPORT).expect("the temporary folder can be written");
        std::fs::write(&found, input).expect("the temporary folder can be written");
        let task = Task::new("task", "");
        let compared = compare(&[good, found], &task, &[], &Device::flex(), &|_| true);
        compared.is_ok_and(|compared| serde_json::to_string(&compared).is_ok())
    })
}
