//! The report of a quantization: what `report.json` holds.
//!
//! `report.html` shows the same numbers: see [`page`](crate::page).

mod arena;
mod budgets;
mod curves;
mod histogram;
mod program;
mod stream;

use std::collections::BTreeMap;

use burn_ptq::Warning;
use burn_ptq::network::MeasuredOn;
use burn_ptq_deploy::export::ExportError;
use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::preprocess::Preprocessing;
use burn_ptq_deploy::size::size_report;
use burn_ptq_deploy::target::Kernels;
use burn_ptq_deploy::verify::VerifyError;
use serde::Serialize;

use crate::costs::Cost;
use crate::explain::LayerCost;
use crate::fit::Fit;
use crate::metric::{Interval, Judgement};

pub use arena::{ArenaReport, ArenaTensor, Role, StepReport};
pub use budgets::{BudgetReport, BudgetUse};
pub use curves::{RocReport, ScatterReport};
pub use histogram::{GridReport, HistogramReport, Unit};
pub use program::{DEFAULT_TARGET, Source, share_of, sources_of_layer};
pub use stream::{StreamReport, StreamedOutputReport};

/// The version of the form of `report.json`.
pub const SCHEMA_VERSION: u32 = 1;

/// Everything that a quantization found out. Field names are stable.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Report {
    /// [`SCHEMA_VERSION`]: grows when a field changes its meaning or goes; new fields leave it.
    pub schema_version: u32,
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
    /// How the metric judges, where that does not follow from its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric_note: Option<String>,
    /// Evaluated samples.
    pub samples: usize,
    /// The metric of the float network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub float: Option<f64>,
    /// Its 95 % confidence interval over evaluation samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub float_ci: Option<Interval>,
    /// The metric of the simulated network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub simulated: Option<f64>,
    /// Its 95 % confidence interval over evaluation samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub simulated_ci: Option<Interval>,
    /// The metric of the integer program: the headline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integer: Option<f64>,
    /// Its 95 % confidence interval over evaluation samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integer_ci: Option<Interval>,
    /// Further figures that belong to the metric, such as the F1 score.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub figures: Vec<FigureReport>,
    /// How often each class is taken for each other one; absent unless classes are judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confusion: Option<ConfusionReport>,
    /// ROC curves of both networks, one for each of the first 16 groups; absent unless scores are judged.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roc: Vec<RocReport>,
    /// Outputs of both networks beside their targets; absent unless there are targets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scatter: Option<ScatterReport>,
    /// The metrics of further outputs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub further: Vec<MetricReport>,
    /// Seconds of each stage.
    pub seconds: BTreeMap<String, f64>,
    /// What exported code takes: the figures to plan with.
    pub exported: ExportedSize,
    /// Bytes of constants of the program as `model.bptq` holds it, which runs one operation after the
    /// other; counted as those of [`exported`](Self::exported).
    pub flash_bytes: usize,
    /// Bytes of its arena.
    pub ram_bytes: usize,
    /// What it takes on microcontrollers, by predictions for exported C at -O2.
    pub costs: Vec<Cost>,
    /// The microcontroller whose `instructions` the layers have, and whose arena is `arena`: the one that
    /// was asked for, otherwise a Cortex-M4.
    pub target: &'static str,
    /// What of it budgets allow; absent unless bits were chosen to fit budgets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budgets: Option<BudgetReport>,
    /// What lies in memory there, and when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arena: Option<ArenaReport>,
    /// Multiply-accumulates of one inference.
    pub macs: usize,
    /// Weights of the network.
    pub weights: usize,
    /// Weights of the program, which does without channels that cannot change its outputs.
    pub kept_weights: usize,
    /// The operations of the program, in order.
    pub layers: Vec<LayerReport>,
    /// Which samples the layers' `sqnr_db` were measured on.
    pub sqnr_on: MeasuredOn,
    /// How many.
    pub sqnr_samples: usize,
    /// How raw samples become the first input, as the program records it.
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::preprocessing::schema"))]
    pub preprocessing: Preprocessing,
    /// The inputs, in order.
    pub inputs: Vec<InputReport>,
    /// The outputs, in order.
    pub outputs: Vec<OutputReport>,
    /// The output that the metric judges; absent without evaluation data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// The names of the classes, if known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// How data were read, where that is not evident.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Warnings to read before trusting the results.
    pub warnings: Vec<Warning>,
    /// What quantizing a single layer costs; absent unless asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explain: Option<ExplainReport>,
    /// How bits were chosen by budgets; absent unless asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fit: Option<Fit>,
    /// What it takes frame by frame; absent unless the recipe asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<StreamReport>,
}

