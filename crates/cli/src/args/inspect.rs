//! Arguments of `burn-ptq inspect` and `burn-ptq boards`.

use std::path::PathBuf;

use burn_ptq::import::onnx::InputShape;
use clap::{ArgGroup, Args};

use super::fit::clock;

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("processor").args(["target", "board"]).multiple(true))]
pub(crate) struct Inspect {
    /// The model: .onnx or .bptq.
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// The shape of an input with dynamic dimensions, starting with the batch.
    #[arg(long, value_name = "[INPUT=]1x3x96x96")]
    pub shape: Vec<InputShape>,
    /// Predict what the model costs on these processors in exported C: flash with code, RAM with the stack, and
    /// instructions; of an .onnx model at the bits of --weights and --activations, before any calibration.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    pub target: Vec<String>,
    /// Predict the same on these boards, with milliseconds at their highest clock, and say whether the model
    /// fits; `burn-ptq boards` lists them.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    pub board: Vec<String>,
    /// With --target or --board, the processor's clock in MHz, to estimate milliseconds at one instruction a
    /// cycle; a board's highest by default.
    #[arg(long, value_name = "MHZ", requires = "processor", value_parser = clock)]
    pub clock: Option<f64>,
    /// Bits of the weights of an .onnx model whose costs are predicted; 8 by default.
    #[arg(long, value_name = "BITS", requires = "processor")]
    pub weights: Option<u8>,
    /// Bits of its activations; 8 by default.
    #[arg(long, value_name = "BITS", requires = "processor")]
    pub activations: Option<u8>,
    /// Write a page with layers, costs, memory over time, the network's graph and histograms of weights to
    /// this file; --json then prints the numbers of the page. Of a .bptq model without --target it has the
    /// costs on all processors.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Print JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Boards {
    /// An integer model: for each board, predict what exported C takes of its flash, RAM and time, and say
    /// whether it fits.
    #[arg(value_name = "MODEL.bptq")]
    pub model: Option<PathBuf>,
    /// Only the boards with this processor, such as cortex-m4.
    #[arg(long, value_name = "NAME")]
    pub target: Option<String>,
    /// Print JSON, with all names and the sources of the figures, instead of a table.
    #[arg(long)]
    pub json: bool,
}
