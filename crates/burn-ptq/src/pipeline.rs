//! The one pipeline: prepare, calibrate, quantize, lower.

mod given;
mod options;
mod uncalibrated;

pub use given::quantize_as_given;
pub use uncalibrated::quantize_uncalibrated;

use std::sync::Arc;
use std::time::Instant;

use burn::tensor::{Device, Tensor};
use burn_ptq_deploy::preprocess::Preprocessing;
use burn_ptq_deploy::program::{Output, Program, Provenance};
use burn_ptq_deploy::streaming::Streaming;

use crate::bits::BitPlan;
use crate::calibrate::suspicious::suspicious_values;
use crate::calibrate::synthesize::synthesize;
use crate::calibrate::{BatchShapeError, CalibrateError, Calibration, SeveralEnds, calibrate};
use crate::condition::ChannelRanges;
use crate::error::{CalibratedError, Error};
use crate::event::{Event, Progress};
use crate::graph::{Batch, FloatModel, Graph, Value, extents};
use crate::lower::lower;
use crate::network::{Deployed, FEWEST_NOISE_SAMPLES, MeasuredOn, NOISE_SAMPLES, Noise, Quantized};
use crate::observe::{HistogramObserver, Observer};
use crate::prepare::{insert_requantize, prepare};
use crate::range::{GridChoice, choose_grids};
use crate::recipe::{MadeBy, Recipe, RecipeError};
use crate::reconstruct::{ReconstructionGranularity, reconstruct};
use crate::round::Rounding;
use crate::round::layerwise::{LayerRounding, round_layers};
use crate::sequence::Unroll;
use crate::warnings::{CalibrationFacts, Facts, check, fewest_bits, layer_facts, output_facts};

/// Samples on which layers are compared and exports test themselves.
const PROBES: usize = 8;

/// Samples on which conditioning looks at the ranges of channels.
const CONDITIONING_SAMPLES: usize = 256;

/// Makes the observer of a value.
type Watch = Arc<dyn Fn(&Value) -> Box<dyn Observer> + Send + Sync>;

/// Quantizes graphs by a recipe.
#[derive(Clone)]
pub struct Quantizer {
    recipe: Recipe,
    device: Device,
    provenance: Provenance,
    /// How raw samples become inputs, one for each input or none, and the names of the classes of an
    /// output: recorded in the program.
    preprocessings: Vec<Preprocessing>,
    classes: (Option<String>, Vec<String>),
    /// In place of the recipe's.
    rounding: Option<Arc<dyn Rounding + Send>>,
    /// Whether the program has the channels that cannot change its outputs, too.
    keeps_all_channels: bool,
    watch: Watch,
}

/// What calibration gives and every recipe that differs only in later stages can start from: the
/// conditioned float network and the statistics of its values.
#[derive(Clone, Debug)]
pub struct Calibrated {
    /// The prepared and conditioned float graph.
    pub float: Arc<Graph>,
    /// What of the recipe it was made by.
    made_by: MadeBy,
    /// Statistics of its values, and the first samples.
    calibration: Calibration,
    /// How many samples were to be kept.
    kept: usize,
    /// Seconds of each stage, in order.
    pub seconds: Vec<(&'static str, f64)>,
}

impl Quantizer {
    /// Quantizes `graph`, calibrated with `batches`: from a vector of tensors to what a Burn
    /// `DataLoader` iterates over.
    ///
    /// # Shapes
    /// - each batch: `[batch, ..]`, the graph's input sample behind the batch
    ///
    /// # Errors
    /// If the recipe does not fit the graph, a batch has another shape, the float network gives NaN,
    /// or a layer cannot be lowered.
    pub fn quantize<const D: usize>(
        &self,
        graph: Graph,
        batches: impl IntoIterator<Item = Tensor<D>>,
    ) -> Result<Quantized, Error> {
        self.quantize_with_progress(graph, batches, None, &|_| true)
    }

