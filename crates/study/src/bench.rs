//! What runs share: tasks opened once, calibrations, and the float network's outputs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use burn::tensor::Device;
use burn_ptq::graph::{Batch, FloatModel, Graph};
use burn_ptq::prepare;
use burn_ptq::{Calibrated, Progress, Quantized, Quantizer, Recipe};
use burn_ptq_deploy::size::size_report;
use burn_ptq_eval::Error;
use burn_ptq_eval::data::{Inputs, hash_file};
use burn_ptq_eval::evaluate::{Evaluation, float_predictor, integer_predictor};
use burn_ptq_eval::fit::{Question, fit};
use burn_ptq_eval::metric::{Metric, MetricError, MetricOptions};
use burn_ptq_eval::opened::OpenTask;
use burn_ptq_eval::task::Task;

use super::file::{Study, StudyError};
use super::plan::{Run, digest};
use super::record::{LayerNoise, Measured, Outcome, TaskRecord};

/// Calibrations that are kept at a time. Runs that share one stand near each other in a plan.
const KEPT: usize = 12;

/// The tasks of a study, opened, and what runs on them share.
#[derive(Debug)]
pub struct Bench {
    tasks: Vec<Opened>,
    device: Device,
    calibrations: Mutex<Vec<(String, Arc<Slot>)>>,
    /// Samples that calibrations keep, so that each serves every recipe.
    kept: usize,
}

/// A calibration that is being made, or is made.
type Slot = Mutex<Option<Calibrated>>;

#[derive(Debug)]
struct Opened {
    task: OpenTask,
    /// The samples that runs are judged on.
    evaluation: Evaluation,
    facts: TaskRecord,
    /// Seconds of one sample through the float network.
    sample_seconds: f64,
}

