//! Arguments as people type them.

use std::path::PathBuf;

use burn_ptq::import::onnx::InputShape;
use burn_ptq_eval::input::Layout;
use burn_ptq_eval::metric::{ClassAxis, Metric};
use burn_ptq_study::Shard;
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Post-training quantization for tinyML: an ONNX model in, integer C for a microcontroller out,
/// proven bit-exact on the host.
#[derive(Debug, Parser)]
#[command(name = "burn-ptq", version, about)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Quantize an ONNX model with calibration data, evaluate it and export it.
    Quantize(Quantize),
    /// Evaluate a float model (.onnx) or an integer model (.bptq).
    Evaluate(Evaluate),
    /// List the layers of a model with shapes, multiply-accumulates, bits and bytes.
    Inspect(Inspect),
    /// Export an integer model as code.
    Export(Export),
    /// List what can be imported from ONNX files and Burn modules, with its conditions.
    Operators,
    /// List what recipes can choose from, or print a preset.
    #[command(subcommand)]
    Recipe(RecipeCommand),
    /// Print a JSON schema, for editors and for programs that read results.
    #[command(hide = true)]
    Schema {
        /// What it describes.
        of: SchemaOf,
    },
    /// Compare recipes: run a study of tasks, choices and seeds, and report what matters.
    Ablate(Ablate),
    /// Do everything above on an embedded model and data.
    Demo(Demo),
}

/// What a JSON schema describes.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum SchemaOf {
    /// Recipes.
    Recipe,
    /// `task.toml`.
    Task,
    /// `report.json` of a quantization.
    Report,
    /// Study files.
    Study,
    /// A line of `results.jsonl`.
    ResultLine,
}

#[derive(Debug, Subcommand)]
pub enum RecipeCommand {
    /// Print the choices of each stage with their parameters, and the presets.
    List,
    /// Print a preset.
    Show {
        /// Its name.
        #[arg(value_name = "NAME")]
        name: String,
    },
}

