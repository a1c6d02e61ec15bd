//! A whole job: files in, report and artefacts out. The command line, examples and tests all call
//! [`run`]. What it does to a task up to the quantized network, the runs of a study do too: see
//! [`OpenTask`].

use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::tensor::Device;
use burn_ptq::Unroll;
use burn_ptq::Warning;
use burn_ptq::graph::Batch;
use burn_ptq::network::{MeasuredOn, NOISE_SAMPLES, compare_layers, weight_sqnr};
use burn_ptq::{Event, Progress, Quantized, Recipe};
use burn_ptq_deploy::export::{Kept, check_folder, exporter, stage_folder};
use burn_ptq_deploy::file;
use burn_ptq_deploy::output::{IoError, OutputError, Transaction};
use burn_ptq_deploy::program::Program;
use burn_ptq_deploy::size::size_report;
use burn_ptq_deploy::target::{HOST, target};

use crate::error::Error;
use crate::evaluate::{
    Evaluation, Predict, float_predictor, integer_predictor, partly_quantized_predictor,
    simulated_predictor,
};
use crate::explain;
use crate::fit::FitError;
use crate::metric::{Judgement, Metric};
use crate::opened::{OpenTask, QuantizedTask, is_data_free};
use crate::page;
use crate::report::{
    DEFAULT_TARGET, ExplainReport, ExportedSize, InputReport, LayerReport, MetricReport,
    OutputReport, Report, SCHEMA_VERSION, Source,
};
use crate::sampling_error::standard_error;
use crate::spread::Spread;
use crate::task::Task;
use crate::warnings::{EvaluationFacts, SCALING_SAMPLES, check};

/// What to quantize, how, and where the results go.
#[derive(Clone, Debug)]
pub struct Job {
    /// The model and its data.
    pub task: Task,
    /// How to quantize.
    pub recipe: Recipe,
    /// Names of exporters to run.
    pub exports: Vec<String>,
    /// Whether to find out what quantizing each layer alone costs.
    pub explain: bool,
    /// Whether the program keeps channels that cannot change its outputs.
    pub keep_all_channels: bool,
    /// The output folder; nothing is written without one.
    pub out: Option<PathBuf>,
}

/// Runs a job.
///
/// # Errors
/// Whatever can be wrong with files, recipe, model or output folder, and cancellation. Nothing is
/// left half-written.
pub fn run(job: &Job, device: &Device, progress: Progress) -> Result<(Report, Quantized), Error> {
    for name in &job.exports {
        exporter(name)?;
    }
    let folder = job.out.as_deref().map(|out| OutputFolder::open(out, &job.exports)).transpose()?;
    let opened = OpenTask::open(&job.task, !is_data_free(&job.recipe))?;
    let most_lost = job.recipe.fit.as_ref().and_then(|fit| fit.max_loss);
    if most_lost.is_some() && opened.evaluation.is_none() {
        return Err(FitError::NoMetric.into());
    }
    let QuantizedTask { mut quantized, recipe, fit } =
        opened.quantize(&job.recipe, job.keep_all_channels, device, progress)?;
    quantized.facts.noticed.extend(fewer_samples(&opened, &recipe));
    // Exports take their names from it.
    quantized.program.set_name(&job.task.name);

    let mut report = begin(job, &recipe, &opened, &quantized)?;
    report.fit = fit;
    let facts = match &opened.evaluation {
        Some(evaluation) => Some(judge(evaluation, &mut quantized, &mut report, device, progress)?),
        None => None,
    };
    if let (Some(most), Some(evaluation)) = (most_lost, &opened.evaluation) {
        check_loss(evaluation.metric, &report, most)?;
    }
    for evaluation in &opened.further {
        report.further.push(judge_further(evaluation, &quantized, device, progress)?);
    }
    if let Some(calibration) = &mut quantized.facts.calibration
        && let Some(fit) = &mut calibration.batch_norm
    {
        fit.rescaled = fit.rescaled.map(|scaling| scaling.instead_of(&report.preprocessing));
    }
    quantized.warnings = check(&quantized.facts, facts.as_ref());
    report.warnings = quantized.warnings.clone();
    (report.sqnr_on, report.sqnr_samples) = (quantized.noise.on, quantized.noise.inputs.count);
    if job.explain {
        progress(Event::Stage { stage: "explain" });
        let clock = Instant::now();
        let part = opened.evaluation.as_ref().map(|e| e.limited_to(EXPLAIN_SAMPLES));
        report.explain = Some(explain(part.as_ref(), &quantized, device, progress)?);
        report.seconds.insert("explain".into(), clock.elapsed().as_secs_f64());
    }

    progress(Event::Stage { stage: "compare layers" });
    let clock = Instant::now();
    let probes = &quantized.probes;
    describe_layers(&mut report, &quantized, device, probes)?;
    let fitted = report.fit.as_ref().and_then(|fit| Some((target(fit.target)?, fit.budgets)));
    report.describe(&quantized, fitted)?;
    report.seconds.insert("compare layers".into(), clock.elapsed().as_secs_f64());

    if let Some(folder) = folder {
        Event::Stage { stage: "write" }.tell(progress)?;
        folder.write(&mut report, &quantized, &job.exports)?;
    }
    Ok((report, quantized))
}

