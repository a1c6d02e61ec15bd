//! Arguments of `burn-ptq quantize`.

use std::path::PathBuf;

use clap::Args;

use super::{BackendArgument, Data};

#[derive(Debug, Args)]
pub(crate) struct Quantize {
    /// The float model, .onnx or .tflite; defaults to that of --task.
    #[arg(value_name = "MODEL", required_unless_present = "task")]
    pub model: Option<PathBuf>,
    #[command(flatten)]
    pub data: Data,
    /// Calibration samples: .npy, .npz (X.npz:NAME selects one of several arrays), .csv (one sample per
    /// row), or a folder of .png, .jpg or .wav files. The first axis of an array counts the samples. A model
    /// with several inputs takes INPUT=X.npy for each of them, or one .npz with an array of each input's
    /// name, a folder with a file or folder of each name, or a .csv with columns INPUT.0, INPUT.1, ..
    #[arg(
        long,
        value_name = "[INPUT=]X.npy",
        required_unless_present_any = ["task", "recipe", "data_free"]
    )]
    pub calib: Vec<PathBuf>,
    /// Calibrate without samples, on inputs synthesized from the model's batch normalization.
    #[arg(long, conflicts_with = "calib")]
    pub data_free: bool,
    /// A preset recipe, such as w4a8; `burn-ptq recipe list` lists all. Without --preset and --recipe,
    /// --weights and --activations select the preset for these widths, or the nearest one below: w8a8,
    /// w4a8, w3a8, w2a8, or w4a4 for activations of fewer than 8 bits.
    #[arg(long, value_name = "NAME", conflicts_with = "recipe")]
    pub preset: Option<String>,
    /// A recipe file.
    #[arg(long, value_name = "R.toml")]
    pub recipe: Option<PathBuf>,
    /// Bits of all weights: 2 to 8. With --preset or --recipe, keeps its components and changes the
    /// bits. For plain rounding to nearest at any width, use --preset nearest.
    #[arg(long, value_name = "BITS")]
    pub weights: Option<u8>,
    /// Bits of all activations except the model's input and output: 2 to 8, or 16.
    #[arg(long, value_name = "BITS")]
    pub activations: Option<u8>,
    /// Bits of the first and last layers, such as 8; by default the same as all others.
    #[arg(long, value_name = "BITS")]
    pub first_last: Option<u8>,
    /// Bits for individual layers, such as 'conv_1:weights=8' or 'dense*:weights=8,activations=8'; may
    /// be repeated.
    #[arg(long = "layer", value_name = "GLOB:KEY=BITS,..")]
    pub layers: Vec<String>,
    /// Calibrate with only the first N samples.
    #[arg(long, value_name = "N")]
    pub samples: Option<usize>,
    #[command(flatten)]
    pub results: Results,
    #[command(flatten)]
    pub backend: BackendArgument,
    /// Rank the layers by how much the network's predictions change when only that layer is quantized;
    /// with evaluation data, also show the loss in the metric.
    #[arg(long)]
    pub explain: bool,
    /// Keep channels and operations that cannot change the outputs; without this flag, the integer
    /// program goes without them, and its outputs are the same for every input.
    #[arg(long)]
    pub keep_all_channels: bool,
    /// Print the report as JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// What a quantization gives.
#[derive(Debug, Args)]
pub(crate) struct Results {
    /// The seed of every random choice.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Exporters to run, such as c.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    pub export: Vec<String>,
    /// The name of the integer model, which exported functions and files are named after; defaults to
    /// the name of the task or of the model's file.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The folder to write model.bptq, report.json, report.html and the exports to.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}
