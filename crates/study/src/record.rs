//! What is known about studies, tasks and runs: the lines of a result file.

use std::collections::BTreeMap;

use burn_ptq_eval::metric::{Metric, Outcomes};
use serde::{Deserialize, Serialize};

/// A line of a result file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Record {
    /// The study that the lines after it belong to.
    Study(StudyRecord),
    /// A task.
    Task(Box<TaskRecord>),
    /// A run that has ended.
    Run(Box<RunRecord>),
}

/// A study.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StudyRecord {
    /// Its name.
    pub name: String,
    /// Its file's text.
    pub text: String,
    /// The version of the form of the lines after it; left out if it is 1, which the first files did not
    /// write.
    #[serde(default = "first_schema", skip_serializing_if = "is_first_schema")]
    pub schema_version: u32,
}

/// The version of the form of result lines: grows when a field changes its meaning or goes. New fields
/// that may be left out leave it.
pub(crate) const SCHEMA_VERSION: u32 = 1;

fn first_schema() -> u32 {
    1
}

fn is_first_schema(version: &u32) -> bool {
    *version == first_schema()
}

impl StudyRecord {
    /// A study whose lines have the present form.
    pub fn new(name: &str, text: &str) -> Self {
        Self { name: name.into(), text: text.into(), schema_version: SCHEMA_VERSION }
    }
}

/// A task, and how its float network does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TaskRecord {
    /// Its name.
    pub name: String,
    /// What its files and their use come to: runs of tasks that differ have different ids.
    pub fingerprint: String,
    /// SHA-256 of the model's file.
    pub model_sha256: String,
    /// SHA-256 of the calibration data; empty without.
    pub calibration_sha256: String,
    /// SHA-256 of the evaluation data.
    pub evaluation_sha256: String,
    /// Calibration samples that there are.
    pub calibration_samples: usize,
    /// Samples on which networks are judged.
    pub evaluation_samples: usize,
    /// The metric.
    pub metric: Metric,
    /// For AUC: whether each evaluated sample is an anomaly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anomalous: Option<Outcome>,
    /// For AUC: the group of each evaluated sample; absent if there is one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<i64>,
    /// The float network's metric.
    pub float: f64,
    /// How it did on each sample.
    pub outcomes: Outcome,
    /// Seconds of the float evaluation.
    pub seconds: BTreeMap<String, f64>,
}

/// A run: all that is needed to repeat it, and what it gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RunRecord {
    /// Follows from everything that the run computes.
    pub id: String,
    /// The task's name.
    pub task: String,
    /// The task's fingerprint.
    pub fingerprint: String,
    /// The version of burn-ptq.
    pub version: String,
    /// The backend that the float network ran on; left out if it is the first that there was.
    #[serde(default = "first_backend", skip_serializing_if = "is_first_backend")]
    pub backend: String,
    /// Which set of calibration samples was drawn.
    pub draw: usize,
    /// How many samples it has.
    pub samples: usize,
    /// The recipe as TOML, with its seed; what is left out is the default of this version.
    pub recipe: String,
    /// What the run gave; absent if it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Seconds of its stages; those that it shares with other runs are `calibrate`, and are zero
    /// for all but the first of these.
    pub seconds: BTreeMap<String, f64>,
}

/// What makes runs: a study's runs are all made by the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Producer {
    /// The version of burn-ptq.
    pub version: String,
    /// The backend that float networks run on. Its rounding may move a weight.
    pub backend: String,
}

impl Producer {
    /// This version, on the backend called `backend`.
    pub fn here(backend: &str) -> Self {
        Self { version: env!("CARGO_PKG_VERSION").into(), backend: backend.into() }
    }

    /// Whether the backend is the one that records and ids leave out.
    pub(super) fn on_first_backend(&self) -> bool {
        self.backend == FIRST_BACKEND
    }
}

impl Default for Producer {
    fn default() -> Self {
        Self::here(FIRST_BACKEND)
    }
}

/// What records without a backend were run on, whatever the default will be.
const FIRST_BACKEND: &str = "flex";