    /// As [`quantize`](Self::quantize); `progress` is told how far the job has come, and cancels it
    /// by returning `false`. `expected` is the number of samples to come, if known.
    ///
    /// # Errors
    /// Likewise, and on cancellation.
    pub fn quantize_with_progress<const D: usize>(
        &self,
        graph: Graph,
        batches: impl IntoIterator<Item = Tensor<D>>,
        expected: Option<usize>,
        progress: Progress,
    ) -> Result<Quantized, Error> {
        if graph.inputs.len() != 1 {
            let ends = SeveralEnds { what: "inputs", found: graph.inputs.len() };
            return Err(ends.into());
        }
        let shape = graph.value(graph.input()).shape.clone();
        let to_host = |batch: Tensor<D>| -> Result<Batch, CalibrateError> {
            let found = batch.dims();
            if found[1..] != shape {
                let (what, expected) = ("a calibration batch", shape.clone());
                return Err(BatchShapeError { what, found: found.to_vec(), expected }.into());
            }
            Ok(Batch::of(batch))
        };
        let batches = batches.into_iter().map(to_host);
        let calibrated =
            self.calibrate_batches(graph, batches, expected, self.samples_kept(), progress)?;
        self.quantize_calibrated(calibrated, progress)
    }

    /// Quantizes a network with states, calibrated with sequences.
    ///
    /// # Shapes
    /// - each batch: `[batch, steps, ..]`, behind it the sample of the graph's only input beside its states
    ///
    /// # Errors
    /// As [`quantize`](Self::quantize), and if there are several inputs beside states.
    pub fn quantize_sequences<const D: usize>(
        &self,
        graph: Graph,
        batches: impl IntoIterator<Item = Tensor<D>>,
    ) -> Result<Quantized, Error> {
        let [fed] = graph.fed_inputs()[..] else {
            let found = graph.fed_inputs().len();
            return Err(SeveralEnds { what: "inputs beside its states", found }.into());
        };
        let shape = graph.value(graph.inputs[fed]).shape.clone();
        let unroll = Unroll::new(&graph, &self.device);
        let samples = |batch: Tensor<D>| -> Result<Batch, CalibrateError> {
            let found = batch.dims();
            if D < 2 || extents(&found[2..]) != extents(&shape) {
                let (what, expected) = ("a batch of sequences", shape.clone());
                return Err(BatchShapeError { what, found: found.to_vec(), expected }.into());
            }
            Ok(unroll.samples(&Batch::of(batch)))
        };
        let batches = batches.into_iter().map(samples);
        let calibrated =
            self.calibrate_batches(graph, batches, None, self.samples_kept(), &|_| true)?;
        self.quantize_calibrated(calibrated, &|_| true)
    }

    /// As [`quantize_with_progress`](Self::quantize_with_progress), from batches that are read while
    /// they are needed.
    ///
    /// # Errors
    /// Likewise, and if a batch fails.
    pub fn quantize_samples<E: std::error::Error + Send + Sync + 'static>(
        &self,
        graph: Graph,
        batches: impl Iterator<Item = Result<Batch, E>>,
        expected: Option<usize>,
        progress: Progress,
    ) -> Result<Quantized, Error> {
        let calibrated =
            self.calibrate_samples(graph, batches, expected, self.samples_kept(), progress)?;
        self.quantize_calibrated(calibrated, progress)
    }

    /// How many samples the stages after calibration look at again: those that they fit the network
    /// to, and more on which it is measured.
    pub fn samples_kept(&self) -> usize {
        self.samples_fitted().max(PROBES) + NOISE_SAMPLES
    }

    /// How many samples, the first ones, stages after calibration fit weights, scales or biases to.
    fn samples_fitted(&self) -> usize {
        let recipe = &self.recipe;
        let layers = self.samples_for_rounding().max(self.samples_for_tuning());
        let joint = recipe.joint_range.component().samples();
        recipe.correction.component().samples().max(layers).max(joint)
    }

    fn samples_for_rounding(&self) -> usize {
        let looks =
            self.recipe.weights.range.component().needs_inputs() || self.rounding().needs_inputs();
        if looks { self.recipe.layerwise.samples } else { 0 }
    }