impl Bench {
    /// Opens the tasks of `study`, whose paths go from `assets`, and runs their float networks,
    /// except those in `known`.
    ///
    /// # Errors
    /// If a task cannot be opened, and on cancellation.
    pub fn open(
        study: &Study,
        assets: &Path,
        known: &[TaskRecord],
        device: &Device,
        progress: Progress,
    ) -> Result<Self, StudyError> {
        let open = |entry: &super::file::TaskEntry| {
            let task = entry.task(assets)?;
            let name = task.name.clone();
            Opened::new(task, study.evaluation_samples, known, device, progress).map_err(|source| {
                match source {
                    Error::Cancelled(cancelled) => cancelled.into(),
                    source => StudyError::Task { task: name, source: Box::new(source) },
                }
            })
        };
        let tasks = study.tasks.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Self { tasks, device: device.clone(), calibrations: Mutex::default(), kept: 0 })
    }

    /// What is known about the tasks.
    pub fn facts(&self) -> Vec<TaskRecord> {
        self.tasks.iter().map(|opened| opened.facts.clone()).collect()
    }

    /// Sees to it that calibrations keep enough samples for every one of `runs`.
    pub fn prepare_for<'a>(&mut self, runs: impl Iterator<Item = &'a Run>) {
        let kept = |recipe: Recipe| Quantizer::new(recipe).samples_kept();
        // Bits that are chosen by budgets are tried by recipes of their own.
        let tried = |run: &'a Run| {
            let widths = run.recipe.fit.iter().flat_map(|fit| &fit.weights);
            widths.filter_map(|&bits| run.recipe.tried_at(bits).ok())
        };
        let all = |run: &'a Run| tried(run).chain([run.recipe.clone()]).map(kept).max();
        self.kept = runs.filter_map(all).max().unwrap_or(0);
    }

    /// Seconds of one sample through the float network of a task, and the operations of it.
    pub(super) fn cost(&self, task: usize) -> (f64, &Graph) {
        (self.tasks[task].sample_seconds, &self.tasks[task].task.graph)
    }

    /// Samples of the network that one sample of the evaluation is.
    pub(super) fn windows(&self, task: usize) -> f64 {
        self.tasks[task].evaluation.samples.windows(0) as f64
    }

    /// Quantizes and judges. Seconds of stages are written to `seconds`.
    ///
    /// # Errors
    /// Whatever goes wrong in the pipeline, and cancellation.
    pub(super) fn execute(
        &self,
        run: &Run,
        seconds: &mut BTreeMap<String, f64>,
        progress: Progress,
    ) -> Result<Measured, Error> {
        let opened = &self.tasks[run.task];
        seconds.insert("calibrate".into(), 0.0);
        let quantized = match run.recipe.fit {
            None => self.quantize(run, &run.recipe, seconds, progress)?,
            Some(_) => {
                let (recipe, classifies) = (&run.recipe, opened.task.classifies());
                let question = Question { recipe, classifies, device: &self.device, progress };
                let mut by = |recipe: &Recipe| self.quantize(run, recipe, seconds, progress);
                fit(question, &mut by)?.quantized
            }
        };

        let clock = Instant::now();
        let mut predict = integer_predictor(&quantized.program);
        let judged = opened.evaluation.judge_samples("evaluate", &mut predict, progress)?;
        seconds.insert("evaluate".into(), clock.elapsed().as_secs_f64());

        let clock = Instant::now();
        let sizes = size_report(&quantized.program);
        let measured = Measured {
            metric: judged.metric,
            outcomes: Outcome::pack(&judged.outcomes),
            flash_bytes: sizes.flash_bytes,
            ram_bytes: sizes.ram_bytes,
            macs: sizes.macs,
            bit_operations: bit_operations(&quantized),
            layers: self.layers(&quantized),
        };
        seconds.insert("measure".into(), clock.elapsed().as_secs_f64());
        Ok(measured)
    }

    /// Quantizes by `recipe`, on the samples of `run`.
    fn quantize(
        &self,
        run: &Run,
        recipe: &Recipe,
        seconds: &mut BTreeMap<String, f64>,
        progress: Progress,
    ) -> Result<Quantized, Error> {
        let quantizer = self.tasks[run.task].task.quantizer(recipe, &self.device)?;
        let calibrated = self.calibrated(run, recipe, &quantizer, seconds, progress)?;
        let clock = Instant::now();
        let quantized = quantizer.quantize_calibrated(calibrated, progress)?;
        *seconds.entry("quantize".into()).or_default() += clock.elapsed().as_secs_f64();
        Ok(quantized)
    }

    /// The calibration that a recipe starts from, on the samples of `run`; made by the first that asks, while
    /// others wait.
    fn calibrated(
        &self,
        run: &Run,
        recipe: &Recipe,
        quantizer: &Quantizer,
        seconds: &mut BTreeMap<String, f64>,
        progress: Progress,
    ) -> Result<Calibrated, Error> {
        let slot = self.slot(calibration_key(run, recipe));
        let mut slot = unpoisoned(&slot);
        if let Some(calibrated) = &*slot {
            return Ok(calibrated.clone());
        }
        let clock = Instant::now();
        let task = &self.tasks[run.task].task;
        let kept = self.kept.max(quantizer.samples_kept());
        let chosen = task.calibration.as_ref().map(|samples| run.chosen(samples.count()));
        let calibrated = task.calibrate(quantizer, recipe, chosen.as_deref(), kept, progress)?;
        *seconds.entry("calibrate".into()).or_default() += clock.elapsed().as_secs_f64();
        *slot = Some(calibrated.clone());
        Ok(calibrated)
    }

    fn slot(&self, key: String) -> Arc<Slot> {
        let mut calibrations = unpoisoned(&self.calibrations);
        let known = calibrations.iter().position(|(k, _)| *k == key);
        let entry = match known {
            Some(at) => calibrations.remove(at),
            None => (key, Arc::default()),
        };
        let slot = Arc::clone(&entry.1);
        calibrations.push(entry);
        if calibrations.len() > KEPT {
            calibrations.remove(0);
        }
        slot
    }

    /// The noise of the layers with weights.
    fn layers(&self, quantized: &Quantized) -> Vec<LayerNoise> {
        let graph = &quantized.graph.graph;
        let weighted = graph.nodes.iter().zip(&quantized.graph.weights);
        weighted
            .filter_map(|(node, weights)| {
                let ratio = quantized.noise.sqnr_db(node.output);
                // Two decimals keep result files small.
                let short = ratio.and_then(|ratio| format!("{ratio:.2}").parse().ok());
                Some((node.name.clone(), weights.as_ref()?.bits, short))
            })
            .collect()
    }
}

/// What a calibration by `recipe` depends on.
fn calibration_key(run: &Run, recipe: &Recipe) -> String {
    let Recipe { calibration, conditioning, seed, .. } = recipe.clone();
    let synthetic = calibration.source.component().synthesis().is_some();
    let seed = if synthetic { seed } else { 0 };
    let shared = Recipe { calibration, conditioning, seed, ..Recipe::default() };
    format!("{} {} {} {}", run.task, run.draw, run.samples, shared.to_toml())
}

/// A run that panicked leaves nothing behind that others could trip over.
fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Multiply-accumulates, each weighted by the bits of its weight and its input.
fn bit_operations(quantized: &Quantized) -> usize {
    let (graph, quantized) = (&quantized.graph.graph, &quantized.graph);
    let weighted = graph.nodes.iter().zip(&quantized.weights);
    weighted
        .filter_map(|(node, weights)| {
            let bits = quantized.activations[node.inputs[0].0].bits;
            Some(graph.node_macs(node) * usize::from(weights.as_ref()?.bits) * usize::from(bits))
        })
        .sum()
}

