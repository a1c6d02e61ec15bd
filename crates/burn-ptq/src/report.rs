//! The report of a quantization: what `report.json` holds.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::warning::Warning;

/// Everything that a quantization found out. Field names are stable.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The task, or the model's file stem.
    pub task: String,
    /// The model's file.
    pub model: String,
    /// SHA-256 of the model's file.
    pub model_sha256: String,
    /// SHA-256 of the calibration data; empty if there were none.
    pub calibration_sha256: String,
    /// The version of burn-ptq.
    pub version: &'static str,
    /// The recipe, as TOML.
    pub recipe: String,
    /// `W4A8` and the like.
    pub label: String,
    /// The seed.
    pub seed: u64,
    /// Calibration samples.
    pub calibration_samples: usize,
    /// `data`, or `data-free` for inputs made from the model's batch normalization.
    pub calibration: &'static str,
    /// The metric's name; absent without evaluation data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<&'static str>,
    /// Evaluated samples.
    pub samples: usize,
    /// The metric of the float network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub float: Option<f64>,
    /// The metric of the simulated network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub simulated: Option<f64>,
    /// The metric of the integer program: the headline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integer: Option<f64>,
    /// Seconds of each stage.
    pub seconds: BTreeMap<String, f64>,
    /// Bytes of weights as stored, biases, multipliers, tables and parameters of operations, as in
    /// the linker's map of portable C on a machine of 32 bits; without code.
    pub flash_bytes: usize,
    /// Bytes of the arena.
    pub ram_bytes: usize,
    /// Bytes of the arena of an export for any machine, whose layers run row by row, and whose
    /// activations of 4 bits and fewer lie packed, where that saves memory.
    pub streamed_ram_bytes: usize,
    /// Bytes of the constants of that export.
    pub streamed_flash_bytes: usize,
    /// Multiply-accumulates of one inference.
    pub macs: usize,
    /// The operations of the program, in order.
    pub layers: Vec<LayerReport>,
    /// What a person should look at before trusting the results.
    pub warnings: Vec<Warning>,
    /// What quantizing a single layer costs, the dearest first; empty unless asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub explain: Vec<LayerCost>,
}

/// What it costs to quantize only one layer: its weights and its output.
#[derive(Clone, Debug, Serialize)]
pub struct LayerCost {
    /// The name in the source model.
    pub name: String,
    /// The metric with only this layer quantized.
    pub metric: f64,
    /// How much worse that is than the float network.
    pub lost: f64,
}

/// One operation of the program.
#[derive(Clone, Debug, Serialize)]
pub struct LayerReport {
    /// The name in the source model.
    pub name: String,
    /// The integer operation.
    pub op: String,
    /// Bits of the weights; absent without weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bits: Option<u8>,
    /// Bits of the output.
    pub activation_bits: u8,
    /// Signal-to-quantization-noise ratio of the output against the float network, in dB; absent for
    /// operations that the float network does not have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sqnr_db: Option<f64>,
    /// The same ratio of the weights against the float weights; absent without weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_sqnr_db: Option<f64>,
    /// Share of outputs that differ from the simulation on the same integer inputs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub differing: Option<f64>,
    /// The largest of these differences, in steps of the grid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_lsb: Option<i32>,
    /// Bytes of constants.
    pub bytes: usize,
    /// Multiply-accumulates.
    pub macs: usize,
}
