//! A whole job: files in, report and artefacts out. The command line, examples and tests all call
//! [`run`].

use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::tensor::Device;
use burn_ptq_deploy::export::{Kept, check_folder, exporter, stage_folder};
use burn_ptq_deploy::file;
use burn_ptq_deploy::memory::reduce_memory;
use burn_ptq_deploy::output::{OutputError, Transaction};
use burn_ptq_deploy::size::size_report;
use burn_ptq_deploy::target::{HOST, Kernels};

use crate::agreement::{compare_layers, sqnr, weight_sqnr};
use crate::data::{DataError, Samples};
use crate::evaluate::{
    Evaluation, Judgement, Predict, float_predictor, integer_predictor, partly_quantized_predictor,
    simulated_predictor,
};
use crate::graph::Graph;
use crate::import::onnx;
use crate::input::ModelInput;
use crate::metric::{Metric, ModelOutput};
use crate::pipeline::{Event, PipelineError, Progress, Quantized, Quantizer};
use crate::recipe::Recipe;
use crate::report::{LayerCost, LayerReport, Report};
use crate::task::Task;
use crate::warning::Warning;

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
    /// The output folder; nothing is written without one.
    pub out: Option<PathBuf>,
}

/// Runs a job.
///
/// # Errors
/// Whatever can be wrong with files, recipe, model or output folder, and cancellation. Nothing is
/// left half-written.
pub fn run(
    job: &Job,
    device: &Device,
    progress: Progress,
) -> Result<(Report, Quantized), PipelineError> {
    for name in &job.exports {
        exporter(name)?;
    }
    let folder = job.out.as_deref().map(|out| OutputFolder::open(out, &job.exports)).transpose()?;
    let task = &job.task;
    let clock = Instant::now();
    let onnx::Model { graph, sha256 } = task.read_model()?;
    let import_seconds = clock.elapsed().as_secs_f64();
    let mut input = ModelInput::of_graph(&graph, &task.input)?;
    check_classes(&graph, &input.classes)?;
    let synthesis = job.recipe.calibration.source.component().synthesis();
    let calibration = match synthesis {
        Some(_) => None,
        None => Some(open_calibration(task, &input)?.ok_or(PipelineError::NoSamples)?),
    };
    if let Some(samples) = &calibration {
        // The folders of both are the same classes, even if one lacks some.
        input.classes.clone_from(&samples.input().classes);
    }
    let output = ModelOutput::of_graph(&graph);
    let evaluation = open_evaluation(task, &input, &output)?;
    if let Some(evaluation) = &evaluation {
        input.classes.clone_from(&evaluation.samples.input().classes);
    }
    let mut notes = Vec::new();
    for samples in calibration.iter().chain(evaluation.as_ref().map(|e| &e.samples)) {
        notes.extend(samples.notes().iter().cloned());
    }
    // Folders may also hold samples of networks that tell no classes apart.
    if check_classes(&graph, &input.classes).is_err() {
        input.classes.clear();
    }

    let hashes = match &calibration {
        Some(calibration) => (sha256, calibration.hash()?),
        None => (sha256, String::new()),
    };
    let recorded =
        calibration.as_ref().map_or(&input.preprocessing, Samples::preprocessing).clone();
    let quantizer = Quantizer::new(job.recipe.clone())
        .with_device(device.clone())
        .with_hashes(hashes.0.clone(), hashes.1.clone())
        .with_preprocessing(recorded.clone())
        .with_classes(input.classes.clone());
    let limit = job.recipe.calibration.samples;
    let mut warnings = Vec::new();
    if let (Some(limit), Some(samples)) = (limit, &calibration)
        && limit > samples.count()
    {
        warnings.push(Warning::new(
            "fewer-samples",
            format!(
                "{limit} calibration samples were asked for, but there are {}",
                samples.count()
            ),
            "all of them were used; leave --samples out, or give more data",
        ));
    }
    let (expected, mut quantized) = match (&calibration, synthesis) {
        (Some(calibration), _) => {
            let batch = job.recipe.calibration.batch;
            let expected = limit.unwrap_or(usize::MAX).min(calibration.count());
            let batches = calibration.batches(batch, limit)?;
            (expected, quantizer.quantize_samples(graph, batches, Some(expected), progress)?)
        }
        (None, synthesis) => {
            let made = synthesis.map_or(0, |synthesis| synthesis.samples);
            let none = std::iter::empty::<Result<Vec<f32>, PipelineError>>();
            (made, quantizer.quantize_samples(graph, none, Some(made), progress)?)
        }
    };

    // Exports take their names from it.
    quantized.program.name.clone_from(&task.name);
    let mut report = Report {
        task: task.name.clone(),
        model: task.model.display().to_string(),
        model_sha256: hashes.0,
        calibration_sha256: hashes.1,
        version: env!("CARGO_PKG_VERSION"),
        recipe: job.recipe.to_toml(),
        label: job.recipe.label(),
        seed: job.recipe.seed,
        calibration_samples: expected,
        calibration: if calibration.is_some() { "data" } else { "data-free" },
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
        seconds: Default::default(),
        flash_bytes: 0,
        ram_bytes: 0,
        streamed_ram_bytes: 0,
        streamed_flash_bytes: 0,
        macs: 0,
        layers: Vec::new(),
        warnings,
        preprocessing: recorded,
        classes: input.classes,
        notes,
        explain: Vec::new(),
    };
    report.seconds.insert("import".into(), import_seconds);
    for &(stage, seconds) in &quantized.seconds {
        report.seconds.insert(stage.into(), seconds);
    }
    if let Some(evaluation) = &evaluation {
        report.metric = Some(evaluation.metric.name());
        report.metric_note = evaluation.note()?;
        report.samples = evaluation.count();
        let mut judge = |stage: &str, predict: Predict| {
            let clock = Instant::now();
            let judgement = evaluation.judge_samples(stage, predict, progress)?;
            report.seconds.insert(stage.into(), clock.elapsed().as_secs_f64());
            Ok::<Judgement, PipelineError>(judgement)
        };
        let float = judge("evaluate float", &mut float_predictor(&quantized.float, device))?;
        let simulated =
            judge("evaluate simulated", &mut simulated_predictor(&quantized.quantized, device))?;
        let integer = judge("evaluate integer", &mut integer_predictor(&quantized.program))?;
        report.record(&float, &simulated, &integer, &quantized.program.classes);
        if job.explain {
            report.explain =
                explain(evaluation, task.metric, float.metric, &quantized, device, progress)?;
        }
    }

    progress(Event::Stage { stage: "compare layers" });
    let clock = Instant::now();
    let probes = &quantized.probes;
    describe_layers(&mut report, &quantized, device, probes)?;
    report.seconds.insert("compare layers".into(), clock.elapsed().as_secs_f64());

    if let Some(folder) = folder {
        if !progress(Event::Stage { stage: "write" }) {
            return Err(PipelineError::Cancelled);
        }
        folder.write(&mut report, &quantized, &job.exports)?;
    }
    Ok((report, quantized))
}