/// An input of the model.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InputReport {
    /// Its name.
    pub name: String,
    /// The shape of one sample.
    pub shape: Vec<usize>,
    /// How raw samples become it, as the program records it.
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::preprocessing::schema"))]
    pub preprocessing: Preprocessing,
}

impl InputReport {
    pub(crate) fn new(input: &burn_ptq_deploy::program::Input) -> Self {
        Self {
            name: input.name.clone(),
            shape: input.border.source_shape.clone(),
            preprocessing: input.preprocessing.clone(),
        }
    }
}

/// An output of the model.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OutputReport {
    /// Its name.
    pub name: String,
    /// The shape of one sample.
    pub shape: Vec<usize>,
    /// Its bits.
    pub bits: u8,
    /// What writes it.
    pub from: Source,
    /// The signal-to-quantization-noise ratio in dB, on the samples of [`Report::sqnr_on`]; absent where
    /// nothing differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sqnr_db: Option<f64>,
}

/// Flash and RAM of an export for any machine: layers run row by row, and activations of 4 bits and
/// fewer lie packed, where that saves memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExportedSize {
    /// Bytes of weights as stored, biases, multipliers, tables and parameters of operations, as in
    /// the linker's map of portable C on a machine of 32 bits; without code.
    pub flash_bytes: usize,
    /// Bytes of the arena.
    pub ram_bytes: usize,
    /// Operations that run row by row.
    pub row_by_row: usize,
}

impl ExportedSize {
    /// What an export of `program` takes.
    ///
    /// # Errors
    /// If its arena is too large.
    pub fn of(program: &Placed) -> Result<Self, ExportError> {
        Ok(Self::placed(program)?)
    }

    /// The same.
    ///
    /// # Errors
    /// Likewise.
    pub(crate) fn placed(program: &Placed) -> Result<Self, VerifyError> {
        let exported = program.place_again(Kernels::Portable, Memory::Reduced)?;
        let sizes = size_report(&exported);
        Ok(Self {
            flash_bytes: sizes.flash_bytes,
            ram_bytes: sizes.ram_bytes,
            row_by_row: exported.streams().iter().map(|stream| stream.rows.len()).sum(),
        })
    }
}

/// A further figure of the metric, a share.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FigureReport {
    /// Its name.
    pub name: &'static str,
    /// That of the float network.
    pub float: f64,
    /// Its 95 % confidence interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub float_ci: Option<Interval>,
    /// That of the integer program.
    pub integer: f64,
    /// Its interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integer_ci: Option<Interval>,
}

/// Counts by label (rows) and prediction (columns).
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConfusionReport {
    /// The names of the classes, in order; empty if unknown.
    pub classes: Vec<String>,
    /// Those of the float network.
    pub float: Vec<Vec<u64>>,
    /// Those of the integer program.
    pub integer: Vec<Vec<u64>>,
}

impl ConfusionReport {
    /// The counts that both judgements have.
    fn of_both(float: &Judgement, integer: &Judgement, classes: &[String]) -> Option<Self> {
        let counts = |judgement: &Judgement| judgement.confusion.clone().map(|c| c.counts);
        let (float, integer) = counts(float).zip(counts(integer))?;
        let known = classes.len() == float.len();
        let classes = if known { classes.to_vec() } else { Vec::new() };
        Some(Self { classes, float, integer })
    }
}