impl Opened {
    fn new(
        task: Task,
        most: Option<usize>,
        known: &[TaskRecord],
        device: &Device,
        progress: Progress,
    ) -> Result<Self, Error> {
        if !task.metric.is_paired() {
            let problem = "a study compares networks sample by sample, and this metric does not \
                           follow from what each sample adds to it: choose binary or multilabel";
            let metric = task.metric.name();
            return Err(MetricError { metric, problem: problem.into() }.into());
        }
        let opened = OpenTask::open(&task, true)?;
        let evaluation = opened.evaluation.as_ref().ok_or(Error::NoEvaluation)?;
        let evaluation = evaluation.limited_to(most.unwrap_or(usize::MAX));
        let mut facts = facts(&task, &opened, &evaluation)?;
        let prepared = Arc::new(prepare(opened.graph.clone())?);
        let same = |k: &&TaskRecord| k.name == facts.name && k.fingerprint == facts.fingerprint;
        match known.iter().find(same) {
            Some(known) => facts = known.clone(),
            None => {
                let clock = Instant::now();
                let mut predict = float_predictor(&prepared, device);
                let judged = evaluation.judge_samples("float", &mut predict, progress)?;
                facts.float = judged.metric;
                facts.outcomes = Outcome::pack(&judged.outcomes);
                facts.seconds.insert("float".into(), clock.elapsed().as_secs_f64());
            }
        }
        let sample_seconds = sample_seconds(&prepared, device);
        Ok(Self { task: opened, evaluation, facts, sample_seconds })
    }
}

/// What is known of a task before its float network has run.
fn facts(task: &Task, opened: &OpenTask, evaluation: &Evaluation) -> Result<TaskRecord, Error> {
    let (model_sha256, calibration_sha256) =
        (opened.model_sha256.clone(), opened.calibration_sha256.clone());
    let evaluation_sha256 = evaluation.samples.hash()?;
    let files = task.evaluation.clone().unwrap_or_default();
    let optional = |path: &Option<PathBuf>| path.as_deref().map_or(Ok(String::new()), hash_file);
    let settings = &task.input;
    let mut use_of_files = format!(
        "{:?} Preprocessing {{ scale: {:?}, mean: {:?}, std: {:?} }} {:?} {}",
        task.metric,
        settings.scale.unwrap_or(1.0),
        settings.mean.as_deref().unwrap_or_default(),
        settings.std.as_deref().unwrap_or_default(),
        settings.window_frames,
        evaluation.count()
    );
    if task.metric_options != MetricOptions::default() {
        use_of_files.push_str(&format!(" {:?}", task.metric_options));
    }
    // Left out where it says nothing, so that runs recorded by earlier versions stay valid.
    let others = (settings.layout, settings.window_step, &settings.classes);
    if others != (None, None, &Vec::new()) {
        use_of_files.push_str(&format!(" {others:?}"));
    }
    if !settings.inputs.is_empty() || task.output.is_some() {
        use_of_files.push_str(&format!(" {:?} {:?}", settings.inputs, task.output));
    }
    let fingerprint = digest(&[
        &model_sha256,
        &calibration_sha256,
        &evaluation_sha256,
        &optional(&files.labels)?,
        &optional(&files.groups)?,
        &use_of_files,
    ]);
    let auc = task.metric == Metric::Auc;
    let labels = evaluation.class_labels().filter(|_| auc);
    let anomalous = labels.map(|l| l.iter().map(|&label| label != 0).collect::<Vec<bool>>());
    Ok(TaskRecord {
        name: task.name.clone(),
        fingerprint,
        model_sha256,
        calibration_sha256,
        evaluation_sha256,
        calibration_samples: opened.calibration.as_ref().map_or(0, Inputs::count),
        evaluation_samples: evaluation.count(),
        metric: task.metric,
        anomalous: anomalous.map(|a| Outcome::bits(&a)),
        groups: evaluation.groups.clone().filter(|_| auc).unwrap_or_default(),
        float: 0.0,
        outcomes: Outcome::bits(&[]),
        seconds: BTreeMap::new(),
    })
}

/// Seconds of one sample through the float network, from a batch of zeros.
fn sample_seconds(graph: &Arc<Graph>, device: &Device) -> f64 {
    const BATCH: usize = 16;
    let model = FloatModel::new(Arc::clone(graph), device);
    let len = graph.sample_len();
    let zeros = || Batch { values: vec![0.0; BATCH * len], count: BATCH };
    let forward = || {
        let clock = Instant::now();
        for output in model.forward_all(zeros().into_tensors(graph, device)) {
            drop(output.into_data());
        }
        clock.elapsed().as_secs_f64() / BATCH as f64
    };
    // The first also sets things up.
    forward().min(forward())
}
