//! A task that is opened: its model read, its data at hand. Whatever quantizes a task starts here,
//! a single [job](crate::job) and every run of a study alike.

use std::time::Instant;

use burn::tensor::Device;
use burn_ptq::CalibrateError;
use burn_ptq::Unroll;
use burn_ptq::graph::{Batch, Graph};
use burn_ptq::import::onnx;
use burn_ptq::{Calibrated, Progress, Quantized, Quantizer, Recipe};
use burn_ptq_deploy::preprocess::Preprocessing;

use crate::data::{DataError, Inputs, by_steps, steps_of, with_label_column};
use crate::error::Error;
use crate::evaluate::Evaluation;
use crate::fit::{Fit, Found, Question, fit};
use crate::input::ModelInput;
use crate::metric::{ChoiceError, Metric, ModelOutput};
use crate::task::{EvaluationFiles, JudgedOutput, Task};

/// A task with its model read and its data opened.
#[derive(Debug)]
pub struct OpenTask {
    /// The float network.
    pub graph: Graph,
    /// SHA-256 of the model's file.
    pub model_sha256: String,
    /// The model's inputs, with what the data say of them themselves.
    pub inputs: Vec<ModelInput>,
    /// The output that is judged and that classes are those of; `None` where none of several was named.
    pub output: Option<String>,
    /// Calibration samples; every window of a recording is one.
    pub calibration: Option<Inputs>,
    /// SHA-256 of the calibration data; empty if there are none.
    pub calibration_sha256: String,
    /// Evaluation samples and how they are judged.
    pub evaluation: Option<Evaluation>,
    /// The evaluations of further outputs, on the same samples.
    pub further: Vec<Evaluation>,
    /// How data were read, where that is not evident.
    pub notes: Vec<String>,
    /// Seconds that reading the model took.
    pub import_seconds: f64,
}

/// A task that is quantized.
#[derive(Debug)]
pub struct QuantizedTask {
    /// The network.
    pub quantized: Quantized,
    /// The recipe that says all its bits.
    pub recipe: Recipe,
    /// How they were chosen; absent if the recipe said them itself.
    pub fit: Option<Fit>,
}

impl OpenTask {
    /// Reads the model of `task` and opens its data; those of calibration only `with_calibration`.
    ///
    /// # Errors
    /// If a file cannot be read, or does not fit the model.
    pub fn open(task: &Task, with_calibration: bool) -> Result<Self, Error> {
        let clock = Instant::now();
        let onnx::Model { graph, sha256, .. } = task.read_model()?;
        let import_seconds = clock.elapsed().as_secs_f64();
        let mut inputs = ModelInput::all_of_graph(&graph, &task.input)?;
        // Which output the classes are those of matters only where there are some, or a metric.
        let judged = ModelOutput::of_graph(&graph, task.output.as_deref());
        let judged = match (judged, &task.evaluation) {
            (Err(error), Some(_)) => return Err(error.into()),
            (Err(error), None) if task.output.is_some() || !task.input.classes.is_empty() => {
                return Err(error.into());
            }
            (judged, _) => judged.ok(),
        };
        check_classes(judged.as_ref(), &inputs[0].classes)?;
        let calibration = match with_calibration {
            true => open_calibration(task, &inputs)?,
            false => None,
        };
        if let Some(samples) = &calibration {
            // The folders of both are the same classes, even if one lacks some.
            set_classes(&mut inputs, &samples.input().classes);
        }
        let evaluation = match &judged {
            Some(output) => open_evaluation(task, &inputs, output)?,
            None => None,
        };
        if let Some(evaluation) = &evaluation {
            set_classes(&mut inputs, &evaluation.samples.input().classes);
        }
        let output_of = |name: &str| ModelOutput::of_graph(&graph, Some(name));
        let further = open_further(task, evaluation.as_ref(), &inputs, output_of)?;
        let mut notes = task.notes_on_states(&graph);
        notes.extend(calibration.iter().flat_map(Inputs::notes).cloned());
        notes.extend(evaluation.iter().flat_map(Evaluation::notes).cloned());
        if let (Some(calibration), Some(evaluation)) = (&calibration, &evaluation) {
            notes.extend(evaluation.samples.element_notes(&calibration.preprocessings()));
        }
        // Folders may also hold samples of networks that tell no classes apart.
        if judged.is_none() || check_classes(judged.as_ref(), &inputs[0].classes).is_err() {
            set_classes(&mut inputs, &[]);
        }
        let calibration_sha256 = calibration.as_ref().map_or(Ok(String::new()), Inputs::hash)?;
        Ok(Self {
            graph,
            model_sha256: sha256,
            inputs,
            output: judged.map(|output| output.name),
            calibration,
            calibration_sha256,
            evaluation,
            further,
            notes,
            import_seconds,
        })
    }

