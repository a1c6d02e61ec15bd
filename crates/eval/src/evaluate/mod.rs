//! Evaluation: one loop over the samples for the float, the simulated and the integer network.

mod predict;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn_ptq::graph::Batch;
use burn_ptq::{Event, Progress};
use burn_ptq_deploy::program::Program;

pub use predict::{
    Predict, float_predictor, integer_predictor, observed_integer_predictor,
    partly_quantized_predictor, simulated_predictor,
};

use crate::data::{
    Array, DataError, Inputs, Samples, are_of_steps, by_steps, read_array, steps_of,
    with_label_column,
};
use crate::error::Error;
use crate::input::ModelInput;
use crate::metric::{
    Judge, Judgement, Labels, Metric, MetricError, MetricOptions, ModelOutput, Setting, listed,
};
use crate::statistics::Judge as Comparer;
use crate::task::EvaluationFiles;

/// Samples, labels and how they are judged.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// The samples, or recordings, whose score is the mean over their windows.
    pub samples: Arc<Inputs>,
    /// Labels or targets, for metrics that need them.
    pub labels: Option<Labels>,
    /// The group of each sample, over which `auc` is averaged.
    pub groups: Option<Vec<i64>>,
    /// The metric.
    pub metric: Metric,
    /// What was chosen about it.
    pub options: MetricOptions,
    output: ModelOutput,
    /// How labels were read, where that is not certain.
    notes: Vec<String>,
    /// The steps of the sequences, of a network with states.
    steps: Option<Steps>,
    /// The samples that are judged; all of them if absent.
    chosen: Option<Vec<usize>>,
}

/// The steps of sequences.
#[derive(Clone, Debug)]
struct Steps {
    /// How many a sequence has.
    count: usize,
    /// Whether each is judged, as labels of steps ask for; otherwise the last one.
    each: bool,
    /// The output of one step.
    output: ModelOutput,
}

