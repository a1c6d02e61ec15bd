//! The study file.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use burn_ptq::Cancelled;
use burn_ptq::recipe::overlay;
use burn_ptq_eval::Error;
use burn_ptq_eval::input::InputSettings;
use burn_ptq_eval::metric::{ClassAxis, Metric};
use burn_ptq_eval::task::{EvaluationFiles, Task, TaskError};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::fragment::set;

/// The largest study file that is read: 1 MiB.
pub const MAX_STUDY_BYTES: u64 = 1 << 20;

/// The most runs that a study may have. They are planned in memory, each with its recipe.
pub const MAX_RUNS: usize = 50_000;

/// The most combinations of values that the experiments of a study may have: each is checked.
const MAX_POINTS: usize = 10_000;

/// What to compare, on which tasks, how often.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Study {
    /// Its name.
    pub name: String,
    /// The folder from which the tasks' paths go; itself from the study file. That file's folder if
    /// absent.
    pub assets: Option<PathBuf>,
    /// Calibration sets that are drawn for each cell; each has seeds of its own.
    #[serde(default = "three")]
    pub draws: usize,
    /// Seeds for each calibration set.
    #[serde(default = "one")]
    pub seeds: usize,
    /// Evaluation samples, at the most.
    pub evaluation_samples: Option<usize>,
    /// The preset that the base recipe starts from; the default recipe if absent.
    pub preset: Option<String>,
    /// What the base recipe has otherwise.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(with = "burn_ptq::recipe::Recipe"))]
    pub base: Table,
    /// The tasks.
    #[serde(rename = "task")]
    pub tasks: Vec<TaskEntry>,
    /// The questions.
    #[serde(rename = "experiment")]
    pub experiments: Vec<Experiment>,
}

/// A task: a folder with `task.toml`, or its files; files win over the folder's.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TaskEntry {
    /// Its name in the report.
    pub name: String,
    /// The folder.
    pub folder: Option<PathBuf>,
    /// The float model.
    pub model: Option<PathBuf>,
    /// Calibration samples.
    pub calibration: Option<PathBuf>,
    /// Evaluation samples.
    pub evaluation: Option<PathBuf>,
    /// Their labels.
    pub labels: Option<PathBuf>,
    /// Their groups.
    pub groups: Option<PathBuf>,
    /// The metric.
    pub metric: Option<Metric>,
    /// The probability above which an output is positive.
    pub threshold: Option<f64>,
    /// The axis of the output that classes lie along.
    pub class_axis: Option<ClassAxis>,
    /// Factor, mean and standard deviation of raw elements, and how samples lie.
    pub preprocessing: Option<InputSettings>,
    /// For clips: consecutive frames of one input.
    pub window_frames: Option<usize>,
}

/// A question, and the recipes that answer it.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// The question, as the report's heading.
    pub question: String,
    /// What readers of the report should know about it.
    #[serde(default)]
    pub note: String,
    /// What holds for all its recipes, over the base recipe.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(with = "burn_ptq::recipe::Recipe"))]
    pub set: Table,
    /// The tasks; all if empty.
    #[serde(default)]
    pub tasks: Vec<String>,
    /// How axes combine.
    #[serde(default)]
    pub mode: Mode,
    /// What is varied. The first value of an axis is what its others are compared with.
    #[serde(rename = "axis")]
    pub axes: Vec<Axis>,
}

/// How the axes of an experiment combine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Every value with every value; each point is compared with the one that has the first value of
    /// the first axis, and is like it otherwise.
    #[default]
    Cross,
    /// One axis at a time, all others at their first values.
    OneAtATime,
}

/// Something that is varied: a key of the recipe, or several together.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Axis {
    /// Its name in the report; the key if absent.
    pub name: Option<String>,
    /// The recipe's key, as a dotted path.
    pub key: Option<String>,
    /// Its values.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<serde_json::Value>"))]
    pub values: Vec<Value>,
    /// In place of a key: named settings of several keys.
    #[serde(default)]
    pub cases: Vec<Case>,
}

/// Settings with a name.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The name.
    pub name: String,
    /// The preset under the settings, in place of the study's.
    pub preset: Option<String>,
    /// The settings.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(with = "burn_ptq::recipe::Recipe"))]
    pub set: Table,
}

