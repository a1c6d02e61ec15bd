//! Task folders: a model, its data and how it is judged.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn_ptq::graph::{Graph, StateError, ValueId};
use burn_ptq::import;
use burn_ptq::import::onnx::{
    self, Encodings, ImportError, InputShape, Options, Problem, Requantize,
};
use burn_ptq_deploy::bounded;
use serde::Deserialize;

use crate::data::{SamplePaths, stored_sample_shape};
use crate::input::{InputSettings, Layout, NamedInput};
use crate::metric::{ClassAxis, Metric, MetricOptions};

/// The largest task.toml that is read: 1 MiB.
const MAX_BYTES: u64 = 1 << 20;

/// A model with its files, and how data become inputs and outputs a metric.
#[derive(Clone, Debug)]
pub struct Task {
    /// What reports call it.
    pub name: String,
    /// The ONNX or TensorFlow Lite file.
    pub model: PathBuf,
    /// Calibration samples.
    pub calibration: Option<SamplePaths>,
    /// Evaluation samples, labels and groups.
    pub evaluation: Option<EvaluationFiles>,
    /// The metric.
    pub metric: Metric,
    /// What is chosen about it.
    pub metric_options: MetricOptions,
    /// The output that the metric judges; the only one if left out.
    pub output: Option<String>,
    /// How further outputs are judged.
    pub further: Vec<JudgedOutput>,
    /// How raw samples become inputs.
    pub input: InputSettings,
    /// Shapes of the model's inputs, for axes that its file leaves open.
    pub shapes: Vec<InputShape>,
    /// What the model keeps from one step of a sequence to the next, as inputs and the outputs that they become;
    /// by default what names and shapes leave no doubt about.
    pub states: Vec<(String, String)>,
    /// What of a model that is quantized already is quantized anew.
    pub requantize: Option<Requantize>,
    /// Grids of the model's tensors, from a file beside it.
    pub encodings: Option<Encodings>,
}

/// Files of an evaluation.
#[derive(Clone, Debug, Default)]
pub struct EvaluationFiles {
    /// The file or folder of the samples, or one for each input.
    pub samples: SamplePaths,
    /// Labels or targets.
    pub labels: Option<PathBuf>,
    /// The file of the groups.
    pub groups: Option<PathBuf>,
}

/// How an output is judged beside the one that the headline is of.
#[derive(Clone, Debug)]
pub struct JudgedOutput {
    /// The output's name.
    pub output: String,
    /// The metric.
    pub metric: Metric,
    /// What is chosen about it.
    pub metric_options: MetricOptions,
    /// Labels or targets.
    pub labels: Option<PathBuf>,
}

/// A task description that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}", path = path.display())]
pub struct TaskError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong, and what is expected.
    pub problem: String,
}

/// Why a task's model cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// Its file cannot be imported.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// An input and an output cannot be a state.
    #[error(transparent)]
    State(#[from] StateError),
}

/// `task.toml`. Provenance is for human readers; it is accepted and not read.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct TaskFile {
    metric: Metric,
    threshold: Option<f64>,
    class_axis: Option<ClassAxis>,
    input_scale: Option<f32>,
    input_mean: Option<Vec<f32>>,
    input_std: Option<Vec<f32>>,
    layout: Option<Layout>,
    window_frames: Option<usize>,
    window_step: Option<usize>,
    #[serde(default)]
    classes: Vec<String>,
    output: Option<String>,
    /// How outputs other than `output` are judged, by their names.
    #[serde(default)]
    outputs: BTreeMap<String, OutputTable>,
    #[serde(default)]
    inputs: BTreeMap<String, NamedInput>,
    /// What the model keeps from one step of a sequence to the next.
    #[serde(default)]
    state: Vec<StateTable>,
    #[serde(rename = "float_metric")]
    _float_metric: Option<f64>,
    #[serde(rename = "int8_reference")]
    _int8_reference: Option<f64>,
    #[serde(rename = "calibration")]
    _calibration: Option<String>,
    #[serde(rename = "source")]
    _source: Option<String>,
}

