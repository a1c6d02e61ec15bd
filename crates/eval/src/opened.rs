//! A task that is opened: its model read, its data at hand. Whatever quantizes a task starts here,
//! a single [job](crate::job) and every run of a study alike.

use std::time::Instant;

use burn::tensor::Device;
use burn_ptq::calibrate::CalibrateError;
use burn_ptq::graph::{Batch, Graph};
use burn_ptq::import::onnx;
use burn_ptq::{Calibrated, Progress, Quantizer, Recipe};
use burn_ptq_deploy::preprocess::Preprocessing;

use crate::data::{DataError, Samples};
use crate::error::Error;
use crate::evaluate::Evaluation;
use crate::input::ModelInput;
use crate::metric::ModelOutput;
use crate::task::Task;

/// A task with its model read and its data opened.
#[derive(Debug)]
pub struct OpenTask {
    /// The float network.
    pub graph: Graph,
    /// SHA-256 of the model's file.
    pub model_sha256: String,
    /// The model's input, with what the data say of it themselves.
    pub input: ModelInput,
    /// Calibration samples; every window of a recording is one.
    pub calibration: Option<Samples>,
    /// SHA-256 of the calibration data; empty if there are none.
    pub calibration_sha256: String,
    /// Evaluation samples and how they are judged.
    pub evaluation: Option<Evaluation>,
    /// How data were read, where that is not evident.
    pub notes: Vec<String>,
    /// Seconds that reading the model took.
    pub import_seconds: f64,
}

impl OpenTask {
    /// Reads the model of `task` and opens its data; those of calibration only `with_calibration`.
    ///
    /// # Errors
    /// If a file cannot be read, or does not fit the model.
    pub fn open(task: &Task, with_calibration: bool) -> Result<Self, Error> {
        let clock = Instant::now();
        let onnx::Model { graph, sha256 } = task.read_model()?;
        let import_seconds = clock.elapsed().as_secs_f64();
        let mut input = ModelInput::of_graph(&graph, &task.input)?;
        check_classes(&graph, &input.classes)?;
        let calibration = match with_calibration {
            true => open_calibration(task, &input)?,
            false => None,
        };
        if let Some(samples) = &calibration {
            // The folders of both are the same classes, even if one lacks some.
            input.classes.clone_from(&samples.input().classes);
        }
        let evaluation = match task.evaluation {
            Some(_) => open_evaluation(task, &input, &ModelOutput::of_graph(&graph, None)?)?,
            None => None,
        };
        if let Some(evaluation) = &evaluation {
            input.classes.clone_from(&evaluation.samples.input().classes);
        }
        let mut notes = Vec::new();
        for samples in calibration.iter().chain(evaluation.as_ref().map(|e| &*e.samples)) {
            notes.extend(samples.notes().iter().cloned());
        }
        if let (Some(calibration), Some(evaluation)) = (&calibration, &evaluation) {
            notes.extend(evaluation.samples.element_note(calibration.preprocessing()));
        }
        // Folders may also hold samples of networks that tell no classes apart.
        if check_classes(&graph, &input.classes).is_err() {
            input.classes.clear();
        }
        let calibration_sha256 = calibration.as_ref().map_or(Ok(String::new()), Samples::hash)?;
        Ok(Self {
            graph,
            model_sha256: sha256,
            input,
            calibration,
            calibration_sha256,
            evaluation,
            notes,
            import_seconds,
        })
    }

    /// The calibration samples that `recipe` takes; none if it makes its own.
    ///
    /// # Errors
    /// If it takes some and there are none.
    fn samples_for(&self, recipe: &Recipe) -> Result<Option<&Samples>, CalibrateError> {
        match (is_data_free(recipe), &self.calibration) {
            (true, _) => Ok(None),
            (false, Some(samples)) => Ok(Some(samples)),
            (false, None) => Err(CalibrateError::NoSamples),
        }
    }