/// Why a study cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StudyError {
    /// The file is not a study.
    #[error("{origin} is not a study: {problem}")]
    File {
        /// The file.
        origin: String,
        /// What is wrong.
        problem: String,
    },
    /// A result file cannot be used.
    #[error("{path}: {problem}")]
    Results {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A task cannot be opened.
    #[error("task '{task}': {source}")]
    Task {
        /// The task.
        task: String,
        /// What went wrong with it.
        source: Box<Error>,
    },
    /// Files cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The caller cancelled; what is finished is kept.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

fn one() -> usize {
    1
}

fn three() -> usize {
    3
}

impl Study {
    /// Parses a study; `origin` names it in errors.
    ///
    /// # Errors
    /// For unknown keys, with line and column, for names that are not there, and for recipes that
    /// cannot be.
    pub fn parse(text: &str, origin: &str) -> Result<Self, StudyError> {
        let wrong = |problem: String| StudyError::File { origin: origin.into(), problem };
        let study: Self = toml::from_str(text).map_err(|e| wrong(e.to_string()))?;
        study.validate().map_err(wrong)?;
        Ok(study)
    }

    fn validate(&self) -> Result<(), String> {
        for (key, count) in [("draws", self.draws), ("seeds", self.seeds)] {
            if count == 0 {
                return Err(format!("{key} is 0: expected at least 1"));
            }
        }
        if self.evaluation_samples == Some(0) {
            return Err("evaluation_samples is 0: expected at least 1".into());
        }
        let names: Vec<&str> = self.tasks.iter().map(|t| t.name.as_str()).collect();
        if names.is_empty() {
            return Err("there is no [[task]]: expected at least one".into());
        }
        let mut known = HashSet::new();
        if let Some(twice) = names.iter().find(|name| !known.insert(**name)) {
            return Err(format!("two tasks are called '{twice}'"));
        }
        if self.experiments.is_empty() {
            return Err("there is no [[experiment]]: expected at least one".into());
        }
        self.check_size()?;
        self.check_base()?;
        for experiment in &self.experiments {
            let here = |problem: String| format!("experiment '{}': {problem}", experiment.question);
            if let Some(task) = experiment.tasks.iter().find(|t| !known.contains(t.as_str())) {
                let known = names.join(", ");
                return Err(here(format!("there is no task '{task}': expected one of {known}")));
            }
            if experiment.axes.is_empty() {
                return Err(here("it has no [[experiment.axis]]: expected at least one".into()));
            }
            experiment.axes.iter().try_for_each(Axis::validate).map_err(here)?;
            self.check_recipes(experiment).map_err(here)?;
        }
        Ok(())
    }
}

impl Study {
    /// The study has no more combinations and runs than can be planned.
    fn check_size(&self) -> Result<(), String> {
        let each = self.draws.saturating_mul(self.seeds);
        let (mut points, mut runs) = (0_usize, 0_usize);
        for experiment in &self.experiments {
            let lengths = experiment.axes.iter().map(Axis::len);
            let here = match experiment.mode {
                Mode::Cross => lengths.fold(1, usize::saturating_mul),
                Mode::OneAtATime => lengths.fold(1, usize::saturating_add),
            };
            points = points.saturating_add(here);
            let tasks = match experiment.tasks.len() {
                0 => self.tasks.len(),
                named => named,
            };
            runs = runs.saturating_add(here.saturating_mul(tasks).saturating_mul(each));
        }
        if points > MAX_POINTS {
            return Err(format!(
                "the axes of its experiments have {points} combinations of values: expected at most \
                 {MAX_POINTS}; vary less at a time, or set mode = \"one-at-a-time\""
            ));
        }
        if runs > MAX_RUNS {
            return Err(format!(
                "it has up to {runs} runs (combinations of values, times tasks, times {} draws, times \
                 {} seeds): expected at most {MAX_RUNS}; lower draws or seeds, or make several studies \
                 of it",
                self.draws, self.seeds
            ));
        }
        Ok(())
    }
}

impl Axis {
    fn validate(&self) -> Result<(), String> {
        let name = self.name();
        match (&self.key, self.values.is_empty(), self.cases.is_empty()) {
            (Some(_), false, true) | (None, true, false) => {}
            _ => {
                return Err(format!(
                    "axis '{name}': expected a key with values, or cases, and not both"
                ));
            }
        }
        let mut labels = HashSet::new();
        for label in (0..self.len()).map(|level| self.label(level)) {
            if let Some(twice) = labels.replace(label) {
                return Err(format!("axis '{name}' has the value '{twice}' twice"));
            }
        }
        Ok(())
    }

    /// The number of its values.
    pub fn len(&self) -> usize {
        self.values.len().max(self.cases.len())
    }

    /// Whether it has no values; a parsed one has some.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its name in the report.
    pub fn name(&self) -> &str {
        self.name.as_deref().or(self.key.as_deref()).unwrap_or("setting")
    }

    /// The preset that a value chooses, if it does.
    pub(super) fn preset(&self, level: usize) -> Option<&str> {
        self.cases.get(level)?.preset.as_deref()
    }

    /// The name of a value.
    pub fn label(&self, level: usize) -> String {
        match (self.cases.get(level), self.values.get(level)) {
            (Some(case), _) => case.name.clone(),
            (None, Some(value)) => super::fragment::label(value),
            (None, None) => String::new(),
        }
    }

    /// A value as a number, if it is one.
    pub fn number(&self, level: usize) -> Option<f64> {
        self.values.get(level).and_then(super::fragment::number)
    }

    /// Sets a value in a recipe.
    pub(super) fn apply(&self, recipe: &mut Table, level: usize) {
        if let Some(case) = self.cases.get(level) {
            overlay(recipe, &case.set);
        } else if let (Some(key), Some(value)) = (&self.key, self.values.get(level)) {
            set(recipe, key, value);
        }
    }
}

impl TaskEntry {
    /// The task, whose paths go from `assets`.
    ///
    /// # Errors
    /// If the folder is not a task folder, or the model or the calibration data are not named.
    pub fn task(&self, assets: &Path) -> Result<Task, StudyError> {
        let wrong = |source: TaskError| StudyError::Task {
            task: self.name.clone(),
            source: Box::new(source.into()),
        };
        let at = |path: &Option<PathBuf>| path.as_ref().map(|p| assets.join(p));
        let mut task = match &self.folder {
            Some(folder) => Task::open(&assets.join(folder)).map_err(wrong)?,
            None => Task::new(self.name.clone(), PathBuf::new()),
        };
        task.name.clone_from(&self.name);
        if let Some(model) = at(&self.model) {
            task.model = model;
        }
        task.calibration = at(&self.calibration).map(Into::into).or(task.calibration);
        if let Some(samples) = at(&self.evaluation) {
            let samples = samples.into();
            task.evaluation = Some(EvaluationFiles { samples, ..Default::default() });
        }
        if let Some(files) = &mut task.evaluation {
            files.labels = at(&self.labels).or(files.labels.take());
            files.groups = at(&self.groups).or(files.groups.take());
        }
        task.metric = self.metric.unwrap_or(task.metric);
        let options = &mut task.metric_options;
        options.threshold = self.threshold.or(options.threshold);
        options.class_axis = self.class_axis.or(options.class_axis);
        if let Some(preprocessing) = &self.preprocessing {
            let window_frames = task.input.window_frames;
            task.input = preprocessing.clone();
            task.input.window_frames = task.input.window_frames.or(window_frames);
        }
        task.input.window_frames = self.window_frames.or(task.input.window_frames);
        let lacks = |what: &str| StudyError::File {
            origin: format!("task '{}'", self.name),
            problem: format!("no {what}: give a folder, or the files"),
        };
        if task.model.as_os_str().is_empty() {
            return Err(lacks("model"));
        }
        if task.evaluation.is_none() {
            return Err(lacks("evaluation data"));
        }
        Ok(task)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STUDY: &str = "name = 's'\n[[task]]\nname = 'a'\nfolder = 'a'\n[[experiment]]\n\
                         question = 'q'\n[[experiment.axis]]\n";

    fn problem(text: &str) -> String {
        Study::parse(text, "s.toml").unwrap_err().to_string()
    }

    #[test]
    fn wrong_studies_say_what_is_wrong() {
        for (axis, message) in [
            ("kee = 'x'", "unknown field `kee`"),
            ("key = 'weights.bits'", "expected a key with values, or cases"),
            ("key = 'weights.bits'\nvalues = [9]", "experiment 'q': with weights.bits = 9: "),
            ("key = 'weights.bitz'\nvalues = [4]", "did you mean `bits`?"),
            ("key = 'rounding'\nvalues = ['gpqt']", "did you mean 'gptq'?"),
            ("key = 'weights.bits'\nvalues = [4, 4]", "has the value '4' twice"),
        ] {
            let found = problem(&format!("{STUDY}{axis}"));
            assert!(found.contains(message), "{axis}: {found}");
        }
        let bits = "key = 'weights.bits'\nvalues = [4]";
        let found = problem(&format!("draws = 0\n{STUDY}{bits}"));
        assert!(found.contains("draws is 0"), "{found}");
        for (key, message) in [
            ("draws = 1000000000000", "it has up to 1000000000000 runs"),
            ("draws = 9223372036854775807\nseeds = 9223372036854775807", "expected at most 50000"),
        ] {
            let found = problem(&format!("{key}\n{STUDY}{bits}"));
            assert!(found.contains(message), "{found}");
        }
        let values: Vec<String> = (0..100).map(|i| i.to_string()).collect();
        let axis = format!("key = 'seed'\nvalues = [{}]\n[[experiment.axis]]\n", values.join(","));
        let found = problem(&format!("{STUDY}{}{bits}", axis.repeat(40)));
        assert!(found.contains("combinations of values: expected at most 10000"), "{found}");
        let tasks = STUDY.replace("question = 'q'", "question = 'q'\ntasks = ['b']");
        let found = problem(&format!("{tasks}{bits}"));
        assert!(found.contains("there is no task 'b': expected one of a"), "{found}");
    }
}