/// A table `[[state]]`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct StateTable {
    /// The input.
    input: String,
    /// The output that it becomes.
    output: String,
}

/// A table `[outputs.NAME]`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct OutputTable {
    metric: Metric,
    threshold: Option<f64>,
    class_axis: Option<ClassAxis>,
    /// The file of its labels, in the folder of the task; `eval_y_NAME` with an ending if left out.
    labels: Option<PathBuf>,
}

impl Task {
    /// A task of the model alone, judged by top1 where data are given later.
    pub fn new(name: impl Into<String>, model: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            model: model.into(),
            calibration: None,
            evaluation: None,
            metric: Metric::Top1,
            metric_options: MetricOptions::default(),
            output: None,
            further: Vec::new(),
            input: InputSettings::default(),
            shapes: Vec::new(),
            states: Vec::new(),
            requantize: None,
            encodings: None,
        }
    }

    /// Reads `dir/task.toml` and finds `model.onnx` or `model.tflite`, `calib_x`, `eval_x`, `eval_y` and
    /// `eval_machine` beside it, each .npy, .npz or .csv; samples may also be folders of that name.
    /// Labels of an output that has a table of its own are `eval_y_NAME`.
    ///
    /// # Errors
    /// If the folder lacks the description or the model, or the description is wrong.
    pub fn open(dir: &Path) -> Result<Self, TaskError> {
        let path = dir.join("task.toml");
        let wrong = |problem: String| TaskError { path: path.clone(), problem };
        let text = bounded::read_to_string(&path, MAX_BYTES).map_err(|e| {
            wrong(format!(
                "cannot be read ({e}); a task folder holds task.toml, model.onnx, \
                           calib_x.npy, eval_x.npy and eval_y.npy"
            ))
        })?;
        let file: TaskFile = toml::from_str(&text).map_err(|e| wrong(e.to_string()))?;
        for (key, value) in
            [("window_frames", file.window_frames), ("window_step", file.window_step)]
        {
            if value == Some(0) {
                return Err(wrong(format!("{key} is 0: expected at least 1")));
            }
        }
        let options = MetricOptions { threshold: file.threshold, class_axis: file.class_axis };
        options.check().map_err(wrong)?;
        let array = |stem: &str| {
            let candidates = ["npy", "npz", "csv"].map(|e| dir.join(format!("{stem}.{e}")));
            let file = candidates.into_iter().find(|p| p.is_file());
            file.or_else(|| Some(dir.join(stem)).filter(|p| p.is_dir()))
        };
        if let Some(name) = file.output.as_ref().filter(|name| file.outputs.contains_key(*name)) {
            return Err(wrong(format!(
                "the output '{name}' is judged twice: `metric` judges it, since `output` names it, and so \
                 does [outputs.{name}]; leave one of them out"
            )));
        }
        let mut further = Vec::with_capacity(file.outputs.len());
        for (output, table) in file.outputs {
            let OutputTable { metric, threshold, class_axis, labels } = table;
            let metric_options = MetricOptions { threshold, class_axis };
            let own = |problem| wrong(format!("[outputs.{output}]: {problem}"));
            metric_options.check().map_err(own)?;
            let labels = labels.map(|file| dir.join(file));
            let labels = labels.or_else(|| array(&format!("eval_y_{output}")));
            further.push(JudgedOutput { output, metric, metric_options, labels });
        }
        let evaluation = array("eval_x").map(|samples| EvaluationFiles {
            samples: samples.into(),
            labels: array("eval_y"),
            groups: array("eval_machine"),
        });
        // Whichever is there; messages about a missing one name the usual one.
        let tflite = dir.join("model.tflite");
        let model = Some(dir.join("model.onnx")).filter(|onnx| onnx.is_file() || !tflite.is_file());
        let model = model.unwrap_or(tflite);
        let folder = dir.canonicalize().unwrap_or_else(|_| dir.into());
        Ok(Self {
            name: folder.file_name().map_or("task".into(), |n| n.to_string_lossy().into_owned()),
            model,
            calibration: array("calib_x").map(Into::into),
            evaluation,
            metric: file.metric,
            metric_options: options,
            output: file.output,
            further,
            input: InputSettings {
                scale: file.input_scale,
                mean: file.input_mean,
                std: file.input_std,
                layout: file.layout,
                window_frames: file.window_frames,
                window_step: file.window_step,
                classes: file.classes,
                inputs: file.inputs,
            },
            shapes: Vec::new(),
            states: file.state.into_iter().map(|state| (state.input, state.output)).collect(),
            requantize: None,
            encodings: None,
        })
    }

    /// Makes `output` the one of the headline, in place of the one before; a table of its own says how it
    /// is judged.
    pub fn judge(&mut self, output: &str) {
        if let Some(place) = self.further.iter().position(|judged| judged.output == output) {
            let JudgedOutput { metric, metric_options, labels, .. } = self.further.remove(place);
            (self.metric, self.metric_options) = (metric, metric_options);
            if let Some(files) = &mut self.evaluation {
                files.labels = labels;
            }
        }
        self.output = Some(output.into());
    }

    /// Reads the model. Axes that neither its file nor [`shapes`](Self::shapes) fix have the extents
    /// of the samples.
    ///
    /// # Errors
    /// If the model cannot be imported, or an input and an output cannot be a state.
    pub fn read_model(&self) -> Result<onnx::Model, ModelError> {
        let mut model = self.read_stateless()?;
        let states = match self.states.is_empty() {
            true => model.graph.likely_states(),
            false => self.states.clone(),
        };
        for (input, output) in states {
            model.graph.declare_state(&input, &output)?;
        }
        Ok(model)
    }

    /// What is said of states that were found and not declared.
    pub(crate) fn notes_on_states(&self, graph: &Graph) -> Vec<String> {
        let name = |id: ValueId| graph.value(id).name.clone();
        let found = graph.states.iter().filter(|_| self.states.is_empty()).map(|state| {
            let (input, output) = (name(graph.inputs[state.input]), name(graph.outputs[state.output]));
            format!(
                "the input '{input}' is a state that becomes the output '{output}', by their names and shapes; \
                 --state {input}={output} says the same"
            )
        });
        found.collect()
    }

    fn read_stateless(&self) -> Result<onnx::Model, ImportError> {
        let mut options = Options {
            shapes: self.shapes.clone(),
            requantize: self.requantize,
            encodings: self.encodings.clone(),
            ..Options::default()
        };
        let read = import::read(&self.model, &options);
        let is_open = |problem: &Problem| problem.op == "input";
        match &read {
            Err(ImportError::Unsupported { problems, .. }) if problems.iter().any(is_open) => {
                options.sample = self.stored_sample();
                import::read(&self.model, &options)
            }
            // Of a fixed batch, only samples may tell on which axis it is. Windows are not stored as samples.
            Ok(model) if self.input.window_frames.is_none() => {
                options.sample = self.stored_sample();
                let fits = |model: &onnx::Model| {
                    let graph = &model.graph;
                    options
                        .sample
                        .as_ref()
                        .is_none_or(|own| *own == graph.value(graph.input()).shape)
                };
                if fits(model) || model.graph.inputs.len() > 1 {
                    return read;
                }
                import::read(&self.model, &options).ok().filter(fits).map_or(read, Ok)
            }
            _ => read,
        }
    }

    /// The shape of a stored sample, if there is one; what is wrong with samples is told when they are needed.
    fn stored_sample(&self) -> Option<Vec<usize>> {
        let evaluation = self.evaluation.as_ref().map(|files| &files.samples);
        let mut files = self.calibration.iter().chain(evaluation).filter_map(SamplePaths::single);
        files.find_map(|path| stored_sample_shape(path).ok().flatten())
    }
}