/// The warning that there are fewer calibration samples than `recipe` asks for.
fn fewer_samples(opened: &OpenTask, recipe: &Recipe) -> Option<Warning> {
    let (limit, samples) = recipe.calibration.samples.zip(opened.calibration.as_ref())?;
    (limit > samples.count()).then(|| {
        Warning::new(
            "fewer-samples",
            format!(
                "{limit} calibration samples were asked for, but there are {}",
                samples.count()
            ),
            "all of them were used; leave --samples out, or give more data",
        )
    })
}

/// Checks that the integer program loses at most `most` points of the metric.
fn check_loss(metric: Metric, report: &Report, most: f64) -> Result<(), FitError> {
    let (Some(float), Some(integer)) = (report.float, report.integer) else { return Ok(()) };
    let lost = metric.lost(float, integer);
    let share = if metric.higher_is_better() { 1.0 } else { float.abs().max(f64::MIN_POSITIVE) };
    let lost = 100.0 * lost / share;
    match lost <= most {
        true => Ok(()),
        false => Err(FitError::Loses { metric: metric.name(), lost, most }),
    }
}

/// The report of a network that is not judged yet; `recipe` says all its bits.
fn begin(
    job: &Job,
    recipe: &Recipe,
    opened: &OpenTask,
    quantized: &Quantized,
) -> Result<Report, Error> {
    let provenance = &quantized.program.provenance;
    let mut report = Report {
        schema_version: SCHEMA_VERSION,
        task: job.task.name.clone(),
        model: job.task.model.display().to_string(),
        model_sha256: provenance.model_hash.clone(),
        calibration_sha256: provenance.calibration_hash.clone(),
        version: env!("CARGO_PKG_VERSION"),
        recipe: recipe.to_toml(),
        label: recipe.label(),
        seed: recipe.seed,
        calibration_samples: opened.calibration_samples(recipe)?,
        calibration: if is_data_free(recipe) { "data-free" } else { "data" },
        metric: None,
        metric_note: None,
        samples: 0,
        float: None,
        float_ci: None,
        simulated: None,
        simulated_ci: None,
        integer: None,
        integer_ci: None,
        figures: Vec::new(),
        confusion: None,
        roc: Vec::new(),
        scatter: None,
        further: Vec::new(),
        seconds: Default::default(),
        exported: ExportedSize::default(),
        flash_bytes: 0,
        ram_bytes: 0,
        costs: Vec::new(),
        target: DEFAULT_TARGET,
        budgets: None,
        arena: None,
        macs: 0,
        weights: quantized.lowered.weights(),
        kept_weights: quantized.program.weights(),
        layers: Vec::new(),
        preprocessing: quantized.program.inputs[0].preprocessing.clone(),
        inputs: quantized.program.inputs.iter().map(InputReport::new).collect(),
        outputs: outputs(quantized),
        output: opened.evaluation.as_ref().and_then(|_| opened.output.clone()),
        classes: opened.classes().to_vec(),
        notes: opened.notes.clone(),
        sqnr_on: quantized.noise.on,
        sqnr_samples: quantized.noise.inputs.count,
        warnings: Vec::new(),
        explain: None,
        fit: None,
        stream: None,
    };
    report.seconds.insert("import".into(), opened.import_seconds);
    for &(stage, seconds) in &quantized.seconds {
        report.seconds.insert(stage.into(), seconds);
    }
    Ok(report)
}

/// What is known of each output, with the noise of its value.
fn outputs(quantized: &Quantized) -> Vec<OutputReport> {
    let (program, graph) = (&quantized.program, &quantized.graph.graph);
    let pairs = program.outputs.iter().zip(&graph.outputs);
    pairs
        .map(|(output, &id)| OutputReport {
            name: output.name.clone(),
            shape: output.border.source_shape.clone(),
            bits: program.output_tensor(output).bits,
            from: Source::of(program, output.tensor),
            sqnr_db: quantized.noise.sqnr_db(id),
        })
        .collect()
}