#[derive(Debug, Args)]
pub struct Quantize {
    /// The float model; with --task, the task's model.onnx if left out.
    #[arg(value_name = "MODEL.onnx", required_unless_present = "task")]
    pub model: Option<PathBuf>,
    #[command(flatten)]
    pub data: Data,
    /// Calibration samples: .npy, .npz (X.npz:NAME for one of several arrays), .csv (a row is a
    /// sample), or a folder of .png, .jpg or .wav files; arrays have the samples along their first
    /// axis.
    #[arg(long, value_name = "X.npy", required_unless_present_any = ["task", "recipe", "data_free"])]
    pub calib: Option<PathBuf>,
    /// Calibrate with inputs made from the model's batch normalization instead of samples.
    #[arg(long, conflicts_with = "calib")]
    pub data_free: bool,
    /// A preset recipe, such as w4a8; `burn-ptq recipe list` names all. Without one, --weights and
    /// --activations choose the preset of these widths, or the nearest with fewer bits: w8a8, w4a8,
    /// w3a8, w2a8, or below 8-bit activations w4a4.
    #[arg(long, value_name = "NAME", conflicts_with = "recipe")]
    pub preset: Option<String>,
    /// A recipe file.
    #[arg(long, value_name = "R.toml")]
    pub recipe: Option<PathBuf>,
    /// Bits of all weights: 2 to 8. With --preset or --recipe, its components at these bits; rounding to
    /// nearest at any width is --preset nearest.
    #[arg(long, value_name = "BITS")]
    pub weights: Option<u8>,
    /// Bits of all activations but the model's input and output: 2 to 8, or 16.
    #[arg(long, value_name = "BITS")]
    pub activations: Option<u8>,
    /// Bits of the first and the last layer, such as 8; as all others if left out.
    #[arg(long, value_name = "BITS")]
    pub first_last: Option<u8>,
    /// Other bits for some layers, such as 'conv_1:weights=8' or 'dense*:weights=8,activations=8'.
    #[arg(long = "layer", value_name = "GLOB:KEY=BITS,..")]
    pub layers: Vec<String>,
    /// Calibrate with the first N samples only.
    #[arg(long, value_name = "N")]
    pub samples: Option<usize>,
    /// Seeds every random choice.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Exporters to run, such as c.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    pub export: Vec<String>,
    /// The name of the integer model, after which exported functions and files are called; the task's,
    /// or the model's file, if left out.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The folder of model.bptq, report.json and the exports.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    #[command(flatten)]
    pub backend: BackendArgument,
    /// Rank layers by how much the network's predictions change when only that layer is quantized, and
    /// show what the metric loses, where there are evaluation data.
    #[arg(long)]
    pub explain: bool,
    /// Print the report as JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// Where float networks run.
#[derive(Debug, Args)]
pub struct BackendArgument {
    /// The Burn backend of float networks: flex, ndarray or wgpu; other than flex, they are there if
    /// burn-ptq was built with the feature of their name.
    #[arg(long, value_name = "NAME", default_value = "flex")]
    pub backend: String,
}

/// Evaluation data and preprocessing.
#[derive(Debug, Args)]
pub struct Data {
    /// A folder with task.toml, model.onnx, calib_x.npy, eval_x.npy and eval_y.npy; flags override.
    #[arg(long, value_name = "DIR")]
    pub task: Option<PathBuf>,
    /// Evaluation samples, in any form that --calib takes; a folder with one folder a class, or a
    /// .csv with a column 'label', brings its labels.
    #[arg(long, value_name = "X.npy")]
    pub eval: Option<PathBuf>,
    /// Labels: one class a sample, one-hot, or several of 0 and 1; or the targets of a regression, in
    /// the shape of the outputs: .npy, .npz (Y.npz:NAME), .csv (Y.csv:COLUMN), or .txt with one a line.
    #[arg(long, value_name = "Y.npy")]
    pub labels: Option<PathBuf>,
    /// Groups over which auc is averaged, one integer a sample.
    #[arg(long, value_name = "G.npy")]
    pub groups: Option<PathBuf>,
    /// The metric; top1 without a task.
    #[arg(long, value_name = "NAME", long_help = metric_help())]
    pub metric: Option<Metric>,
    /// The probability above which an output is positive, for binary, f1, multilabel and top1 of one
    /// output; 0.5 if left out. Outputs of models without a sigmoid at the end count as logits.
    #[arg(long, value_name = "P")]
    pub threshold: Option<f64>,
    /// The axis of the output that classes lie along, where its shape and that of the labels leave it
    /// open.
    #[arg(long, value_name = "first|last", value_parser = class_axis)]
    pub class_axis: Option<ClassAxis>,
    /// Multiply raw input values by this factor, such as 0.00392157 for pixels from 0 to 1.
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    pub input_scale: Option<f32>,
    /// Mean of scaled elements, which is subtracted: one number, or one per channel.
    #[arg(long, value_name = "F,..", value_delimiter = ',', allow_negative_numbers = true)]
    pub input_mean: Vec<f32>,
    /// Standard deviation of scaled elements, by which they are divided: one number, or one per channel.
    #[arg(long, value_name = "F,..", value_delimiter = ',')]
    pub input_std: Vec<f32>,
    /// Where samples hold their channels: nchw for first, nhwc for last; as the model's input if left
    /// out. Rows of a .csv are such samples in one line; images need no layout.
    #[arg(long)]
    pub layout: Option<LayoutName>,
    /// For recordings [frames, features], .csv whose rows are steps in time, or .wav: consecutive
    /// frames that make one input.
    #[arg(long, value_name = "N")]
    pub window_frames: Option<usize>,
    /// Frames from the beginning of one window to that of the next; 1 if left out.
    #[arg(long, value_name = "N")]
    pub window_step: Option<usize>,
    /// Names of the classes, in the order of the model's outputs; else the folders' names, sorted.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    pub classes: Vec<String>,
    /// The shape of an input whose extents the model leaves open, the batch first.
    #[arg(long, value_name = "[INPUT=]1x3x96x96")]
    pub shape: Vec<InputShape>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LayoutName {
    /// Channels first.
    Nchw,
    /// Channels last.
    Nhwc,
}

impl From<LayoutName> for Layout {
    fn from(name: LayoutName) -> Self {
        match name {
            LayoutName::Nchw => Layout::Nchw,
            LayoutName::Nhwc => Layout::Nhwc,
        }
    }
}

/// What --metric can be.
fn metric_help() -> String {
    let mut text = String::from("The metric; top1 without a task:");
    for metric in Metric::ALL {
        text.push_str(&format!("\n- {}: {}", metric.name(), metric.summary()));
    }
    text
}

fn class_axis(text: &str) -> Result<ClassAxis, String> {
    match text {
        "first" => Ok(ClassAxis::First),
        "last" => Ok(ClassAxis::Last),
        _ => Err("expected first or last".into()),
    }
}

#[derive(Debug, Args)]
pub struct Evaluate {
    /// The model: .onnx (float) or .bptq (integer); with --task, the task's model.onnx if left out.
    #[arg(value_name = "MODEL", required_unless_present = "task")]
    pub model: Option<PathBuf>,
    #[command(flatten)]
    pub data: Data,
    #[command(flatten)]
    pub backend: BackendArgument,
    /// Write inputs.bin and outputs.bin: what the integer model reads and writes, sample after sample,
    /// to compare a firmware with.
    #[arg(long, value_name = "DIR")]
    pub dump: Option<PathBuf>,
    /// Samples that are written.
    #[arg(long, value_name = "N", default_value_t = 32, requires = "dump")]
    pub dump_samples: usize,
    /// Print JSON instead of text.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Inspect {
    /// The model: .onnx or .bptq.
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// The shape of an input whose extents the model leaves open, the batch first.
    #[arg(long, value_name = "[INPUT=]1x3x96x96")]
    pub shape: Vec<InputShape>,
    /// Print JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Export {
    /// The integer model.
    #[arg(value_name = "MODEL.bptq")]
    pub model: PathBuf,
    /// Exporters to run, such as c.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',', required = true)]
    pub to: Vec<String>,
    /// The processor: host, cortex-m0, cortex-m3, cortex-m4, cortex-m7, cortex-m33, cortex-m55 or
    /// rv32; all give the same outputs.
    #[arg(long, value_name = "NAME", default_value = "host")]
    pub target: String,
    /// The name after which functions, files and the crate are called; the model's own if left out.
    /// Models of one firmware need different names.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// For Rust: use the kernels in this folder, which an export of another model has written, instead
    /// of writing them again. Cargo takes one package of kernels into a firmware.
    #[arg(long, value_name = "DIR")]
    pub kernels: Option<PathBuf>,
    /// Compute one layer after the other, and keep every activation whole and unpacked; otherwise
    /// layers run row by row, and activations of 4 bits are packed, where that saves RAM.
    #[arg(long)]
    pub no_streaming: bool,
    /// The folder in which each exporter makes a folder of its name.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Runs what a study lacks and writes the report. A study may be killed at any moment and started
/// again: finished runs are kept, each once.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Ablate {
    #[command(subcommand)]
    pub command: Option<AblateCommand>,
    /// The study: tasks, a base recipe, and experiments with axes.
    #[arg(value_name = "STUDY.toml", required = true)]
    pub study: Option<PathBuf>,
    /// The folder of results.jsonl, where each finished run is a line, and of the report.
    #[arg(long, value_name = "DIR", required = true)]
    pub out: Option<PathBuf>,
    /// The folder that the tasks' paths go from; else what BURN_PTQ_ASSETS names, if the study has a
    /// key `assets`, else that key, else the study's folder.
    #[arg(long, value_name = "DIR")]
    pub assets: Option<PathBuf>,
    /// Runs at a time, 1 to 64; each uses several cores for part of its time.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub jobs: u8,
    /// Only part i of n, into results-i-of-n.jsonl, for `burn-ptq ablate merge`.
    #[arg(long, value_name = "i/n")]
    pub shard: Option<Shard>,
    /// List the runs with the time that each may take, and run none.
    #[arg(long)]
    pub dry_run: bool,
    /// Try again what failed before.
    #[arg(long)]
    pub retry_failed: bool,
    #[command(flatten)]
    pub backend: BackendArgument,
}

#[derive(Debug, Subcommand)]
pub enum AblateCommand {
    /// Join result files, such as those of shards, and write the report of all.
    Merge {
        /// Result files of one study.
        #[arg(value_name = "RESULTS.jsonl", required = true)]
        results: Vec<PathBuf>,
        /// The folder of the joined results.jsonl and the report.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct Demo {
    /// The folder of the results.
    #[arg(long, value_name = "DIR", default_value = "burn-ptq-demo")]
    pub out: PathBuf,
}
