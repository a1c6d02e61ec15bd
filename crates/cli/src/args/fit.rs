//! Arguments of `burn-ptq fit`, and numbers with units.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::{BackendArgument, Data, Results};

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("timed").args(["clock", "board"]).multiple(true))]
pub(crate) struct Fit {
    /// The float model, .onnx or .tflite; defaults to that of --task.
    #[arg(value_name = "MODEL", required_unless_present = "task")]
    pub model: Option<PathBuf>,
    #[command(flatten)]
    pub data: Data,
    /// Calibration samples, in any form that `quantize --calib` accepts. Only they decide which bits are
    /// chosen.
    #[arg(long, value_name = "[INPUT=]X.npy", required_unless_present = "task")]
    pub calib: Vec<PathBuf>,
    /// The processor, such as cortex-m4; that of --board by default.
    #[arg(long, value_name = "NAME", required_unless_present = "board")]
    pub target: Option<String>,
    /// The board: its processor, and all of its flash and RAM in place of --flash and --ram that are not
    /// given; `burn-ptq boards` lists them.
    #[arg(long, value_name = "NAME")]
    pub board: Option<String>,
    /// The most bytes of flash, for constants and the code of kernels: 65536, 64k or 1M.
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub flash: Option<usize>,
    /// The most bytes of RAM, for the arena and the stack.
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub ram: Option<usize>,
    /// The most instructions of one inference: 8000000, 800k or 8M.
    #[arg(long, value_name = "COUNT", value_parser = count)]
    pub instructions: Option<u64>,
    /// The most milliseconds of one inference, in place of --instructions: an estimate, at one instruction a
    /// cycle of --clock or of the board's.
    #[arg(long, value_name = "MS", value_parser = positive, conflicts_with = "instructions", requires = "timed")]
    pub milliseconds: Option<f64>,
    /// The processor's clock in MHz; a board's highest by default.
    #[arg(long, value_name = "MHZ", value_parser = clock, requires = "milliseconds")]
    pub clock: Option<f64>,
    /// The most that the metric may lose on the evaluation samples, in points of a hundredth (of errors, in
    /// percent); more is an error. These samples choose nothing.
    #[arg(long, value_name = "POINTS", value_parser = not_negative, conflicts_with = "front",
        allow_negative_numbers = true)]
    pub max_loss: Option<f64>,
    /// The bits that the weights of a layer choose from.
    #[arg(long, value_name = "BITS,..", value_delimiter = ',', default_value = "8,4,3,2")]
    pub weights: Vec<u8>,
    /// Bits of all activations except the model's input and output: 2 to 8, or 16. After a comma, the bits
    /// that outputs of layers get where RAM is short, such as 8,4.
    #[arg(long, value_name = "BITS[,BITS]", value_delimiter = ',', default_value = "8")]
    pub activations: Vec<u8>,
    /// A preset whose components quantize every width; by default each width has its own preset.
    #[arg(long, value_name = "NAME", conflicts_with = "recipe")]
    pub preset: Option<String>,
    /// A recipe file whose components quantize every width.
    #[arg(long, value_name = "R.toml")]
    pub recipe: Option<PathBuf>,
    /// Show what accuracy costs: networks of many budgets, in place of one. Writes front.json and a recipe of
    /// each that no other beats.
    #[arg(long, conflicts_with = "export")]
    pub front: bool,
    #[command(flatten)]
    pub results: Results,
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

/// A number above 0.
fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "expected a number above 0, such as 20".into())
}

/// A number that is not below 0.
fn not_negative(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| "expected a number that is not below 0, such as 1.5".into())
}

/// A positive number of megahertz.
pub(super) fn clock(text: &str) -> Result<f64, String> {
    let clock: f64 = text.parse().map_err(|_| "expected a number of MHz, such as 80".to_owned())?;
    match clock.is_finite() && clock > 0.0 {
        true => Ok(clock),
        false => Err("expected a clock above 0 MHz".into()),
    }
}