/// Judges the float, the simulated and the integer network, and gathers what checks look at.
fn judge(
    evaluation: &Evaluation,
    quantized: &mut Quantized,
    report: &mut Report,
    device: &Device,
    progress: Progress,
) -> Result<EvaluationFacts, Error> {
    report.metric = Some(evaluation.metric.name());
    report.metric_note = evaluation.note()?;
    report.samples = evaluation.count();
    let mut judge = |stage: &str, predict: Predict| {
        let clock = Instant::now();
        let judgement = evaluation.judge_samples(stage, predict, progress)?;
        report.seconds.insert(stage.into(), clock.elapsed().as_secs_f64());
        Ok::<Judgement, Error>(judgement)
    };
    let mut inputs = Spread::new(NOISE_SAMPLES);
    let mut predict = float_predictor(&quantized.float, device);
    let float = judge("evaluate float", &mut |samples: Batch| {
        inputs.add_batch(&samples);
        predict(samples)
    })?;
    let simulated =
        judge("evaluate simulated", &mut simulated_predictor(&quantized.graph, device))?;
    let mut clipped = Clipped::default();
    let mut predict = integer_predictor(&quantized.program);
    let integer = judge("evaluate integer", &mut |samples: Batch| {
        clipped.add(&quantized.program, &samples.values);
        predict(samples)
    })?;
    drop(predict);
    report.record(&float, &simulated, &integer, evaluation.classes_of(&quantized.program));
    let mut facts = EvaluationFacts::new(evaluation, Some(&float), Some(&integer));
    facts.clipped = clipped.share();
    let part = evaluation.limited_to(SCALING_SAMPLES);
    let calibration = quantized.facts.calibration.as_mut();
    let fit = calibration.and_then(|calibration| calibration.batch_norm.as_mut());
    facts.look_for_scaling(&part, fit, &quantized.float, device, progress)?;
    if quantized.noise.on == MeasuredOn::Fitted {
        // Inputs without their labels: nothing is chosen by them.
        let inputs = match quantized.float.states.is_empty() {
            true => inputs.samples(),
            // Those of steps, with the states that the float network has there.
            false => Unroll::new(&quantized.float, device).samples(&inputs.samples()),
        };
        quantized.measure_noise(inputs, MeasuredOn::Evaluation, device, progress)?;
    }
    Ok(facts)
}

/// Judges a further output of the float, the simulated and the integer network.
fn judge_further(
    evaluation: &Evaluation,
    quantized: &Quantized,
    device: &Device,
    progress: Progress,
) -> Result<MetricReport, Error> {
    let output = &evaluation.output().name;
    let judge = |network: &str, predict: Predict| {
        evaluation.judge_samples(&format!("evaluate {network} {output}"), predict, progress)
    };
    let judgements = [
        judge("float", &mut float_predictor(&quantized.float, device))?,
        judge("simulated", &mut simulated_predictor(&quantized.graph, device))?,
        judge("integer", &mut integer_predictor(&quantized.program))?,
    ];
    let (metric, note) = (evaluation.metric.name(), evaluation.note()?);
    Ok(MetricReport::new(output, metric, note, &judgements))
}

/// The most evaluation samples on which `--explain` judges each layer.
const EXPLAIN_SAMPLES: usize = 500;

/// Finds out what quantizing each layer alone costs, in the network's predictions and in the metric.
fn explain(
    evaluation: Option<&Evaluation>,
    quantized: &Quantized,
    device: &Device,
    progress: Progress,
) -> Result<ExplainReport, Error> {
    let (graph, noise) = (&quantized.graph, &quantized.noise);
    let classifies = evaluation.is_some_and(|e| e.metric == Metric::Top1);
    let found = explain::explain(graph, noise, classifies, device, progress)?;
    let mut layers = Vec::new();
    let float = evaluation
        .map(|e| {
            e.judge_samples("explain", &mut float_predictor(&quantized.float, device), progress)
        })
        .transpose()?;
    for (index, mut cost) in found.layers {
        if let Some((evaluation, float)) = evaluation.zip(float.as_ref()) {
            let mut predict = partly_quantized_predictor(graph, index, device);
            let stage = format!("explain {}", cost.name);
            let judged = evaluation.judge_samples(&stage, &mut predict, progress)?;
            cost.metric = Some(judged.metric);
            cost.lost = Some(evaluation.metric.lost(float.metric, judged.metric));
            cost.lost_error = Some(standard_error(evaluation, float, Some(&judged)));
        }
        layers.push(cost);
    }
    Ok(ExplainReport {
        loss: found.loss,
        samples_are: noise.on,
        samples: noise.inputs.count,
        evaluation_samples: evaluation.map_or(0, Evaluation::count),
        layers,
    })
}

/// Counts input elements that lie outside the grid of a program's input.
#[derive(Debug, Default)]
pub struct Clipped {
    outside: usize,
    elements: usize,
}

