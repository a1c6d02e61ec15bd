//! Evaluation: one loop over the samples for the float, the simulated and the integer network.

use std::path::PathBuf;
use std::sync::Arc;

use burn::tensor::Device;
use burn_ptq_deploy::interpreter::{self, Path as KernelPath, tensor_integers};
use burn_ptq_deploy::model::{DType, IntModel};

use crate::calibrate::{to_tensor, to_vec};
use crate::data::{DataError, Preprocessing, Samples, read_labels};
use crate::graph::{FloatModel, Graph};
use crate::metric::{Metric, argmax, auc};
use crate::pipeline::{Event, PipelineError, Progress};
use crate::quantized::{PartlyQuantized, QuantizedGraph, SimulatedModel};

/// Samples, labels and how they are judged.
#[derive(Debug)]
pub struct Evaluation {
    /// The samples, or clips of frames (see `window_frames`).
    pub samples: Samples,
    /// One label a sample; not needed for `mse`.
    pub labels: Option<Vec<i64>>,
    /// The group of each sample, over which `auc` is averaged.
    pub groups: Option<Vec<i64>>,
    /// The metric.
    pub metric: Metric,
    /// How raw elements become inputs.
    pub preprocessing: Preprocessing,
    /// For clips `[frames, features]`: how many consecutive frames make one input; a clip's score is
    /// the mean over its windows.
    pub window_frames: Option<usize>,
    /// The samples that are judged; all of them if absent.
    chosen: Option<Vec<usize>>,
}

/// What an evaluation found out.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// The metric.
    pub metric: f64,
    /// What it was computed from, sample by sample.
    pub outcomes: Outcomes,
}

/// How a network did on each sample.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcomes {
    /// Whether its class was right.
    Correct(Vec<bool>),
    /// Its anomaly score, or its squared error.
    Scores(Vec<f64>),
}

/// Files of an evaluation.
#[derive(Clone, Debug, Default)]
pub struct EvaluationFiles {
    /// Samples.
    pub samples: PathBuf,
    /// Labels.
    pub labels: Option<PathBuf>,
    /// Groups.
    pub groups: Option<PathBuf>,
}

/// Runs a batch of preprocessed samples, one after the other, and returns their outputs likewise,
/// in the order of the source model.
pub type Predict<'a> = &'a mut dyn FnMut(Vec<f32>) -> Result<Vec<f32>, PipelineError>;

impl Evaluation {
    /// Opens the files and checks that they fit each other and a model whose input is called `input`
    /// and has samples of `shape`.
    ///
    /// # Errors
    /// If they do not.
    pub fn open(
        files: &EvaluationFiles,
        metric: Metric,
        preprocessing: Preprocessing,
        window_frames: Option<usize>,
        input: (&str, &[usize]),
    ) -> Result<Self, PipelineError> {
        let samples = Samples::open(&files.samples)?;
        match window_frames {
            None => samples.expect_shape(input.0, input.1)?,
            Some(frames) => {
                let fits = matches!(samples.sample_shape(), [all, features]
                    if *all >= frames && frames * features == input.1.iter().product::<usize>());
                if !fits {
                    return Err(DataError::SampleShape {
                        path: files.samples.clone(),
                        input: input.0.into(),
                        expected: input.1.to_vec(),
                        found: samples.sample_shape().to_vec(),
                        hint: "; windows of frames need clips [frames, features]",
                    }
                    .into());
                }
            }
        }
        let read = |path: &Option<PathBuf>| -> Result<Option<Vec<i64>>, DataError> {
            let Some(path) = path else { return Ok(None) };
            let labels = read_labels(path)?;
            if labels.len() == samples.count() {
                return Ok(Some(labels));
            }
            Err(DataError::LabelCount {
                labels: path.clone(),
                samples: files.samples.clone(),
                found: labels.len(),
                expected: samples.count(),
            })
        };
        let labels = read(&files.labels)?;
        let groups = read(&files.groups)?;
        if labels.is_none() && metric != Metric::Mse {
            let problem = "needs labels: give --labels Y.npy, one integer a sample".into();
            return Err(PipelineError::Metric { metric: metric.name(), problem });
        }
        let chosen = None;
        Ok(Self { samples, labels, groups, metric, preprocessing, window_frames, chosen })
    }

    /// The evaluation on `most` samples, evenly spread over the file; all if there are no more.
    pub fn limited_to(mut self, most: usize) -> Self {
        let count = self.count();
        if most >= count {
            return self;
        }
        let chosen: Vec<usize> = (0..most).map(|i| i * count / most).collect();
        for values in [&mut self.labels, &mut self.groups].into_iter().flatten() {
            *values = chosen.iter().map(|&i| values[i]).collect();
        }
        self.chosen = Some(chosen);
        self
    }

