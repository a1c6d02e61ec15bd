//! Evaluation: one loop over the samples for the float, the simulated and the integer network.

mod predict;

use std::path::{Path, PathBuf};

pub use predict::{
    Predict, dequantize_outputs, float_predictor, integer_predictor, observed_integer_predictor,
    partly_quantized_predictor, quantize_inputs, simulated_predictor,
};

use crate::data::{DataError, Preprocessing, Samples, read_array};
use crate::metric::{Judge, Labels, Metric, MetricOptions, ModelOutput, Setting};
pub use crate::metric::{Judgement, Outcomes};
use crate::pipeline::{Event, PipelineError, Progress};

/// Samples, labels and how they are judged.
#[derive(Debug)]
pub struct Evaluation {
    /// The samples, or clips of frames (see `window_frames`).
    pub samples: Samples,
    /// Labels or targets, for metrics that need them.
    pub labels: Option<Labels>,
    /// The group of each sample, over which `auc` is averaged.
    pub groups: Option<Vec<i64>>,
    /// The metric.
    pub metric: Metric,
    /// What was chosen about it.
    pub options: MetricOptions,
    /// How raw elements become inputs.
    pub preprocessing: Preprocessing,
    /// For clips `[frames, features]`: how many consecutive frames make one input; a clip's score is
    /// the mean over its windows.
    pub window_frames: Option<usize>,
    /// The shape of an input.
    input: Vec<usize>,
    output: ModelOutput,
    /// The samples that are judged; all of them if absent.
    chosen: Option<Vec<usize>>,
}

/// Files of an evaluation.
#[derive(Clone, Debug, Default)]
pub struct EvaluationFiles {
    /// Samples.
    pub samples: PathBuf,
    /// Labels or targets.
    pub labels: Option<PathBuf>,
    /// Groups.
    pub groups: Option<PathBuf>,
}

impl Evaluation {
    /// Opens the files and checks that they fit each other, the metric, a model whose input is called
    /// `input` and has samples of `shape`, and the model's output.
    ///
    /// # Errors
    /// If they do not.
    pub fn open(
        files: &EvaluationFiles,
        (metric, options): (Metric, MetricOptions),
        preprocessing: Preprocessing,
        window_frames: Option<usize>,
        input: (&str, &[usize]),
        output: &ModelOutput,
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
        let expect_count = |labels: Labels| -> Result<Labels, DataError> {
            if labels.count() == samples.count() {
                return Ok(labels);
            }
            let axis = labels.shape().iter().position(|&extent| extent == samples.count());
            let hint = axis.map_or(String::new(), |axis| {
                format!(
                    "; axis {axis} counts as many as there are samples: move it to the front with \
                     numpy.moveaxis"
                )
            });
            Err(DataError::LabelCount {
                labels: labels.path().into(),
                samples: files.samples.clone(),
                found: labels.count(),
                expected: samples.count(),
                shape: format!(" (its shape is {:?}{hint})", labels.shape()),
            })
        };
        let read = |path: &PathBuf| expect_count(read_labels(path)?);
        let labels = files.labels.as_ref().map(read).transpose()?;
        let groups = files.groups.as_ref().map(read).transpose()?;
        let evaluation = Self {
            samples,
            labels,
            groups: groups.map(|groups| group_of_each(&groups, metric)).transpose()?,
            metric,
            options,
            preprocessing,
            window_frames,
            input: input.1.to_vec(),
            output: output.clone(),
            chosen: None,
        };
        evaluation.judge()?;
        Ok(evaluation)
    }

    /// The evaluation on `most` samples, evenly spread over the file; all if there are no more.
    pub fn limited_to(mut self, most: usize) -> Self {
        let count = self.count();
        if most >= count {
            return self;
        }
        let chosen: Vec<usize> = (0..most).map(|i| i * count / most).collect();
        self.labels = self.labels.map(|labels| labels.of(&chosen));
        self.groups = self.groups.map(|groups| chosen.iter().map(|&i| groups[i]).collect());
        self.chosen = Some(chosen);
        self
    }

    /// The number of samples (or clips) that are judged.
    pub fn count(&self) -> usize {
        self.chosen.as_ref().map_or(self.samples.count(), Vec::len)
    }