    fn samples_for_tuning(&self) -> usize {
        match self.recipe.reconstruction.granularity {
            ReconstructionGranularity::None => 0,
            _ => self.recipe.reconstruction.samples,
        }
    }

    fn layer_rounding<'a>(&'a self, plan: &'a BitPlan) -> LayerRounding<'a> {
        LayerRounding {
            plan,
            range: self.recipe.weights.range.component(),
            rounding: self.rounding(),
            layerwise: &self.recipe.layerwise,
            seed: self.recipe.seed,
            device: &self.device,
        }
    }

    fn rounding(&self) -> &dyn Rounding {
        match &self.rounding {
            Some(rounding) => rounding.as_ref(),
            None => self.recipe.rounding.component(),
        }
    }

    /// The first half of [`quantize_samples`](Self::quantize_samples): everything up to the
    /// statistics. It depends on the recipe's calibration and conditioning alone, and on its seed if
    /// calibration has no data; recipes that share these share its outcome.
    ///
    /// `kept` samples are kept for later stages, see [`samples_kept`](Self::samples_kept).
    ///
    /// # Errors
    /// As [`quantize_samples`](Self::quantize_samples).
    pub fn calibrate_samples<E: std::error::Error + Send + Sync + 'static>(
        &self,
        graph: Graph,
        batches: impl Iterator<Item = Result<Batch, E>>,
        expected: Option<usize>,
        kept: usize,
        progress: Progress,
    ) -> Result<Calibrated, Error> {
        let expected_len = graph.sample_len();
        let batches = batches.map(|batch| {
            let batch = batch.map_err(|e| CalibrateError::Batch(Box::new(e)))?;
            if batch.values.len() != batch.count * expected_len {
                let found = vec![batch.count, batch.sample_len()];
                let (what, expected) = ("a calibration batch", vec![expected_len]);
                return Err(BatchShapeError { what, found, expected }.into());
            }
            Ok(batch)
        });
        self.calibrate_batches(graph, batches, expected, kept, progress)
    }

    fn calibrate_batches(
        &self,
        graph: Graph,
        batches: impl Iterator<Item = Result<Batch, CalibrateError>>,
        expected: Option<usize>,
        kept: usize,
        progress: Progress,
    ) -> Result<Calibrated, Error> {
        let mut seconds = Vec::new();
        let mut clock = Instant::now();
        let mut stage = |name, clock: &mut Instant| {
            seconds.push((name, clock.elapsed().as_secs_f64()));
            *clock = Instant::now();
        };
        self.check_recipe()?;
        let float = prepare(graph)?;
        self.check_layers(&float)?;
        stage("prepare", &mut clock);
        let mut batches: Box<dyn Iterator<Item = Result<Batch, CalibrateError>> + '_> =
            match self.recipe.calibration.source.component().synthesis() {
                None => Box::new(batches),
                Some(synthesis) => {
                    progress(Event::Stage { stage: "synthesize" });
                    let graph = Arc::new(float.clone());
                    let seed = self.recipe.seed;
                    let samples = synthesize(&graph, synthesis, seed, &self.device, progress)?;
                    stage("synthesize", &mut clock);
                    let batches: Vec<Batch> =
                        samples.chunks(self.recipe.calibration.batch).collect();
                    Box::new(batches.into_iter().map(Ok))
                }
            };
        let (float, used) = self.condition(float, &mut *batches)?;
        // What conditioning looked at is calibrated with too.
        let batches = used.into_iter().map(Ok).chain(batches);
        stage("condition", &mut clock);

        progress(Event::Stage { stage: "calibrate" });
        let watch = self.watch.as_ref();
        let calibration =
            calibrate(&float, &self.device, batches, watch, expected, kept, progress)?;
        stage("calibrate", &mut clock);
        let made_by = MadeBy::new(&self.recipe);
        Ok(Calibrated { float, made_by, calibration, kept, seconds })
    }

    /// The second half of [`quantize_samples`](Self::quantize_samples): from statistics to the integer
    /// program. `calibrated` comes from a quantizer whose recipe has the same calibration and
    /// conditioning.
    ///
    /// # Errors
    /// As [`quantize_samples`](Self::quantize_samples), and if `calibrated` was made by a recipe that
    /// calibrates otherwise, or keeps fewer samples than this recipe looks at.
    pub fn quantize_calibrated(
        &self,
        calibrated: Calibrated,
        progress: Progress,
    ) -> Result<Quantized, Error> {
        let Calibrated { float, made_by, mut calibration, kept, mut seconds } = calibrated;
        if let Some(key) = made_by.difference(&MadeBy::new(&self.recipe)) {
            return Err(CalibratedError::Recipe { key }.into());
        }
        let needed = self.samples_kept();
        if kept < needed {
            return Err(CalibratedError::Samples { kept, needed }.into());
        }
        let mut clock = Instant::now();
        let mut stage = |name, clock: &mut Instant| {
            seconds.push((name, clock.elapsed().as_secs_f64()));
            *clock = Instant::now();
        };
        self.check_recipe()?;
        self.check_layers(&float)?;
        let (recipe, device) = (&self.recipe, &self.device);
        let correction = recipe.correction.component();
        let joint = recipe.joint_range.component();
        let made = recipe.calibration.source.component().synthesis().is_some();
        let calibration_facts = CalibrationFacts::new(&float, &calibration, made, device);
        let samples = std::mem::take(&mut calibration.samples);
        let first = |count: usize| samples.first(count);

        progress(Event::Stage { stage: "round" });
        let (graph, plan) = insert_requantize(float.as_ref().clone(), recipe.bit_plan(&float));
        graph.verify()?;
        let mut noticed = suspicious_values(&float, &calibration.values);
        let range = recipe.activations.range.component();
        let how = GridChoice { plan: &plan, range, joint, device };
        let (statistics, for_ranges) = (calibration.values, first(joint.samples()));
        let mut quantized = choose_grids(Arc::new(graph), statistics, how, for_ranges, progress)?;
        let how = self.layer_rounding(&plan);
        round_layers(&mut quantized, &first(self.samples_for_rounding()), how, progress)?;
        stage("round", &mut clock);

        // Integers that a file gives stay as they are, and so do biases.
        let has_integers = float.nodes.iter().any(|node| node.given.is_some());
        let for_tuning = if has_integers { 0 } else { self.samples_for_tuning() };
        if for_tuning > 0 {
            progress(Event::Stage { stage: "reconstruct" });
            let (samples, mut how) = (first(for_tuning), recipe.reconstruction_in_effect());
            how.learn_activation_scales &= !float.is_quantized();
            reconstruct(&mut quantized, &samples, &how, recipe.seed, device, progress)?;
            stage("reconstruct", &mut clock);
        }

        if !has_integers {
            progress(Event::Stage { stage: "correct" });
            correction.correct(&mut quantized, &first(correction.samples()), device);
            stage("correct", &mut clock);
        }

        let blame = |error| given::blamed(&float, error);
        let lowered = lower(&quantized, self.provenance.clone());
        let (mut program, layouts) = lowered.map_err(blame)?;
        self.record(&mut program, &float)?;
        let streaming = recipe.stream.as_ref().map(Streaming::from);
        let keeps = self.keeps_all_channels;
        let deployed = Deployed::new(program, keeps, &float.states, streaming.as_ref());
        let Deployed { program, lowered, simplification, streamed } = deployed.map_err(blame)?;
        stage("lower", &mut clock);

        if let Some(origin) = &float.origin {
            noticed.extend(origin.warnings.iter().cloned());
        }
        noticed.extend(float.notes.iter().cloned());
        noticed.extend(given::recipe_not_followed(&float, recipe));

        progress(Event::Stage { stage: "compare" });
        let fitted = self.samples_fitted();
        let held_out = samples.select(fitted..fitted + NOISE_SAMPLES);
        let (of, on) = if fitted == 0 || held_out.count >= FEWEST_NOISE_SAMPLES {
            (held_out, MeasuredOn::HeldOut)
        } else {
            (first(NOISE_SAMPLES), MeasuredOn::Fitted)
        };
        let noise = Noise::measure(&float, &quantized, of, on, device, progress)?;
        let (weight_bits, activation_bits) = fewest_bits(&quantized);
        let facts = Facts {
            weight_bits,
            activation_bits,
            calibration: Some(calibration_facts),
            layers: layer_facts(&quantized, &noise),
            outputs: output_facts(&quantized, &noise),
            noticed,
        };
        let warnings = check(&facts);
        stage("compare", &mut clock);
        Ok(Quantized {
            float,
            graph: quantized,
            program,
            lowered,
            layouts,
            simplification,
            streamed,
            probes: first(PROBES),
            noise,
            facts,
            warnings,
            seconds,
        })
    }

    fn check_recipe(&self) -> Result<(), RecipeError> {
        self.recipe.validate()?;
        match self.recipe.fit {
            None => Ok(()),
            Some(_) => Err(RecipeError::Value {
                key: "fit".into(),
                found: "set".into(),
                expected: "bits of layers: burn_ptq_eval::fit chooses them by budgets".into(),
            }),
        }
    }

    fn check_layers(&self, graph: &Graph) -> Result<(), Error> {
        let names: Vec<&str> = graph.nodes.iter().map(|n| n.name.as_str()).collect();
        Ok(self.recipe.check_layers(&names)?)
    }

    /// Records in the program what inputs and outputs mean.
    fn record(&self, program: &mut Program, graph: &Graph) -> Result<(), Error> {
        let fed = graph.fed_inputs();
        let (inputs, given) = (fed.len(), self.preprocessings.len());
        if given > 0 && given != inputs {
            return Err(SeveralEnds { what: "inputs", found: inputs }.into());
        }
        for (&place, preprocessing) in fed.iter().zip(&self.preprocessings) {
            let input = &mut program.inputs[place];
            preprocessing.check(&input.border.source_shape)?;
            input.preprocessing.clone_from(preprocessing);
        }
        let outputs = graph.read_outputs().len();
        let (name, classes) = &self.classes;
        let named = |output: &&mut Output| name.as_ref().is_none_or(|name| *name == output.name);
        match program.outputs.iter_mut().find(named) {
            Some(output) if name.is_some() || outputs == 1 => output.classes.clone_from(classes),
            _ if classes.is_empty() => {}
            _ => return Err(SeveralEnds { what: "outputs", found: outputs }.into()),
        }
        Ok(())
    }

    /// Rewrites the float graph as the recipe's conditioning asks for, and returns the batches that
    /// were taken for it.
    fn condition(
        &self,
        mut graph: Graph,
        batches: &mut dyn Iterator<Item = Result<Batch, CalibrateError>>,
    ) -> Result<(Arc<Graph>, Vec<Batch>), Error> {
        let mut used: Vec<Batch> = Vec::new();
        // Grids and integers that a file gives belong to the network as it is.
        let conditioning = self.recipe.conditioning.iter().filter(|_| !graph.is_quantized());
        for choice in conditioning.collect::<Vec<_>>() {
            let component = choice.component();
            let ranges = if component.needs_channel_ranges() {
                let mut samples: usize = used.iter().map(|batch| batch.count).sum();
                while samples < CONDITIONING_SAMPLES
                    && let Some(batch) = batches.next()
                {
                    let batch = batch?;
                    samples += batch.count;
                    used.push(batch);
                }
                let graph = Arc::new(graph.clone());
                let model = FloatModel::new(Arc::clone(&graph), &self.device);
                let mut ranges = ChannelRanges::new(&graph);
                for batch in &used {
                    let inputs = batch.clone().into_tensors(&graph, &self.device);
                    model.forward_with(inputs, |id, value| {
                        ranges.observe(id, &value);
                        value
                    });
                }
                Some(ranges)
            } else {
                None
            };
            let count = component.condition(&mut graph, ranges.as_ref());
            tracing::debug!(component = choice.name(), count, "conditioned the graph");
            graph.verify()?;
        }
        Ok((Arc::new(graph), used))
    }
}
