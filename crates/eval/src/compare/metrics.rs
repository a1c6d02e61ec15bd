//! Models judged on the same samples, with a paired test of their differences.

use burn::tensor::Device;
use burn_ptq::Progress;
use burn_ptq::Warning;
use serde::Serialize;

use super::CompareError;
use super::subject::{Network, Subject};
use crate::error::Error;
use crate::evaluate::{Evaluation, float_predictor, integer_predictor};
use crate::input::ModelInput;
use crate::metric::{Interval, Judgement, Metric, MetricError, ModelOutput, Outcomes};
use crate::opened::{open_evaluation, open_further};
use crate::statistics::{Claim, Judge as Comparer, correct};
use crate::task::Task;

/// A metric of all models, on the same samples.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparedMetric {
    /// The output that it judges.
    pub output: String,
    /// The metric.
    pub metric: Metric,
    /// Evaluation samples.
    pub samples: usize,
    /// Why differences are not tested; absent if they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_test: Option<String>,
    /// What it is for each model.
    pub models: Vec<MetricOfModel>,
}

/// The metric of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetricOfModel {
    /// The metric.
    pub value: f64,
    /// Its 95 % confidence interval over evaluation samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ci: Option<Interval>,
    /// How the metric judges, where that does not follow from its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// How it differs from the first model; absent for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against_first: Option<MetricDifference>,
}

/// How the metric of a model differs from that of the first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetricDifference {
    /// The model's less the first's.
    pub difference: f64,
    /// The paired test: `difference`, its 95 % confidence interval `interval`, `p`, `adjusted_p` and
    /// `verdict`; absent if the metric cannot be tested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<Claim>,
    /// The share of samples, or of their places, for which both predict the same class; absent unless classes
    /// are judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agreement: Option<f64>,
    /// Samples that only the first model gets right; absent unless samples are right or wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only_first_right: Option<usize>,
    /// Samples that only this model gets right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only_this_right: Option<usize>,
}

impl MetricDifference {
    /// Compares a judgement with that of the first model; a metric without a comparer is not tested.
    pub(super) fn new(
        metric: Metric,
        comparer: Option<&Comparer>,
        first: &Judgement,
        own: &Judgement,
    ) -> Self {
        let test = comparer.map(|comparer| {
            let values = |judgement: &Judgement| comparer.values(&judgement.outcomes);
            let binary = matches!(own.outcomes, Outcomes::Correct(_));
            let found = comparer.compare_networks(&values(own), &values(first), binary);
            Claim::new(&found, metric, own.outcomes == first.outcomes)
        });
        let [only_first_right, only_this_right] = match (&first.outcomes, &own.outcomes) {
            (Outcomes::Correct(first), Outcomes::Correct(own)) => {
                [only_right(first, own), only_right(own, first)].map(Some)
            }
            _ => [None, None],
        };
        Self {
            difference: own.metric - first.metric,
            test,
            agreement: agreement(first, own),
            only_first_right,
            only_this_right,
        }
    }
}

/// Samples that the first of two networks gets right and the second does not.
fn only_right(a: &[bool], b: &[bool]) -> usize {
    a.iter().zip(b).filter(|(a, b)| **a && !**b).count()
}

/// The share of predictions that are the same class.
fn agreement(a: &Judgement, b: &Judgement) -> Option<f64> {
    let (a, b) = (a.predicted.as_ref()?, b.predicted.as_ref()?);
    let same = a.iter().zip(b).filter(|(a, b)| a == b).count();
    (!a.is_empty()).then(|| same as f64 / a.len() as f64)
}

/// A model with the evaluations of its outputs, ready to run.
struct Opened<'a> {
    subject: &'a Subject,
    network: &'a Network,
    inputs: Vec<ModelInput>,
    /// The headline's, then those of further outputs.
    evaluations: Vec<Evaluation>,
}

/// What evaluations of several models found.
pub(super) struct Found {
    /// The metrics of the judged outputs.
    pub metrics: Vec<ComparedMetric>,
    /// How data were read.
    pub notes: Vec<String>,
    /// Reasons to doubt the comparison.
    pub warnings: Vec<Warning>,
}

/// Evaluates all models on the samples of `task`.
pub(super) fn evaluate(
    subjects: &[Subject],
    task: &Task,
    device: &Device,
    progress: Progress,
) -> Result<Found, CompareError> {
    let mut found = Found { metrics: Vec::new(), notes: Vec::new(), warnings: Vec::new() };
    // Whatever is wrong with any of them is found before the first runs.
    let mut judged = Vec::with_capacity(subjects.len());
    for subject in subjects {
        judged.push(subject.output(task.output.as_deref())?);
    }
    for (subject, output) in subjects.iter().zip(&judged).skip(1) {
        let inputs =
            |subject: &Subject| shapes(subject.shapes().iter().flat_map(|shapes| &shapes.inputs));
        let of_first = (inputs(&subjects[0]), inputs(subject));
        expect_same(&subjects[0], subject, "the inputs have the shapes", of_first)?;
        let outputs = (shapes([&judged[0].shape]), shapes([&output.shape]));
        expect_same(&subjects[0], subject, "the judged outputs have the shapes", outputs)?;
    }
    let mut all = Vec::with_capacity(subjects.len());
    for (subject, output) in subjects.iter().zip(&judged) {
        let network = subject.network()?;
        let opened = Opened::new(subject, network, output, task, &mut found);
        all.push(opened.map_err(|error| subject.wrong(error))?);
    }
    let Some((first, others)) = all.split_first() else { return Ok(found) };
    for other in others {
        first.expect_alike(other)?;
        found.warnings.extend(first.preprocessing_differs(other));
    }
    let mut judgements = Vec::with_capacity(all.len());
    for opened in &all {
        let judged = opened.judge(device, progress).map_err(|error| opened.subject.wrong(error))?;
        judgements.push(judged);
    }
    for index in 0..first.evaluations.len() {
        let models = all.iter().zip(&judgements);
        let models = models.map(|(opened, judged)| (&opened.evaluations[index], &judged[index]));
        let models: Vec<_> = models.collect();
        found.metrics.push(metric_of(&models).map_err(Error::from)?);
    }
    let models = found.metrics.iter_mut().flat_map(|metric| &mut metric.models);
    let differences = models.filter_map(|model| model.against_first.as_mut());
    correct(differences.filter_map(|difference| difference.test.as_mut()));
    Ok(found)
}