    /// A quantizer that follows `recipe`, and records in programs what they were made of and how raw
    /// samples become inputs.
    ///
    /// # Errors
    /// If `recipe` takes calibration samples and there are none.
    pub fn quantizer(&self, recipe: &Recipe, device: &Device) -> Result<Quantizer, Error> {
        let samples = self.samples_for(recipe)?;
        let hash = samples.map_or(String::new(), |_| self.calibration_sha256.clone());
        Ok(Quantizer::new(recipe.clone())
            .with_device(device.clone())
            .with_hashes(self.model_sha256.clone(), hash)
            .with_preprocessing(self.preprocessing(samples).clone())
            .with_classes(self.input.classes.clone()))
    }

    fn preprocessing<'a>(&'a self, samples: Option<&'a Samples>) -> &'a Preprocessing {
        samples.map_or(&self.input.preprocessing, Samples::preprocessing)
    }

    /// How many samples `recipe` calibrates with.
    ///
    /// # Errors
    /// If it takes some and there are none.
    pub fn calibration_samples(&self, recipe: &Recipe) -> Result<usize, Error> {
        let synthesis = recipe.calibration.source.component().synthesis();
        let made = synthesis.map_or(0, |synthesis| synthesis.samples);
        let limit = recipe.calibration.samples.unwrap_or(usize::MAX);
        Ok(self.samples_for(recipe)?.map_or(made, |samples| limit.min(samples.count())))
    }

    /// Calibrates by `recipe` with the samples at these places, or with the first ones, as many as it
    /// says. `kept` samples are kept for later stages.
    ///
    /// # Errors
    /// As those of [`Quantizer::calibrate_samples`], and if there are no samples.
    pub fn calibrate(
        &self,
        quantizer: &Quantizer,
        recipe: &Recipe,
        chosen: Option<&[usize]>,
        kept: usize,
        progress: Progress,
    ) -> Result<Calibrated, Error> {
        let (graph, batch) = (self.graph.clone(), recipe.calibration.batch);
        let expected = self.calibration_samples(recipe)?;
        let calibrate = |batches: &mut dyn Iterator<Item = Result<Batch, DataError>>,
                         expected: usize| {
            quantizer.calibrate_samples(graph, batches, Some(expected), kept, progress)
        };
        let calibrated = match (self.samples_for(recipe)?, chosen) {
            (None, _) => calibrate(&mut std::iter::empty(), expected),
            (Some(samples), None) => {
                calibrate(&mut samples.batches(batch, recipe.calibration.samples)?, expected)
            }
            (Some(samples), Some(chosen)) => {
                calibrate(&mut samples.chosen(chosen, batch)?, chosen.len())
            }
        };
        Ok(calibrated?)
    }
}

/// Whether a recipe makes its calibration samples itself.
pub(crate) fn is_data_free(recipe: &Recipe) -> bool {
    recipe.calibration.source.component().synthesis().is_some()
}

/// Checks that there are as many names of classes as outputs, along one of the output's axes; a single
/// output tells two classes apart.
fn check_classes(graph: &Graph, classes: &[String]) -> Result<(), Error> {
    let output = graph.value(graph.output());
    let count = classes.len();
    let single = output.len() == 1 && count == 2;
    if classes.is_empty() || count == output.len() || output.shape.contains(&count) || single {
        return Ok(());
    }
    Err(Error::Classes { found: count, output: output.name.clone(), shape: output.shape.clone() })
}

/// Opens the calibration samples of a task for a model with this input; every window of a recording
/// is a sample.
fn open_calibration(task: &Task, input: &ModelInput) -> Result<Option<Samples>, DataError> {
    let Some(path) = &task.calibration else { return Ok(None) };
    Ok(Some(Samples::open(path, input)?.into_windows()))
}

/// Opens the evaluation of a task for a model with this input and output.
///
/// # Errors
/// If the files do not fit the model or each other.
pub fn open_evaluation(
    task: &Task,
    input: &ModelInput,
    output: &ModelOutput,
) -> Result<Option<Evaluation>, Error> {
    let Some(files) = &task.evaluation else { return Ok(None) };
    Ok(Some(Evaluation::open(files, (task.metric, task.metric_options), input, output)?))
}