    /// The number of samples (or clips) that are judged.
    pub fn count(&self) -> usize {
        self.chosen.as_ref().map_or(self.samples.count(), Vec::len)
    }

    /// Judges a network.
    ///
    /// # Errors
    /// If a batch cannot be read or run, labels do not fit the outputs, or `progress` cancels.
    pub fn run(
        &self,
        stage: &str,
        predict: Predict,
        progress: Progress,
    ) -> Result<f64, PipelineError> {
        Ok(self.judge_samples(stage, predict, progress)?.metric)
    }

    /// As [`run`](Self::run), and tells how the network did on each sample.
    ///
    /// # Errors
    /// Likewise.
    pub fn judge_samples(
        &self,
        stage: &str,
        predict: Predict,
        progress: Progress,
    ) -> Result<Judgement, PipelineError> {
        progress(Event::Stage { stage });
        // A clip is a batch of windows by itself.
        let batch = if self.window_frames.is_some() { 1 } else { 64 };
        let sample_len: usize = self.samples.sample_shape().iter().product();
        let mut judged = Judged::default();
        let batches: Box<dyn Iterator<Item = Result<Vec<f32>, DataError>>> = match &self.chosen {
            None => Box::new(self.samples.batches(batch, None, &self.preprocessing)?),
            Some(chosen) => Box::new(self.samples.chosen(chosen, batch, &self.preprocessing)?),
        };
        for values in batches {
            let values = values?;
            match self.window_frames {
                Some(frames) => {
                    let features = self.samples.sample_shape()[1];
                    let windows = windows(&values, frames, features);
                    let outputs = predict(windows.clone())?;
                    judged.scores.push(squared_error(&outputs, &windows)?);
                }
                None => {
                    let outputs = predict(values.clone())?;
                    let count = values.len() / sample_len;
                    let pairs =
                        outputs.chunks(outputs.len() / count).zip(values.chunks(sample_len));
                    for (output, input) in pairs {
                        self.judge(&mut judged, output, input)?;
                    }
                }
            }
            let done = judged.seen.max(judged.scores.len());
            if !progress(Event::Progress { stage, done, total: Some(self.count()) }) {
                return Err(PipelineError::Cancelled);
            }
        }
        let metric = self.summarize(&judged)?;
        let outcomes = match self.metric {
            Metric::Top1 => Outcomes::Correct(judged.correct),
            Metric::Auc | Metric::Mse => Outcomes::Scores(judged.scores),
        };
        Ok(Judgement { metric, outcomes })
    }

    fn judge(
        &self,
        judged: &mut Judged,
        output: &[f32],
        input: &[f32],
    ) -> Result<(), PipelineError> {
        match (self.metric, &self.labels) {
            (Metric::Top1, Some(labels)) => {
                let label = labels[judged.seen];
                if !(0..output.len() as i64).contains(&label) {
                    let problem = format!(
                        "label {label} of sample {} is not a class: the model has {} outputs",
                        judged.seen,
                        output.len()
                    );
                    return Err(PipelineError::Metric { metric: self.metric.name(), problem });
                }
                judged.correct.push(argmax(output) as i64 == label);
            }
            // An anomaly score: the only output, the second of two classes, or the error of an
            // autoencoder.
            _ => judged.scores.push(match output {
                [score] => f64::from(*score),
                [normal, anomalous] => f64::from(anomalous - normal),
                _ => squared_error(output, input)?,
            }),
        }
        judged.seen += 1;
        Ok(())
    }

    fn summarize(&self, judged: &Judged) -> Result<f64, PipelineError> {
        let mean = |xs: &[f64]| xs.iter().sum::<f64>() / xs.len().max(1) as f64;
        match (self.metric, &self.labels) {
            (Metric::Top1, _) => {
                let correct = judged.correct.iter().filter(|&&c| c).count();
                Ok(correct as f64 / judged.seen.max(1) as f64)
            }
            (Metric::Mse, _) => Ok(mean(&judged.scores)),
            (Metric::Auc, labels) => {
                let labels = labels.as_deref().unwrap_or_default();
                let all = vec![0; labels.len()];
                let groups = self.groups.as_ref().unwrap_or(&all);
                let mut names = groups[..judged.scores.len()].to_vec();
                names.sort_unstable();
                names.dedup();
                let mut areas = Vec::new();
                for name in names {
                    let members = (0..judged.scores.len()).filter(|&i| groups[i] == name);
                    let (scores, anomalous): (Vec<f64>, Vec<bool>) =
                        members.map(|i| (judged.scores[i], labels[i] != 0)).unzip();
                    areas.push(auc(&scores, &anomalous).ok_or_else(|| PipelineError::Metric {
                        metric: "auc",
                        problem: format!("group {name} lacks normal or anomalous samples"),
                    })?);
                }
                Ok(mean(&areas))
            }
        }
    }
}