impl Clipped {
    /// Takes in preprocessed samples.
    pub fn add(&mut self, program: &Program, samples: &[f32]) {
        for mut sample in samples.chunks_exact(program.input_len().max(1)) {
            for tensor in program.input_tensors() {
                let (own, rest) = sample.split_at(tensor.len());
                let grid = tensor.grid;
                let half = 0.5 * grid.scale;
                let [low, high] = [grid.min, grid.max].map(|q| grid.dequantize(q));
                let outside = |x: &&f32| **x < low - half || **x > high + half;
                self.outside += own.iter().filter(outside).count();
                sample = rest;
            }
        }
        self.elements += samples.len();
    }

    /// Their share; `None` before the first.
    pub fn share(&self) -> Option<f64> {
        (self.elements > 0).then(|| self.outside as f64 / self.elements as f64)
    }
}

fn describe_layers(
    report: &mut Report,
    quantized: &Quantized,
    device: &Device,
    probes: &Batch,
) -> Result<(), Error> {
    let program = &quantized.program;
    let graph = &quantized.graph.graph;
    let agreements = compare_layers(quantized, device, probes)?;
    let sizes = size_report(program);
    report.flash_bytes = sizes.flash_bytes;
    report.ram_bytes = sizes.ram_bytes;
    report.exported = ExportedSize::of(program)?;
    report.macs = sizes.macs;
    for (node, size) in program.nodes.iter().zip(sizes.nodes) {
        let source = graph.nodes.iter().position(|n| n.name == node.name);
        let agreement = source.and_then(|n| agreements[n]);
        report.layers.push(LayerReport {
            name: size.name,
            op: size.op.into(),
            bits: size.weight_bits,
            activation_bits: program.tensors[node.output.0].bits,
            sqnr_db: source.and_then(|n| quantized.noise.sqnr_db(graph.nodes[n].output)),
            weight_sqnr_db: source.and_then(|n| weight_sqnr(&quantized.graph, n)),
            differing: agreement.map(|a| a.differing as f64 / a.outputs.max(1) as f64),
            max_lsb: agreement.map(|a| a.max_lsb),
            bytes: size.flash_bytes,
            macs: size.macs,
            inputs: Vec::new(),
            instructions: None,
            time_share: None,
            weight_histogram: None,
            output_histogram: None,
        });
    }
    Ok(())
}

/// The folder of the results, known to be writable before the work begins, and by this job alone.
struct OutputFolder(Transaction);

impl OutputFolder {
    fn open(path: &Path, exports: &[String]) -> Result<Self, Error> {
        let transaction = Transaction::begin(path)?;
        for name in exports {
            check_folder(&path.join(name))?;
        }
        Ok(Self(transaction))
    }

    /// Writes everything as one set: whenever the process ends, no new program is left beside an
    /// old report, and the next job in this folder completes what this one had begun.
    fn write(
        self,
        report: &mut Report,
        quantized: &Quantized,
        exports: &[String],
    ) -> Result<(), Error> {
        const REPORT: &str = "report.json";
        const PAGE: &str = "report.html";
        const RECIPE: &str = "fitted.toml";
        const STREAMED: &str = "streamed.bptq";
        let Self(mut transaction) = self;
        transaction.remove(REPORT);
        transaction.remove(PAGE);
        transaction.remove(RECIPE);
        transaction.remove(STREAMED);
        transaction.write("model.bptq", &file::to_bytes(&quantized.program)?)?;
        if let Some(streamed) = &quantized.streamed {
            transaction.write(STREAMED, &streamed.to_bytes()?)?;
        }
        for name in exports {
            let (exporter, rendered) = quantized.render(name, HOST.name)?;
            let written = stage_folder(&mut transaction, name, exporter.name(), &rendered.files)?;
            report.warnings.extend(written.kept.iter().map(kept));
        }
        let path = transaction.root().join(REPORT);
        let failed = |error: serde_json::Error| {
            OutputError::from(IoError { action: "write", path: path.clone(), source: error.into() })
        };
        let mut text = serde_json::to_string_pretty(report).map_err(failed)?;
        text.push('\n');
        transaction.write(REPORT, text.as_bytes())?;
        // The page reads the numbers as the JSON writes them.
        let page = page::render(&serde_json::from_str(&text).map_err(failed)?);
        transaction.write(PAGE, page.as_bytes())?;
        // Which bits were chosen is worth a file: it makes the same model without choosing again.
        if report.fit.is_some() {
            transaction.write(RECIPE, report.recipe.as_bytes())?;
        }
        Ok(transaction.commit()?)
    }
}

/// The warning about an exported file that was changed by hand and is kept.
fn kept(kept: &Kept) -> Warning {
    let message = format!("{} was changed by hand and stays as it is", kept.path.display());
    let hint = if kept.outdated {
        "this export's own version is another one than before: compare it with an export to an empty \
         folder"
    } else {
        "delete it to get this export's own version"
    };
    Warning::new("export-file-kept", message, hint)
}