/// The metric of an output, of which each model has an evaluation and a judgement.
fn metric_of(models: &[(&Evaluation, &Judgement)]) -> Result<ComparedMetric, MetricError> {
    let (first, first_judged) = models[0];
    let (metric, comparer) = (first.metric, first.comparer());
    let mut compared = Vec::with_capacity(models.len());
    for (index, (evaluation, judged)) in models.iter().enumerate() {
        let against = || MetricDifference::new(metric, comparer.as_ref(), first_judged, judged);
        compared.push(MetricOfModel {
            value: judged.metric,
            ci: judged.interval,
            note: evaluation.note()?,
            against_first: (index > 0).then(against),
        });
    }
    let no_test = comparer.is_none().then(|| {
        format!(
            "{metric} does not follow from what each sample adds to it, so that differences are not tested: \
             judge by top1, binary or multilabel for a verdict"
        )
    });
    Ok(ComparedMetric {
        output: first.output().name.clone(),
        metric,
        samples: first.count(),
        no_test,
        models: compared,
    })
}

/// Shapes in words.
fn shapes<'a>(shapes: impl IntoIterator<Item = &'a Vec<usize>>) -> String {
    let shapes = shapes.into_iter().map(|shape| format!("{shape:?}"));
    shapes.collect::<Vec<_>>().join(", ")
}

/// Checks that something is the same for two models.
fn expect_same(
    first: &Subject,
    other: &Subject,
    what: &'static str,
    (first_shapes, shapes): (String, String),
) -> Result<(), CompareError> {
    if first_shapes == shapes {
        return Ok(());
    }
    let (first, path) = (first.path.clone(), other.path.clone());
    Err(CompareError::Shapes { first, path, what, first_shapes, shapes })
}

impl<'a> Opened<'a> {
    fn new(
        subject: &'a Subject,
        network: &'a Network,
        output: &ModelOutput,
        task: &Task,
        found: &mut Found,
    ) -> Result<Self, Error> {
        let inputs = match network {
            Network::Program(program) => {
                let (inputs, warnings) =
                    ModelInput::all_of_program(program, output.index, &task.input)?;
                found.warnings.extend(warnings.into_iter().map(|warning| Warning {
                    message: format!("{}: {}", subject.letter, warning.message),
                    ..warning
                }));
                inputs
            }
            Network::Float { graph, .. } => ModelInput::all_of_graph(graph, &task.input)?,
        };
        let headline = open_evaluation(task, &inputs, output)?.ok_or(Error::NoEvaluation)?;
        let mut notes: Vec<String> = headline.notes().cloned().collect();
        if let Network::Program(program) = network {
            let calibrated = program.inputs.iter().map(|input| &input.preprocessing);
            notes.extend(headline.samples.element_notes(calibrated));
        }
        notes.retain(|note| !found.notes.contains(note));
        found.notes.extend(notes);
        let output_of = |name: &str| network.output(Some(name));
        let mut evaluations = open_further(task, Some(&headline), &inputs, output_of)?;
        evaluations.insert(0, headline);
        Ok(Self { subject, network, inputs, evaluations })
    }

    /// Checks that another model is judged by outputs of the same shapes, on as many samples.
    fn expect_alike(&self, other: &Self) -> Result<(), CompareError> {
        let outputs =
            |opened: &Self| shapes(opened.evaluations.iter().map(|each| &each.output().shape));
        let both = (outputs(self), outputs(other));
        expect_same(self.subject, other.subject, "the judged outputs have the shapes", both)?;
        let count = |opened: &Self| opened.evaluations.iter().map(Evaluation::count).max();
        if let (Some(first_samples), Some(samples)) = (count(self), count(other))
            && first_samples != samples
        {
            let (first, path) = (self.subject.path.clone(), other.subject.path.clone());
            return Err(CompareError::Samples { first, path, first_samples, samples });
        }
        Ok(())
    }

    /// The warning that another model makes other inputs of the same samples.
    fn preprocessing_differs(&self, other: &Self) -> Option<Warning> {
        let pairs = self.inputs.iter().zip(&other.inputs);
        let (what, own, others) = pairs.flat_map(|(own, other)| own.differences(other)).next()?;
        Some(Warning::new(
            "preprocessing-differs",
            format!(
                "{what} is {own} for {}, and {others} for {}: they do not see the same inputs",
                self.subject.letter, other.subject.letter
            ),
            "a .onnx records no preprocessing: give --input-scale and the like, or --task; if the models \
             were calibrated differently, that is part of what is compared",
        ))
    }

    /// Judges all of its evaluations.
    fn judge(&self, device: &Device, progress: Progress) -> Result<Vec<Judgement>, Error> {
        let stage = format!("evaluate {}", self.subject.letter);
        let judge = |evaluation: &Evaluation| match self.network {
            Network::Program(program) => {
                evaluation.judge_samples(&stage, &mut integer_predictor(program), progress)
            }
            Network::Float { graph, .. } => {
                evaluation.judge_samples(&stage, &mut float_predictor(graph, device), progress)
            }
        };
        self.evaluations.iter().map(judge).collect()
    }
}