fn first_backend() -> String {
    FIRST_BACKEND.into()
}

fn is_first_backend(backend: &str) -> bool {
    backend == FIRST_BACKEND
}

impl RunRecord {
    /// What made it.
    pub fn producer(&self) -> Producer {
        Producer { version: self.version.clone(), backend: self.backend.clone() }
    }
}

/// What a run gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Measured {
    /// The metric of the integer program.
    pub metric: f64,
    /// How it did on each sample.
    pub outcomes: Outcome,
    /// Bytes of constants.
    pub flash_bytes: usize,
    /// Bytes of the arena.
    pub ram_bytes: usize,
    /// Multiply-accumulates.
    pub macs: usize,
    /// The sum over layers of multiply-accumulates times weight bits times input bits.
    pub bit_operations: usize,
    /// The layers with weights, in order.
    pub layers: Vec<LayerNoise>,
}

/// A layer's name, the bits of its weights, and the signal-to-quantization-noise ratio of its output
/// in dB; the ratio is absent where nothing differs, or nothing can be compared.
pub type LayerNoise = (String, u8, Option<f64>);

/// How a network did on each sample, in few characters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Right or wrong: the number of samples, and four of them in a hexadecimal digit, the first in
    /// its highest bit.
    Correct(usize, String),
    /// Scores: eight hexadecimal digits each, the bits of a 32-bit float.
    Scores(String),
}

impl Outcome {
    /// Packs the outcomes of samples into few characters.
    pub fn pack(outcomes: &Outcomes) -> Self {
        match outcomes {
            Outcomes::Correct(correct) => Self::bits(correct),
            Outcomes::Scores(scores) => Self::Scores(
                scores.iter().map(|&s| format!("{:08x}", (s as f32).to_bits())).collect(),
            ),
        }
    }

    /// Packs right and wrong answers.
    pub fn bits(correct: &[bool]) -> Self {
        let digit = |four: &[bool]| {
            let value = four.iter().enumerate().map(|(i, &bit)| u32::from(bit) << (3 - i)).sum();
            char::from_digit(value, 16).unwrap_or('0')
        };
        Self::Correct(correct.len(), correct.chunks(4).map(digit).collect())
    }

    /// Unpacks the outcomes; `None` if the digits are not those of packed ones.
    pub fn unpack(&self) -> Option<Outcomes> {
        match self {
            Self::Correct(count, digits) => {
                let values: Option<Vec<u32>> = digits.chars().map(|d| d.to_digit(16)).collect();
                let values = values.filter(|v| v.len() == count.div_ceil(4))?;
                let bit = |i: usize| values[i / 4] >> (3 - i % 4) & 1 == 1;
                Some(Outcomes::Correct((0..*count).map(bit).collect()))
            }
            Self::Scores(digits) => {
                let score = |at: usize| {
                    let bits = u32::from_str_radix(digits.get(at..at + 8)?, 16).ok()?;
                    Some(f64::from(f32::from_bits(bits)))
                };
                let scores: Option<Vec<f64>> = (0..digits.len()).step_by(8).map(score).collect();
                scores.map(Outcomes::Scores)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_survive_packing() {
        let correct: Vec<bool> = (0..23).map(|i| i % 3 == 0 || i == 22).collect();
        let packed = Outcome::pack(&Outcomes::Correct(correct.clone()));
        assert_eq!(packed.unpack(), Some(Outcomes::Correct(correct)));
        let scores = vec![0.5, -3.25, 1e-3_f32.into()];
        let packed = Outcome::pack(&Outcomes::Scores(scores.clone()));
        assert_eq!(packed.unpack(), Some(Outcomes::Scores(scores)));
    }

    #[test]
    fn damaged_outcomes_are_noticed() {
        assert_eq!(Outcome::Correct(9, "ff".into()).unpack(), None);
        assert_eq!(Outcome::Correct(8, "fg".into()).unpack(), None);
        assert_eq!(Outcome::Scores("3f8000".into()).unpack(), None);
    }
}