    /// How the metric judges, where that does not follow from its name.
    ///
    /// # Errors
    /// If the samples that were chosen do not determine the metric.
    pub fn note(&self) -> Result<Option<String>, PipelineError> {
        Ok(self.judge()?.note())
    }

    /// One integer a sample, if the labels are that.
    pub fn class_labels(&self) -> Option<Vec<i64>> {
        self.labels.as_ref().and_then(Labels::integers)
    }

    fn judge(&self) -> Result<Box<dyn Judge + '_>, PipelineError> {
        let setting = Setting {
            samples: self.count(),
            input: &self.input,
            output: &self.output,
            labels: self.labels.as_ref(),
            groups: self.groups.as_deref(),
            windows: self.window_frames.is_some(),
            options: self.options,
        };
        self.metric.judge(&setting).map_err(|problem| self.wrong(problem))
    }

    fn wrong(&self, problem: String) -> PipelineError {
        PipelineError::Metric { metric: self.metric.name(), problem }
    }

    /// Judges a network.
    ///
    /// # Errors
    /// If a batch cannot be read or run, outputs are NaN, or `progress` cancels.
    pub fn run(
        &self,
        stage: &str,
        predict: Predict,
        progress: Progress,
    ) -> Result<f64, PipelineError> {
        Ok(self.judge_samples(stage, predict, progress)?.metric)
    }

    /// As [`run`](Self::run), and tells how the network did on each sample, and how certain that is.
    ///
    /// # Errors
    /// Likewise.
    pub fn judge_samples(
        &self,
        stage: &str,
        predict: Predict,
        progress: Progress,
    ) -> Result<Judgement, PipelineError> {
        if !progress(Event::Stage { stage }) {
            return Err(PipelineError::Cancelled);
        }
        let mut judge = self.judge()?;
        // A clip is a batch of windows by itself.
        let batch = if self.window_frames.is_some() { 1 } else { 64 };
        let sample_len: usize = self.samples.sample_shape().iter().product();
        let batches: Box<dyn Iterator<Item = Result<Vec<f32>, DataError>>> = match &self.chosen {
            None => Box::new(self.samples.batches(batch, None, &self.preprocessing)?),
            Some(chosen) => Box::new(self.samples.chosen(chosen, batch, &self.preprocessing)?),
        };
        let mut done = 0;
        for values in batches {
            let values = values?;
            let count = values.len() / sample_len;
            let inputs = match self.window_frames {
                Some(frames) => windows(&values, frames, self.samples.sample_shape()[1]),
                None => values,
            };
            let outputs = predict(inputs.clone())?;
            let samples = inputs.chunks(inputs.len() / count);
            for (output, input) in outputs.chunks(outputs.len() / count).zip(samples) {
                let nan = output.iter().filter(|x| x.is_nan()).count();
                if nan > 0 {
                    return Err(self.wrong(format!(
                        "{nan} of {} outputs of sample {done} are NaN; check the model and the input \
                         scaling",
                        output.len()
                    )));
                }
                judge.add(output, input);
                done += 1;
            }
            if !progress(Event::Progress { stage, done, total: Some(self.count()) }) {
                return Err(PipelineError::Cancelled);
            }
        }
        judge.finish().map_err(|problem| self.wrong(problem))
    }
}

/// Labels or targets from a file.
fn read_labels(path: &Path) -> Result<Labels, DataError> {
    let (shape, values) = read_array(path)?;
    Ok(Labels::new(path, shape, values))
}

/// The group of each sample.
fn group_of_each(groups: &Labels, metric: Metric) -> Result<Vec<i64>, PipelineError> {
    groups.integers().ok_or_else(|| PipelineError::Metric {
        metric: metric.name(),
        problem: format!(
            "the groups in {} of shape {:?} are not one whole number a sample",
            groups.path().display(),
            groups.shape()
        ),
    })
}

/// All windows of `frames` consecutive frames of a clip, flattened.
fn windows(clip: &[f32], frames: usize, features: usize) -> Vec<f32> {
    let count = clip.len() / features - frames + 1;
    let window = |i| clip[i * features..(i + frames) * features].iter().copied();
    (0..count).flat_map(window).collect()
}