/// Evaluates the network with one layer after the other quantized alone; the dearest comes first.
fn explain(
    evaluation: &Evaluation,
    metric: Metric,
    float: f64,
    quantized: &Quantized,
    device: &Device,
    progress: Progress,
) -> Result<Vec<LayerCost>, PipelineError> {
    let graph = &quantized.quantized.graph;
    let mut costs = Vec::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        let mut predict = partly_quantized_predictor(&quantized.quantized, index, device);
        let stage = format!("explain {}", node.name);
        let found = evaluation.run(&stage, &mut predict, progress)?;
        let name = node.name.clone();
        costs.push(LayerCost { name, metric: found, lost: metric.lost(float, found) });
    }
    costs.sort_by(|a, b| b.lost.total_cmp(&a.lost));
    Ok(costs)
}

/// Checks that there are as many names of classes as outputs, along one of the output's axes; a single
/// output tells two classes apart.
fn check_classes(graph: &Graph, classes: &[String]) -> Result<(), PipelineError> {
    let output = graph.value(graph.output);
    let count = classes.len();
    let single = output.len() == 1 && count == 2;
    if classes.is_empty() || count == output.len() || output.shape.contains(&count) || single {
        return Ok(());
    }
    Err(PipelineError::Classes {
        found: count,
        output: output.name.clone(),
        shape: output.shape.clone(),
    })
}