    /// The calibration samples that `recipe` takes; none if it makes its own.
    ///
    /// # Errors
    /// If it takes some and there are none.
    fn samples_for(&self, recipe: &Recipe) -> Result<Option<&Inputs>, CalibrateError> {
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
            .with_preprocessings(self.preprocessings(samples))
            .with_classes_of(self.output.clone().unwrap_or_default(), self.classes().to_vec()))
    }

    fn preprocessings(&self, samples: Option<&Inputs>) -> Vec<Preprocessing> {
        match samples {
            // Those of steps: sequences have an axis more.
            Some(samples) if !self.graph.states.is_empty() => {
                let mut preprocessings = samples.preprocessings();
                preprocessings.iter_mut().for_each(|own| own.channel_axis -= 1);
                preprocessings
            }
            Some(samples) => samples.preprocessings(),
            None => self.inputs.iter().map(|input| input.preprocessing.clone()).collect(),
        }
    }

    /// The names of the classes, if known.
    pub fn classes(&self) -> &[String] {
        &self.inputs[0].classes
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

    /// Whether the outputs that are judged are logits of classes.
    pub fn classifies(&self) -> bool {
        self.evaluation.as_ref().is_some_and(|evaluation| evaluation.metric == Metric::Top1)
    }

    /// Quantizes by `recipe`, with bits that fit if it has budgets. `keep_all_channels` as
    /// [`Quantizer::keeping_all_channels`].
    ///
    /// # Errors
    /// As those of [`Quantizer::quantize_samples`] and of [`fit`], and if there are no samples.
    pub fn quantize(
        &self,
        recipe: &Recipe,
        keep_all_channels: bool,
        device: &Device,
        progress: Progress,
    ) -> Result<QuantizedTask, Error> {
        let mut by =
            |recipe: &Recipe| self.quantize_once(recipe, keep_all_channels, device, progress);
        if recipe.fit.is_none() {
            let (quantized, recipe) = (by(recipe)?, recipe.clone());
            return Ok(QuantizedTask { quantized, recipe, fit: None });
        }
        let question = Question { recipe, classifies: self.classifies(), device, progress };
        let Found { fit, recipe, quantized } = fit(question, &mut by)?;
        Ok(QuantizedTask { quantized, recipe, fit: Some(fit) })
    }

    /// Quantizes by a recipe that says all bits.
    ///
    /// # Errors
    /// As those of [`Quantizer::quantize_samples`], and if there are no samples.
    pub fn quantize_once(
        &self,
        recipe: &Recipe,
        keep_all_channels: bool,
        device: &Device,
        progress: Progress,
    ) -> Result<Quantized, Error> {
        let mut quantizer = self.quantizer(recipe, device)?;
        if keep_all_channels {
            quantizer = quantizer.keeping_all_channels();
        }
        let kept = quantizer.samples_kept();
        let calibrated = self.calibrate(&quantizer, recipe, None, kept, progress)?;
        Ok(quantizer.quantize_calibrated(calibrated, progress)?)
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
        if !self.graph.states.is_empty() {
            let device = quantizer.device();
            return self.calibrate_sequences(quantizer, recipe, (chosen, kept), device, progress);
        }
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

impl OpenTask {
    /// Calibrates a network with states: every step of every sequence is a sample, with the states that the
    /// float network has there.
    fn calibrate_sequences(
        &self,
        quantizer: &Quantizer,
        recipe: &Recipe,
        (chosen, kept): (Option<&[usize]>, usize),
        device: &Device,
        progress: Progress,
    ) -> Result<Calibrated, Error> {
        let Some(samples) = self.samples_for(recipe)? else {
            return Err(Error::StatesWithoutData);
        };
        let unroll = Unroll::new(&self.graph, device);
        let lens: Vec<usize> =
            self.inputs.iter().map(|input| input.shape.iter().product()).collect();
        let steps = samples.shape()[0];
        let batch = recipe.calibration.batch;
        let sequences = match chosen {
            None => samples.batches(batch, recipe.calibration.samples)?,
            Some(chosen) => samples.chosen(chosen, batch)?,
        };
        let batches = sequences.flat_map(|read| -> Vec<Result<Batch, DataError>> {
            let read = match read {
                Ok(read) => read,
                Err(error) => return vec![Err(error)],
            };
            let values = read.samples().flat_map(|sequence| by_steps(sequence, &lens, steps));
            let read = Batch { values: values.collect(), count: read.count };
            unroll.samples(&read).chunks(batch).map(Ok).collect()
        });
        let count = chosen.map_or(self.calibration_samples(recipe)?, <[usize]>::len);
        let expected = Some(count * steps);
        let graph = self.graph.clone();
        Ok(quantizer.calibrate_samples(graph, batches, expected, kept, progress)?)
    }
}

/// Whether a recipe makes its calibration samples itself.
pub(crate) fn is_data_free(recipe: &Recipe) -> bool {
    recipe.calibration.source.component().synthesis().is_some()
}

/// Checks that there are as many names of classes as outputs, along one of the output's axes; a single
/// output tells two classes apart.
fn check_classes(output: Option<&ModelOutput>, classes: &[String]) -> Result<(), Error> {
    if let Some(name) =
        classes.iter().enumerate().find_map(|(i, name)| classes[..i].contains(name).then_some(name))
    {
        return Err(Error::ClassTwice { name: name.clone() });
    }
    let Some(output) = output else { return Ok(()) };
    let count = classes.len();
    let single = output.len() == 1 && count == 2;
    if classes.is_empty() || count == output.len() || output.shape.contains(&count) || single {
        return Ok(());
    }
    Err(Error::Classes { found: count, output: output.name.clone(), shape: output.shape.clone() })
}

/// Opens the calibration samples of a task for a model with these inputs; every window of a recording
/// is a sample.
fn open_calibration(task: &Task, inputs: &[ModelInput]) -> Result<Option<Inputs>, DataError> {
    let Some(paths) = &task.calibration else { return Ok(None) };
    let labels = task.evaluation.as_ref().and_then(|files| files.labels.as_deref());
    let inputs = &with_label_column(inputs, labels);
    if !inputs[0].in_sequence {
        return Ok(Some(Inputs::open(paths, inputs)?.into_windows()));
    }
    let steps = steps_of(paths, inputs)?;
    let inputs: Vec<ModelInput> = inputs.iter().map(|input| input.in_sequences(steps)).collect();
    Ok(Some(Inputs::open(paths, &inputs)?))
}

fn set_classes(inputs: &mut [ModelInput], classes: &[String]) {
    inputs.iter_mut().for_each(|input| input.classes = classes.to_vec());
}

/// Opens the evaluation of a task for a model with these inputs and this output.
///
/// # Errors
/// If the files do not fit the model or each other.
pub fn open_evaluation(
    task: &Task,
    inputs: &[ModelInput],
    output: &ModelOutput,
) -> Result<Option<Evaluation>, Error> {
    let Some(files) = &task.evaluation else { return Ok(None) };
    Ok(Some(Evaluation::open(files, (task.metric, task.metric_options), inputs, output)?))
}

/// Opens the evaluations of the outputs of `task` beside the one of the headline, on the same samples;
/// `output_of` finds an output by its name. A table of the headline's own output is left out.
///
/// # Errors
/// If there is no such output, or files do not fit.
pub fn open_further(
    task: &Task,
    headline: Option<&Evaluation>,
    inputs: &[ModelInput],
    output_of: impl Fn(&str) -> Result<ModelOutput, ChoiceError>,
) -> Result<Vec<Evaluation>, Error> {
    let (Some(files), Some(headline)) = (&task.evaluation, headline) else { return Ok(Vec::new()) };
    let open = |judged: &JudgedOutput| {
        let output = output_of(&judged.output)?;
        let files = EvaluationFiles { labels: judged.labels.clone(), ..files.clone() };
        let metric = (judged.metric, judged.metric_options);
        Evaluation::open(&files, metric, inputs, &output)
    };
    let others = task.further.iter().filter(|judged| judged.output != headline.output().name);
    others.map(open).collect()
}
