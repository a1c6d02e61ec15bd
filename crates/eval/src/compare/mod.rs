//! Models side by side: float networks, integer programs and reports of quantizations. The first is what the
//! others are compared with.
//!
//! - Metrics, if there are evaluation data: every model is judged on the same samples, so that differences
//!   are tested in pairs ([`statistics`](crate::statistics), as in studies), and the classes that two models
//!   predict can be compared. The claim is about these models: how another seed or other calibration samples
//!   would have come out, only a study can tell.
//! - Costs: constants, arena, and what is predicted for targets.
//! - Layers, matched by name, down to the integers of two programs.
//! - What they were made of, and how.
//!
//! | file | what |
//! |---|---|
//! | `subject.rs`, `letters.rs` | opening what is compared, and what messages call it |
//! | `recorded.rs` | reading `report.json` |
//! | `metrics.rs` | judging on the same samples, and tests |
//! | `costs.rs`, `layers.rs`, `settings.rs` | the rest, each side by side |

mod costs;
mod error;
mod layers;
mod letters;
mod metrics;
mod recorded;
mod settings;
mod subject;

use std::path::PathBuf;

use burn::tensor::Device;
use burn_ptq::Progress;
use burn_ptq::Warning;
use burn_ptq_deploy::place::Placed;
use serde::Serialize;

use crate::error::Error;
use crate::metric::Interval;
use crate::task::Task;
use subject::Subject;

pub use costs::ComparedCost;
pub use error::CompareError;
pub use layers::{ComparedLayer, IntegerDifference, LayerOfModel};
pub use letters::MOST_MODELS;
pub use metrics::{ComparedMetric, MetricDifference, MetricOfModel};
pub use settings::Setting;

/// The version of the form of [`Compared`] as JSON.
pub const SCHEMA_VERSION: u32 = 1;

/// Models side by side. Lists with a value for each model are in the order of [`models`](Self::models).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// [`SCHEMA_VERSION`]: grows when a field changes its meaning or goes; new fields leave it.
    pub schema_version: u32,
    /// The models; the others are compared with the first.
    pub models: Vec<ComparedModel>,
    /// The metric on the same samples, and those of further outputs; empty without evaluation data.
    pub metrics: Vec<ComparedMetric>,
    /// What the report of each model states of its metric; empty with evaluation data, and if none does.
    pub stated: Vec<Option<StatedMetric>>,
    /// What they cost.
    pub costs: Vec<ComparedCost>,
    /// The layers, in the order of the first model.
    pub layers: Vec<ComparedLayer>,
    /// In what they differ of what they were made of, and how.
    pub settings: Vec<Setting>,
    /// How data were read, where that is not evident.
    pub notes: Vec<String>,
    /// Reasons to doubt the comparison.
    pub warnings: Vec<Warning>,
}

/// A model that is compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparedModel {
    /// What messages call it: `A`, `B` and so on.
    pub letter: String,
    /// As it was named.
    pub path: String,
    /// `integer`, `float`, or `report` for a report alone.
    pub kind: &'static str,
    /// The bits in short, such as `W4A8`; absent for float networks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Whether it is the same program as the first; absent for the first, and unless both are programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<Sameness>,
}

/// Whether a program is the same as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sameness {
    /// All bytes are the same.
    Same,
    /// All but the name and the provenance are the same: outputs are the same for every input.
    SameButProvenance,
    /// Something else differs.
    Differs,
}

impl Sameness {
    fn of(program: &Placed, first: &Placed) -> Self {
        if program == first {
            return Self::Same;
        }
        let alike = program.nodes == first.nodes
            && program.tensors == first.tensors
            && program.inputs == first.inputs
            && program.outputs == first.outputs
            && program.placement() == first.placement();
        if alike { Self::SameButProvenance } else { Self::Differs }
    }
}

/// What a report states of its metric.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StatedMetric {
    /// The metric's name.
    pub metric: String,
    /// The output that it judges.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Evaluated samples.
    pub samples: Option<usize>,
    /// The metric of the integer program.
    pub integer: Option<f64>,
    /// Its 95 % confidence interval over evaluation samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integer_ci: Option<Interval>,
    /// The metric of the float network that it was made of.
    pub float: Option<f64>,
    /// Its 95 % confidence interval over evaluation samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub float_ci: Option<Interval>,
}