#[derive(Default)]
struct Judged {
    seen: usize,
    correct: Vec<bool>,
    scores: Vec<f64>,
}

/// All windows of `frames` consecutive frames of a clip, flattened.
fn windows(clip: &[f32], frames: usize, features: usize) -> Vec<f32> {
    let count = clip.len() / features - frames + 1;
    let window = |i| clip[i * features..(i + frames) * features].iter().copied();
    (0..count).flat_map(window).collect()
}

/// The mean squared difference.
fn squared_error(output: &[f32], target: &[f32]) -> Result<f64, PipelineError> {
    if output.len() != target.len() {
        return Err(PipelineError::Metric {
            metric: "mse",
            problem: format!(
                "the model gives {} outputs for {} inputs: a reconstruction error needs equally many",
                output.len(),
                target.len()
            ),
        });
    }
    let squares = output.iter().zip(target).map(|(a, b)| f64::from(a - b).powi(2));
    Ok(squares.sum::<f64>() / output.len().max(1) as f64)
}

/// Runs the float network.
pub fn float_predictor(
    graph: &Arc<Graph>,
    device: &Device,
) -> impl FnMut(Vec<f32>) -> Result<Vec<f32>, PipelineError> + use<> {
    let model = FloatModel::new(Arc::clone(graph), device);
    let (graph, device) = (Arc::clone(graph), device.clone());
    move |samples| Ok(to_vec(model.forward(to_tensor(&graph, samples, &device))))
}

/// Runs the simulated network.
pub fn simulated_predictor(
    quantized: &QuantizedGraph,
    device: &Device,
) -> impl FnMut(Vec<f32>) -> Result<Vec<f32>, PipelineError> + use<> {
    let model = SimulatedModel::new(quantized, device);
    let (graph, device) = (Arc::clone(&quantized.graph), device.clone());
    move |samples| Ok(to_vec(model.forward(to_tensor(&graph, samples, &device))))
}

/// Runs the float network with node `index` quantized: its weights and its output.
pub fn partly_quantized_predictor<'a>(
    quantized: &'a QuantizedGraph,
    index: usize,
    device: &'a Device,
) -> impl FnMut(Vec<f32>) -> Result<Vec<f32>, PipelineError> + 'a {
    let model = PartlyQuantized::new(quantized, index, device);
    move |samples| Ok(to_vec(model.forward(to_tensor(&quantized.graph, samples, device))))
}

/// Runs the integer program.
pub fn integer_predictor(
    program: &IntModel,
) -> impl FnMut(Vec<f32>) -> Result<Vec<f32>, PipelineError> + '_ {
    move |samples| {
        let inputs = quantize_inputs(program, &samples);
        let outputs = interpreter::run_batch(program, KernelPath::Fast, &inputs)?;
        Ok(dequantize_outputs(program, &outputs))
    }
}

/// Input bytes of the program for preprocessed samples of the source model, one after the other.
pub fn quantize_inputs(program: &IntModel, samples: &[f32]) -> Vec<u8> {
    let tensor = &program.tensors[program.input.0];
    let order = program.input_border.places();
    let mut bytes = Vec::with_capacity(samples.len() * tensor.dtype.bytes());
    for sample in samples.chunks(order.len()) {
        for &place in &order {
            let q = tensor.grid.quantize(sample[place]);
            match tensor.dtype {
                // Callers never see packed tensors.
                DType::I8 | DType::I4 => bytes.push(q as i8 as u8),
                DType::I16 => bytes.extend((q as i16).to_le_bytes()),
            }
        }
    }
    bytes
}

/// Outputs of the source model for output bytes of the program, one sample after the other.
pub fn dequantize_outputs(program: &IntModel, bytes: &[u8]) -> Vec<f32> {
    let tensor = &program.tensors[program.output.0];
    let order = program.output_border.places();
    let integers: Vec<i32> = tensor_integers(tensor, bytes).collect();
    let mut outputs = vec![0.0; integers.len()];
    for (output, sample) in outputs.chunks_mut(order.len()).zip(integers.chunks(order.len())) {
        for (&place, &q) in order.iter().zip(sample) {
            output[place] = tensor.grid.dequantize(q);
        }
    }
    outputs
}
