//! The arguments, exactly as typed.

mod compare;
mod convert;
mod fit;
mod inspect;
mod quantize;

use std::path::PathBuf;
use std::str::FromStr;

use burn_ptq::import::onnx::{InputShape, Requantize};
use burn_ptq_eval::input::Layout;
use burn_ptq_eval::metric::{ClassAxis, Metric};
use burn_ptq_study::Shard;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub(crate) use compare::Compare;
pub(crate) use convert::Convert;
pub(crate) use fit::Fit;
pub(crate) use inspect::{Boards, Inspect};
pub(crate) use quantize::{Quantize, Results};

/// Post-training quantization for tinyML: from an ONNX or TensorFlow Lite model to bit-exact integer C or Rust for a
/// microcontroller.
#[derive(Debug, Parser)]
#[command(name = "burn-ptq", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Quantize an ONNX or TensorFlow Lite model with calibration data, evaluate and export it.
    Quantize(Quantize),
    /// Evaluate a float model (.onnx, .tflite) or an integer model (.bptq, quantized .tflite).
    Evaluate(Evaluate),
    /// List the layers of a model with their shapes, multiply-accumulates, bits and bytes.
    Inspect(Inspect),
    /// List common microcontroller boards; with an integer model, say on which it fits.
    Boards(Boards),
    /// Compare models or reports: metrics with a paired test, costs, and layers that differ.
    Compare(Compare),
    /// Choose the bits of each layer so that a model fits a microcontroller, and quantize it.
    Fit(Fit),
    /// Export an integer model as code.
    Export(Export),
    /// Write an integer model in another format: .bptq, .tflite, or .onnx with QuantizeLinear.
    Convert(Convert),
    /// List the supported ONNX operators and Burn operations, with their conditions.
    Operators,
    /// List the components and presets of recipes, or print a preset.
    #[command(subcommand)]
    Recipe(RecipeCommand),
    /// Print the JSON schema of a file format, for editors and other programs.
    Schema {
        /// The file format.
        of: SchemaOf,
    },
    /// Run a study that compares recipes, and report which differences are significant.
    Ablate(Ablate),
    /// Quantize, evaluate and export a built-in model with built-in data.
    Demo(Demo),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Print the manual page.
    Man {
        /// Write one page for each command to this folder instead.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Write the generated pages of docs/reference.
    #[command(hide = true)]
    Reference(Reference),
}

/// What `cargo xtask docs` asks for.
#[derive(Debug, Args)]
pub(crate) struct Reference {
    /// The folder of the pages.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Write nothing; fail if a page is stale.
    #[arg(long)]
    pub check: bool,
}

/// The file formats with a JSON schema.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum SchemaOf {
    /// Recipe files.
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
pub(crate) enum RecipeCommand {
    /// List the components of each stage with their parameters, and the presets.
    List,
    /// Print a preset.
    Show {
        /// The name of the preset.
        #[arg(value_name = "NAME")]
        name: String,
    },
}

/// Where float networks run.
#[derive(Debug, Args)]
pub(crate) struct BackendArgument {
    /// The Burn backend that runs float networks: flex, ndarray or wgpu. The latter two need a burn-ptq
    /// that was built with the feature of the same name.
    #[arg(long, value_name = "NAME", default_value = "flex")]
    pub backend: String,
}