impl Evaluation {
    /// Opens the files and checks that they fit each other, the metric, and the model's input and
    /// output. Labels that the samples hold themselves stand in for those of a file.
    ///
    /// # Errors
    /// If they do not.
    pub fn open(
        files: &EvaluationFiles,
        (metric, options): (Metric, MetricOptions),
        inputs: &[ModelInput],
        output: &ModelOutput,
    ) -> Result<Self, Error> {
        let inputs = &with_label_column(inputs, files.labels.as_deref());
        let steps = match inputs[0].in_sequence {
            true => Some(steps_of(&files.samples, inputs)?),
            false => None,
        };
        let in_sequences: Vec<ModelInput> =
            inputs.iter().map(|input| input.in_sequences(steps.unwrap_or(1))).collect();
        let stored = if steps.is_some() { &in_sequences } else { inputs };
        let samples = Arc::new(Inputs::open(&files.samples, stored)?);
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
                samples: files.samples.shown(),
                found: labels.count(),
                expected: samples.count(),
                shape: format!(" (its shape is {:?}{hint})", labels.shape()),
            })
        };
        let classes = &samples.input().classes;
        let mut notes = Vec::new();
        let mut read = |path: &PathBuf| {
            let (array, heading) = read_array(path)?.without_heading(samples.count());
            notes.extend(heading.map(|heading| {
                format!("{}: '{heading}' is taken as a heading, not as a label", path.display())
            }));
            expect_count(labels_of(path, array.in_order_of(classes, path)?))
        };
        let own = || samples.labels().map(|array| labels_of(&files.samples.shown(), array.clone()));
        let labels = files.labels.as_ref().map(&mut read).transpose()?.or_else(own);
        let groups = files.groups.as_ref().map(&mut read).transpose()?;
        // Names whose order nobody gave.
        if let Some(labels) = labels.as_ref().filter(|_| inputs[0].classes.is_empty())
            && !labels.classes().is_empty()
        {
            notes.push(format!(
                "{}: the names are numbered in their sorted order ({}); give --classes if the model has \
                 another order",
                labels.path().display(),
                listed(labels.classes())
            ));
        }
        let steps = steps.map(|count| {
            let shape = labels.as_ref().map_or(&[][..], Labels::shape);
            Steps { count, each: are_of_steps(shape, count), output: output.clone() }
        });
        let output = match &steps {
            Some(Steps { count, each: true, .. }) => {
                let shape = std::iter::once(*count).chain(output.shape.iter().copied()).collect();
                ModelOutput { shape, ..output.clone() }
            }
            _ => output.clone(),
        };
        let evaluation = Self {
            samples,
            labels,
            groups: groups.map(|groups| group_of_each(&groups, metric)).transpose()?,
            metric,
            options,
            output,
            notes,
            steps,
            chosen: None,
        };
        evaluation.judge()?;
        Ok(evaluation)
    }

    /// The evaluation on `most` samples, evenly spread over those that there are; all of them if there
    /// are no more.
    pub fn limited_to(&self, most: usize) -> Self {
        let count = self.count();
        let mut part = self.clone();
        if most >= count {
            return part;
        }
        let places: Vec<usize> = (0..most).map(|i| i * count / most).collect();
        part.labels = self.labels.as_ref().map(|labels| labels.of(&places));
        let groups = self.groups.as_ref();
        part.groups = groups.map(|groups| places.iter().map(|&i| groups[i]).collect());
        part.chosen = Some(match &self.chosen {
            Some(chosen) => places.iter().map(|&i| chosen[i]).collect(),
            None => places,
        });
        part
    }

    /// The number of samples (or clips) that are judged.
    pub fn count(&self) -> usize {
        self.chosen.as_ref().map_or(self.samples.count(), Vec::len)
    }

    /// Notes on how samples and labels were read.
    pub fn notes(&self) -> impl Iterator<Item = &String> {
        self.samples.notes().chain(&self.notes)
    }

    /// The output that is judged.
    pub fn output(&self) -> &ModelOutput {
        &self.output
    }

    /// The names of its classes that a program records.
    pub fn classes_of<'a>(&self, program: &'a Program) -> &'a [String] {
        program.outputs.get(self.output.index).map_or(&[], |output| &output.classes)
    }

    /// How the metric judges, where that does not follow from its name.
    ///
    /// # Errors
    /// If the samples that were chosen do not determine the metric.
    pub fn note(&self) -> Result<Option<String>, MetricError> {
        Ok(self.judge()?.note())
    }

    /// One integer a sample, if the labels are that.
    pub fn class_labels(&self) -> Option<Vec<i64>> {
        self.labels.as_ref().and_then(Labels::integers)
    }

    /// How networks are compared by what each sample adds to the metric; `None` if the metric does not follow
    /// from that.
    pub fn comparer(&self) -> Option<Comparer> {
        if self.metric != Metric::Auc {
            return self.metric.is_paired().then_some(Comparer::Mean);
        }
        let labels = self.class_labels()?;
        let groups = self.groups.clone().unwrap_or_else(|| vec![0; labels.len()]);
        Some(Comparer::Auc { anomalous: labels.iter().map(|&label| label != 0).collect(), groups })
    }

    fn judge(&self) -> Result<Box<dyn Judge + '_>, MetricError> {
        let setting = Setting {
            samples: self.count(),
            input: &self.compared_input().shape,
            output: &self.output,
            labels: self.labels.as_ref(),
            groups: self.groups.as_deref(),
            windows: self.samples.holds_recordings(),
            options: self.options,
        };
        self.metric.judge(&setting).map_err(|problem| self.wrong(problem))
    }

    /// Sequences step after step, where they are input after input; other samples as they are.
    fn by_steps(&self, samples: Batch) -> Batch {
        let Some(steps) = &self.steps else { return samples };
        let parts = self.samples.parts().iter();
        let lens: Vec<usize> =
            parts.map(|part| part.input().shape.iter().product::<usize>() / steps.count).collect();
        let values = samples.samples().flat_map(|sequence| by_steps(sequence, &lens, steps.count));
        Batch { values: values.collect(), count: samples.count }
    }

    /// Of all outputs of a sample, or of all steps of a sequence, what is judged.
    fn judged<'a>(&self, all: &'a [f32]) -> Cow<'a, [f32]> {
        match &self.steps {
            None => self.output.of_all(all),
            Some(steps) if steps.each => steps.output.of_all(all),
            Some(steps) => steps.output.of_all(&all[all.len() - steps.output.all..]),
        }
    }

    /// Of a sequence the inputs of its last step; other samples as they are.
    fn last_step<'a>(&self, sample: &'a [f32]) -> &'a [f32] {
        match &self.steps {
            Some(steps) if !steps.each => &sample[sample.len() / steps.count * (steps.count - 1)..],
            _ => sample,
        }
    }

    /// The input that a reconstruction is compared with: the first that has as many elements as the
    /// output, or the first.
    fn compared_input(&self) -> &ModelInput {
        let parts = self.samples.parts();
        let len = |part: &&Samples| part.input().shape.iter().product::<usize>();
        let alike = parts.iter().find(|part| len(part) == self.output.len());
        alike.unwrap_or(&parts[0]).input()
    }

    /// Of all inputs of samples that one.
    fn compared<'a>(&self, inputs: &'a [f32]) -> Cow<'a, [f32]> {
        let parts = self.samples.parts();
        if parts.len() == 1 {
            return Cow::Borrowed(inputs);
        }
        let len = |input: &ModelInput| input.shape.iter().product::<usize>();
        let own = self.compared_input();
        let before = parts.iter().map(Samples::input).take_while(|input| input.name != own.name);
        let start: usize = before.map(len).sum();
        let all: usize = parts.iter().map(|part| len(part.input())).sum();
        inputs.chunks(all).flat_map(|sample| &sample[start..start + len(own)]).copied().collect()
    }

    fn wrong(&self, problem: String) -> MetricError {
        MetricError { metric: self.metric.name(), problem }
    }

    /// Judges a network.
    ///
    /// # Errors
    /// If a batch cannot be read or run, outputs are NaN, or `progress` cancels.
    pub fn run(&self, stage: &str, predict: Predict, progress: Progress) -> Result<f64, Error> {
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
    ) -> Result<Judgement, Error> {
        Event::Stage { stage }.tell(progress)?;
        let mut judge = self.judge()?;
        let recordings = self.samples.holds_recordings();
        // The windows of a recording are a batch by themselves.
        let batch = if recordings { 1 } else { 64 };
        let batches: Box<dyn Iterator<Item = Result<Batch, DataError>>> = match &self.chosen {
            None => Box::new(self.samples.batches(batch, None)?),
            Some(chosen) => Box::new(self.samples.chosen(chosen, batch)?),
        };
        let mut done = 0;
        for inputs in batches {
            let inputs = self.by_steps(inputs?);
            let count = if recordings { 1 } else { inputs.count };
            let outputs = predict(inputs.clone())?;
            let samples = inputs.values.chunks(inputs.values.len() / count);
            let windows = outputs.len() / count;
            for (all, input) in outputs.chunks(windows).zip(samples) {
                let output = &*self.judged(all);
                let nan = output.iter().filter(|x| x.is_nan()).count();
                if nan > 0 {
                    return Err(self.wrong(format!(
                        "{nan} of {} outputs of sample {done} are NaN; check the model and the input \
                         scaling",
                        output.len()
                    ))
                    .into());
                }
                judge.add(output, &self.compared(self.last_step(input)));
                done += 1;
            }
            Event::Progress { stage, done, total: Some(self.count()) }.tell(progress)?;
        }
        judge.finish().map_err(|problem| self.wrong(problem).into())
    }
}

/// An array as labels or targets, which errors call `path`.
fn labels_of(path: &Path, array: Array) -> Labels {
    let values = array.floats();
    Labels::new(path, array.shape, values).with_classes(array.classes)
}

/// The group of each sample.
fn group_of_each(groups: &Labels, metric: Metric) -> Result<Vec<i64>, MetricError> {
    groups.integers().ok_or_else(|| MetricError {
        metric: metric.name(),
        problem: format!(
            "the groups in {} of shape {:?} are not one whole number a sample",
            groups.path().display(),
            groups.shape()
        ),
    })
}