impl Report {
    /// Records what the evaluation of the three networks found out; `classes` names the classes, if
    /// they are known.
    pub fn record(
        &mut self,
        float: &Judgement,
        simulated: &Judgement,
        integer: &Judgement,
        classes: &[String],
    ) {
        (self.float, self.float_ci) = (Some(float.metric), float.interval);
        (self.simulated, self.simulated_ci) = (Some(simulated.metric), simulated.interval);
        (self.integer, self.integer_ci) = (Some(integer.metric), integer.interval);
        self.figures = figures_of_both(float, integer);
        self.confusion = ConfusionReport::of_both(float, integer, classes);
        (self.roc, self.scatter) = curves::drawn(float, integer);
    }
}

/// The figures that both judgements have.
fn figures_of_both(float: &Judgement, integer: &Judgement) -> Vec<FigureReport> {
    let in_both = float.figures.iter().filter_map(|figure| {
        let other = integer.figures.iter().find(|other| other.name == figure.name)?;
        Some(FigureReport {
            name: figure.name,
            float: figure.value,
            float_ci: figure.interval,
            integer: other.value,
            integer_ci: other.interval,
        })
    });
    in_both.collect()
}

/// The metric of an output beside the headline's.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MetricReport {
    /// The output.
    pub output: String,
    /// The metric's name.
    pub metric: &'static str,
    /// How the metric judges, where that does not follow from its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric_note: Option<String>,
    /// The metric of the float network.
    pub float: f64,
    /// Its 95 % confidence interval over evaluation samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub float_ci: Option<Interval>,
    /// The metric of the simulated network.
    pub simulated: f64,
    /// Its 95 % confidence interval over evaluation samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub simulated_ci: Option<Interval>,
    /// The metric of the integer program.
    pub integer: f64,
    /// Its 95 % confidence interval over evaluation samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integer_ci: Option<Interval>,
    /// Further figures that belong to the metric.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub figures: Vec<FigureReport>,
    /// How often each class is taken for each other one; absent unless classes are judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confusion: Option<ConfusionReport>,
    /// ROC curves of both networks; absent unless scores are judged.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roc: Vec<RocReport>,
    /// Outputs of both networks beside their targets; absent unless there are targets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scatter: Option<ScatterReport>,
}

impl MetricReport {
    /// What the evaluation of the three networks found out of the output called `output`.
    pub fn new(
        output: &str,
        metric: &'static str,
        metric_note: Option<String>,
        [float, simulated, integer]: &[Judgement; 3],
    ) -> Self {
        let (roc, scatter) = curves::drawn(float, integer);
        Self {
            output: output.into(),
            metric,
            metric_note,
            float: float.metric,
            float_ci: float.interval,
            simulated: simulated.metric,
            simulated_ci: simulated.interval,
            integer: integer.metric,
            integer_ci: integer.interval,
            figures: figures_of_both(float, integer),
            confusion: ConfusionReport::of_both(float, integer, &[]),
            roc,
            scatter,
        }
    }
}

/// What it costs to quantize single layers, each alone.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExplainReport {
    /// How predictions are compared with the float network's: `kl-divergence` of the classes'
    /// probabilities, in nats, or `relative-squared-error` of the outputs, as a share of their variance.
    pub loss: &'static str,
    /// Which samples they are compared on.
    pub samples_are: MeasuredOn,
    /// How many.
    pub samples: usize,
    /// Evaluation samples behind `metric` and `lost`; 0 without evaluation data.
    pub evaluation_samples: usize,
    /// The layers, the one that changes predictions most first.
    pub layers: Vec<LayerCost>,
}

/// One operation of the program.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// What it reads, in order.
    pub inputs: Vec<Source>,
    /// Instructions on [`Report::target`]; null if its kernel was never measured.
    pub instructions: Option<u64>,
    /// Their share of those of all layers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_share: Option<f64>,
    /// Its weights before they were rounded, over their grid; absent without weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_histogram: Option<HistogramReport>,
    /// The float network's output over its grid, on the samples of [`Report::sqnr_on`]; absent for
    /// operations that the float network does not have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_histogram: Option<HistogramReport>,
}