/// Evaluation data and preprocessing.
#[derive(Debug, Args)]
pub(crate) struct Data {
    /// A folder with task.toml, model.onnx, calib_x.npy, eval_x.npy and eval_y.npy; other flags override
    /// what it says.
    #[arg(long, value_name = "DIR")]
    pub task: Option<PathBuf>,
    /// Evaluation samples, in any form that --calib accepts. A folder with one subfolder per class, or a
    /// .csv with a 'label' column, includes the labels.
    #[arg(long, value_name = "[INPUT=]X.npy")]
    pub eval: Vec<PathBuf>,
    /// The output that the metric judges, of a model with several.
    #[arg(long, value_name = "NAME")]
    pub output: Option<String>,
    /// Labels: one class per sample, one-hot, or several of 0 and 1; or regression targets in the shape
    /// of the outputs. Accepts .npy, .npz (Y.npz:NAME), .csv (Y.csv:COLUMN), or .txt with one label per
    /// line.
    #[arg(long, value_name = "Y.npy")]
    pub labels: Option<PathBuf>,
    /// Groups to average auc over, one integer per sample.
    #[arg(long, value_name = "G.npy")]
    pub groups: Option<PathBuf>,
    /// The metric; top1 by default.
    #[arg(long, value_name = "NAME", long_help = metric_help())]
    pub metric: Option<Metric>,
    /// The probability above which an output counts as positive, for binary, f1, multilabel, and top1
    /// of a single output; 0.5 by default. Outputs of a model that does not end with a sigmoid or
    /// softmax are taken as logits.
    #[arg(long, value_name = "P")]
    pub threshold: Option<f64>,
    /// The class axis of the output, if its shape and that of the labels leave it ambiguous.
    #[arg(long, value_name = "first|last", value_parser = class_axis)]
    pub class_axis: Option<ClassAxis>,
    /// Multiply raw input values by this factor, such as 0.00392157 for pixels from 0 to 1. Of several
    /// inputs, give the one that is meant, here and in the next flags.
    #[arg(long, value_name = "[INPUT=]F", allow_negative_numbers = true)]
    pub input_scale: Vec<Named<f32>>,
    /// Subtract this mean from the scaled values: one number, or one per channel.
    #[arg(long, value_name = "[INPUT=]F,..", allow_negative_numbers = true)]
    pub input_mean: Vec<Named<Numbers>>,
    /// Then divide by this standard deviation: one number, or one per channel.
    #[arg(long, value_name = "[INPUT=]F,..")]
    pub input_std: Vec<Named<Numbers>>,
    /// Where samples have their channels: nchw for first, nhwc for last; by default as in the model's
    /// input. A row of a .csv is such a sample, flattened; images need no layout.
    #[arg(long)]
    pub layout: Option<LayoutName>,
    /// For recordings of shape [frames, features], .csv files with one time step per row, or .wav: the
    /// number of consecutive frames that form one input.
    #[arg(long, value_name = "N")]
    pub window_frames: Option<usize>,
    /// Frames between the starts of consecutive windows; 1 by default.
    #[arg(long, value_name = "N")]
    pub window_step: Option<usize>,
    /// Names of the classes in the order of the model's outputs; by default the sorted names of the
    /// class folders.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    pub classes: Vec<String>,
    /// What the model keeps from one step of a sequence to the next: an input and the output that it becomes;
    /// repeat it for several. By default what names and shapes leave no doubt about, such as h_in and h_out.
    /// Samples are then sequences of shape [samples, steps, ..].
    #[arg(long, value_name = "INPUT=OUTPUT", value_parser = state)]
    pub state: Vec<(String, String)>,
    /// The shape of an input with dynamic dimensions, starting with the batch.
    #[arg(long, value_name = "[INPUT=]1x3x96x96")]
    pub shape: Vec<InputShape>,
    /// Quantize a model anew that is quantized already: all of it, from its dequantized weights, or the weights
    /// alone, beside the grids that an .onnx file gives activations.
    #[arg(long, value_name = "WHAT", num_args = 0..=1, default_missing_value = "all")]
    pub requantize: Option<Anew>,
    /// AIMET's .encodings beside a float .onnx model: its integers and grids, as if the model were quantized already.
    #[arg(long, value_name = "FILE")]
    pub encodings: Option<PathBuf>,
}

/// What of a quantized model is quantized anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Anew {
    /// Weights and activations: nothing of the file but its dequantized weights stays.
    All,
    /// Weights alone: activations keep the grids of the file.
    Weights,
}