/// Opens the calibration samples of a task for a model with this input; every window of a recording
/// is a sample.
///
/// # Errors
/// If they cannot be read, or do not fit the input.
pub fn open_calibration(task: &Task, input: &ModelInput) -> Result<Option<Samples>, DataError> {
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
) -> Result<Option<Evaluation>, PipelineError> {
    let Some(files) = &task.evaluation else { return Ok(None) };
    Ok(Some(Evaluation::open(files, (task.metric, task.metric_options), input, output)?))
}

fn describe_layers(
    report: &mut Report,
    quantized: &Quantized,
    device: &Device,
    probes: &[f32],
) -> Result<(), PipelineError> {
    let program = &quantized.program;
    let graph = &quantized.quantized.graph;
    let agreements = compare_layers(quantized, device, probes)?;
    let ratios = sqnr(quantized, device, probes.to_vec());
    let sizes = size_report(program);
    report.flash_bytes = sizes.flash_bytes;
    report.ram_bytes = sizes.ram_bytes;
    let exported = size_report(&reduce_memory(program, Kernels::Portable));
    report.streamed_ram_bytes = exported.ram_bytes;
    report.streamed_flash_bytes = exported.flash_bytes;
    report.macs = sizes.macs;
    for (node, size) in program.nodes.iter().zip(sizes.nodes) {
        let source = graph.nodes.iter().position(|n| n.name == node.name);
        let agreement = source.and_then(|n| agreements[n]);
        report.layers.push(LayerReport {
            name: size.name,
            op: size.op.into(),
            bits: size.weight_bits,
            activation_bits: program.tensors[node.output.0].bits,
            sqnr_db: source
                .and_then(|n| ratios[graph.nodes[n].output.0])
                .filter(|ratio| ratio.is_finite()),
            weight_sqnr_db: source.and_then(|n| weight_sqnr(&quantized.quantized, n)),
            differing: agreement.map(|a| a.differing as f64 / a.outputs.max(1) as f64),
            max_lsb: agreement.map(|a| a.max_lsb),
            bytes: size.flash_bytes,
            macs: size.macs,
        });
    }
    Ok(())
}

/// The folder of the results, known to be writable before the work begins, and by this job alone.
struct OutputFolder(Transaction);

impl OutputFolder {
    fn open(path: &Path, exports: &[String]) -> Result<Self, PipelineError> {
        let transaction = Transaction::begin(path)?;
        for name in exports {
            check_folder(&path.join(name))?;
        }
        Ok(Self(transaction))
    }

    /// Writes everything as one set: whenever the process ends, no new program stands beside an old
    /// report, and the next job in this folder completes what this one had begun.
    fn write(
        self,
        report: &mut Report,
        quantized: &Quantized,
        exports: &[String],
    ) -> Result<(), PipelineError> {
        const REPORT: &str = "report.json";
        let Self(mut transaction) = self;
        transaction.remove(REPORT);
        transaction.write("model.bptq", &file::to_bytes(&quantized.program)?)?;
        for name in exports {
            let (exporter, rendered) = quantized.render(name, HOST.name)?;
            let written = stage_folder(&mut transaction, name, exporter.name(), &rendered.files)?;
            report.warnings.extend(written.kept.iter().map(kept));
        }
        let mut text = serde_json::to_string_pretty(report).map_err(|error| {
            PipelineError::Output(OutputError::Io {
                action: "write",
                path: transaction.root().join(REPORT),
                source: error.into(),
            })
        })?;
        text.push('\n');
        transaction.write(REPORT, text.as_bytes())?;
        Ok(transaction.commit()?)
    }
}

/// The warning about an exported file that stays as people changed it.
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