impl StatedMetric {
    fn of(subject: &Subject) -> Option<Self> {
        let report = subject.report.as_ref()?;
        Some(Self {
            metric: report.metric.clone()?,
            output: report.output.clone(),
            samples: report.samples,
            integer: report.integer,
            integer_ci: report.integer_ci,
            float: report.float,
            float_ci: report.float_ci,
        })
    }
}

/// Compares the models at `paths`: each a .bptq file, an .onnx file, a report.json, or a folder that a
/// [job](crate::job) wrote. `task` says on which data they are evaluated, if on any; its model is not
/// compared. Costs of programs are predicted on `targets`.
///
/// # Errors
/// If there are fewer than two models, one cannot be read, or they cannot be evaluated on the same data, and
/// on cancellation.
pub fn compare(
    paths: &[PathBuf],
    task: &Task,
    targets: &[String],
    device: &Device,
    progress: Progress,
) -> Result<Compared, CompareError> {
    if !(2..=MOST_MODELS).contains(&paths.len()) {
        return Err(CompareError::Count { found: paths.len() });
    }
    let open = |(index, path): (u8, &PathBuf)| Subject::open(index, path, task);
    let subjects = (0..).zip(paths).map(open).collect::<Result<Vec<_>, _>>()?;
    let settings = settings::differing(&subjects);
    let mut warnings = settings::warnings(&subjects, &settings);
    let costs = costs::compare_costs(&subjects, targets)?;
    let layers = layers::compare_layers(&subjects).map_err(Error::from)?;
    let (mut metrics, mut notes, mut stated) = (Vec::new(), Vec::new(), Vec::new());
    if task.evaluation.is_some() {
        let found = metrics::evaluate(&subjects, task, device, progress)?;
        (metrics, notes) = (found.metrics, found.notes);
        warnings.extend(found.warnings);
    } else {
        stated = subjects.iter().map(StatedMetric::of).collect();
        if stated.iter().all(Option::is_none) {
            stated.clear();
        }
        warnings.extend(unlike(&subjects));
        warnings.extend(judged_differently(&subjects, &stated));
    }
    let models = subjects.iter().enumerate().map(|(index, subject)| {
        let first = (index > 0).then(|| subjects[0].program()).flatten();
        ComparedModel {
            letter: subject.letter.clone(),
            path: subject.path.display().to_string(),
            kind: subject.kind(),
            label: subject.label(),
            program: subject.program().zip(first).map(|(own, first)| Sameness::of(own, first)),
        }
    });
    let models = models.collect();
    let schema_version = SCHEMA_VERSION;
    Ok(Compared {
        schema_version,
        models,
        metrics,
        stated,
        costs,
        layers,
        settings,
        notes,
        warnings,
    })
}

/// The warning that models do not take the same inputs, or do not give the same outputs.
fn unlike(subjects: &[Subject]) -> Option<Warning> {
    let mut known = subjects.iter().filter_map(|subject| Some((subject, subject.shapes()?)));
    let (first, shapes) = known.next()?;
    let (other, others) = known.find(|(_, others)| *others != shapes)?;
    Some(Warning::new(
        "different-shapes",
        format!(
            "{} takes inputs of shapes {:?} and gives outputs of {:?}, {} takes {:?} and gives {:?}",
            first.letter,
            shapes.inputs,
            shapes.outputs,
            other.letter,
            others.inputs,
            others.outputs
        ),
        "they are not forms of the same network; only their costs can be compared",
    ))
}

/// The warning that reports state another metric, or one of other samples.
fn judged_differently(subjects: &[Subject], stated: &[Option<StatedMetric>]) -> Option<Warning> {
    let known = subjects.iter().zip(stated);
    let mut known = known.filter_map(|(subject, stated)| Some((&subject.letter, stated.as_ref()?)));
    let (first, metric) = known.next()?;
    let of = |metric: &StatedMetric| (metric.metric.clone(), metric.output.clone(), metric.samples);
    let (other, others) = known.find(|(_, others)| of(others) != of(metric))?;
    let words = |stated: &StatedMetric| {
        let samples = stated.samples.map_or("unknown samples".into(), |n| format!("{n} samples"));
        format!("{} on {samples}", stated.metric)
    };
    Some(Warning::new(
        "different-evaluations",
        format!(
            "the report of {first} states {}, that of {other} {}: they do not bear comparison",
            words(metric),
            words(others)
        ),
        "give --task or --eval to evaluate both on the same samples",
    ))
}

#[cfg(test)]
mod tests;