impl From<Anew> for Requantize {
    fn from(anew: Anew) -> Self {
        match anew {
            Anew::All => Self::All,
            Anew::Weights => Self::Weights,
        }
    }
}

/// A value for the input of a name, or for the only one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Named<T> {
    pub name: Option<String>,
    pub value: T,
}

impl<T: FromStr<Err: std::fmt::Display>> FromStr for Named<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = match text.rsplit_once('=') {
            Some((name, value)) => (Some(name.to_owned()), value),
            None => (None, text),
        };
        let value = value.parse().map_err(|error: T::Err| error.to_string())?;
        Ok(Self { name, value })
    }
}

/// Numbers with commas between them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Numbers(pub Vec<f32>);

impl FromStr for Numbers {
    type Err = std::num::ParseFloatError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split(',').map(|number| number.trim().parse()).collect::<Result<_, _>>().map(Self)
    }
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

/// `INPUT=OUTPUT`.
fn state(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((input, output)) if !input.is_empty() && !output.is_empty() => {
            Ok((input.to_owned(), output.to_owned()))
        }
        _ => {
            Err("expected INPUT=OUTPUT, the names of an input and of the output that it becomes"
                .into())
        }
    }
}

/// The choices of --metric.
fn metric_help() -> String {
    let mut text = String::from("The metric; top1 by default:");
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
pub(crate) struct Evaluate {
    /// The model: .onnx or .tflite (float), .bptq or quantized .tflite (integer); defaults to that of --task.
    #[arg(value_name = "MODEL", required_unless_present = "task")]
    pub model: Option<PathBuf>,
    #[command(flatten)]
    pub data: Data,
    #[command(flatten)]
    pub backend: BackendArgument,
    /// Write the inputs and outputs of the integer model, sample after sample, to inputs.bin and
    /// outputs.bin, to compare firmware against.
    #[arg(long, value_name = "DIR")]
    pub dump: Option<PathBuf>,
    /// The number of samples that --dump writes.
    #[arg(long, value_name = "N", default_value_t = 32, requires = "dump")]
    pub dump_samples: usize,
    /// Print JSON instead of text.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The integer model: .bptq, or .tflite that is quantized.
    #[arg(value_name = "MODEL.bptq")]
    pub model: PathBuf,
    /// Exporters to run, such as c.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',', required = true)]
    pub to: Vec<String>,
    /// The processor: host, cortex-m0, cortex-m3, cortex-m4, cortex-m7, cortex-m33, cortex-m55 or
    /// rv32; host by default. The outputs are the same on all of them.
    #[arg(long, value_name = "NAME")]
    pub target: Option<String>,
    /// The board, in place of its processor; `burn-ptq boards` lists them.
    #[arg(long, value_name = "NAME")]
    pub board: Option<String>,
    /// The name that functions, files and the crate are named after; defaults to the name of the model.
    /// Models in the same firmware need different names.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Rust only: share the kernels that an earlier export wrote to this folder. Cargo accepts only one
    /// kernels package in a firmware.
    #[arg(long, value_name = "DIR")]
    pub kernels: Option<PathBuf>,
    /// C only: write the device side of a benchmark beside the network. There is one: mlperf-tiny, for
    /// the host and cortex-m0, cortex-m3, cortex-m4 and cortex-m7.
    #[arg(long, value_name = "NAME")]
    pub harness: Option<String>,
    /// The benchmark's model: ic01, kws01, vww01 or ad01; by default the one that has the model's shapes.
    #[arg(long, value_name = "MODEL", requires = "harness")]
    pub harness_model: Option<String>,
    /// For kws01, what the bytes are that the benchmark sends: (byte - ZERO_POINT) * SCALE.
    #[arg(long, value_name = "SCALE,ZERO_POINT", requires = "harness", allow_hyphen_values = true)]
    pub harness_features: Option<String>,
    /// Run one layer after the other with whole, unpacked activations. By default, layers run row by row
    /// and 4-bit activations are packed where that saves RAM.
    #[arg(long, alias = "no-streaming")]
    pub whole_layers: bool,
    /// Take a recording frame by frame: each call takes the next frames, computes the new rows of every
    /// layer, and keeps what windows need of earlier ones. Outputs are those of the network that sees the
    /// whole recording, byte for byte.
    #[arg(long)]
    pub stream: bool,
    /// Frames that a call takes; by default the fewest that strides allow.
    #[arg(long, value_name = "N", requires = "stream")]
    pub chunk: Option<usize>,
    /// The axis of a sample that is time, counting from 0 without the batch axis; by default the only one
    /// that operations slide along.
    #[arg(long, value_name = "AXIS", requires = "stream")]
    pub time_axis: Option<usize>,
    /// The folder in which each exporter creates a subfolder with its name.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Run a study that compares recipes, and report which differences are significant.
///
/// Completes the missing runs and writes the report. A study can be killed at any time and started
/// again: every finished run is kept and not repeated.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Ablate {
    #[command(subcommand)]
    pub command: Option<AblateCommand>,
    /// The study: tasks, a base recipe, and experiments with their axes.
    #[arg(value_name = "STUDY.toml", required = true)]
    pub study: Option<PathBuf>,
    /// The folder for results.jsonl, with one line per finished run, and the report.
    #[arg(long, value_name = "DIR", required = true)]
    pub out: Option<PathBuf>,
    /// The folder that the paths of tasks are relative to. If the study has an `assets` key, defaults to
    /// the environment variable BURN_PTQ_ASSETS, then to that key; otherwise to the study's folder.
    #[arg(long, value_name = "DIR")]
    pub assets: Option<PathBuf>,
    /// The number of concurrent runs, 1 to 64; each uses several cores for part of its time.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub jobs: u8,
    /// Run only part i of n, and write results-i-of-n.jsonl for `burn-ptq ablate merge`.
    #[arg(long, value_name = "i/n")]
    pub shard: Option<Shard>,
    /// List the runs with their estimated times, without running any.
    #[arg(long)]
    pub dry_run: bool,
    /// Retry runs that failed before.
    #[arg(long)]
    pub retry_failed: bool,
    #[command(flatten)]
    pub backend: BackendArgument,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AblateCommand {
    /// Merge result files, such as those of shards, and write a report of all runs.
    Merge {
        /// Result files of the same study.
        #[arg(value_name = "RESULTS.jsonl", required = true)]
        results: Vec<PathBuf>,
        /// The folder for the merged results.jsonl and the report.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// The folder for the results.
    #[arg(long, value_name = "DIR", default_value = "burn-ptq-demo")]
    pub out: PathBuf,
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_are_consistent() {
        Arguments::command().debug_assert();
    }

    /// The commands in the indented blocks of a document, with continued lines joined.
    fn commands(text: &str) -> Vec<Vec<String>> {
        let joined = text.replace("\\\n", " ");
        let lines = joined.lines().filter_map(|line| line.strip_prefix("    "));
        let lines = lines.map(|line| line.trim().trim_start_matches("$ "));
        let lines = lines.map(|line| line.split(" #").next().unwrap_or_default());
        let words =
            |line: &str| line.split_whitespace().map(|w| w.trim_matches('\'').into()).collect();
        lines.filter(|line| line.starts_with("burn-ptq ")).map(words).collect()
    }

    #[test]
    fn every_command_of_the_readme_and_the_guide_parses() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let chapters = std::fs::read_dir(root.join("docs/guide/src")).unwrap();
        let mut documents: Vec<_> = chapters.map(|entry| entry.unwrap().path()).collect();
        documents.push(root.join("README.md"));
        let mut found = 0;
        for path in documents {
            for words in commands(&std::fs::read_to_string(&path).unwrap()) {
                found += 1;
                if let Err(error) = Arguments::try_parse_from(&words) {
                    panic!("{}: {words:?}: {error}", path.display());
                }
            }
        }
        assert!(found >= 8, "only {found} commands were recognized");
    }
}
