//! Arguments of `burn-ptq fit`, and numbers with units.

use std::path::PathBuf;

use clap::Args;

use super::{BackendArgument, Data};

#[derive(Debug, Args)]
pub(crate) struct Fit {
    /// The float model; defaults to the model.onnx of --task.
    #[arg(value_name = "MODEL.onnx", required_unless_present = "task")]
    pub model: Option<PathBuf>,
    #[command(flatten)]
    pub data: Data,
    /// Calibration samples, in any form that `quantize --calib` accepts. Only they decide which bits are
    /// chosen.
    #[arg(long, value_name = "[INPUT=]X.npy", required_unless_present = "task")]
    pub calib: Vec<PathBuf>,
    /// The processor, such as cortex-m4.
    #[arg(long, value_name = "NAME")]
    pub target: String,
    /// The most bytes of flash, for constants and the code of kernels: 65536, 64k or 1M.
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub flash: Option<usize>,
    /// The most bytes of RAM, for the arena and the stack.
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub ram: Option<usize>,
    /// The most instructions of one inference: 8000000, 800k or 8M.
    #[arg(long, value_name = "COUNT", value_parser = count)]
    pub instructions: Option<u64>,
    /// Bits of all activations except the model's input and output: 2 to 8, or 16.
    #[arg(long, value_name = "BITS", default_value = "8")]
    pub activations: u8,
    /// The seed of every random choice.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Exporters to run, such as c.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    pub export: Vec<String>,
    /// The name of the integer model; defaults to the name of the task or of the model's file.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The folder to write model.bptq, report.json, report.html, fit.json, recipe.toml and the exports to.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    #[command(flatten)]
    pub backend: BackendArgument,
    /// Print JSON instead of tables.
    #[arg(long)]
    pub json: bool,
}

/// A number with a unit of `step`s: `k` or `M`.
fn scaled(text: &str, step: f64) -> Option<f64> {
    let (digits, factor) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, step),
        None => match text.strip_suffix('M') {
            Some(digits) => (digits, step * step),
            None => (text, 1.0),
        },
    };
    let number = digits.parse::<f64>().ok()? * factor;
    (1.0..=9e15).contains(&number).then_some(number)
}

/// A number of bytes.
fn bytes(text: &str) -> Result<usize, String> {
    let bytes = scaled(text, 1024.0).map(|bytes| bytes as usize);
    bytes.ok_or_else(|| "expected a number of bytes, such as 65536 or 64k".into())
}

/// A number of things.
fn count(text: &str) -> Result<u64, String> {
    let count = scaled(text, 1000.0).map(|count| count as u64);
    count.ok_or_else(|| "expected a number, such as 8000000 or 8M".into())
}

/// A positive number of megahertz.
pub(super) fn clock(text: &str) -> Result<f64, String> {
    let clock: f64 = text.parse().map_err(|_| "expected a number of MHz, such as 80".to_owned())?;
    match clock.is_finite() && clock > 0.0 {
        true => Ok(clock),
        false => Err("expected a clock above 0 MHz".into()),
    }
}
