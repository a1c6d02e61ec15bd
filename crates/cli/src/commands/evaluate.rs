//! `burn-ptq evaluate`.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use burn_ptq::backend::device;
use burn_ptq::graph::Batch;
use burn_ptq::warnings::Facts;
use burn_ptq_deploy::export::unique_identifiers;
use burn_ptq_deploy::output::write_atomically;
use burn_ptq_deploy::place::Placed;
use burn_ptq_deploy::printable;
use burn_ptq_deploy::program::{IntTensor, Program};
use burn_ptq_eval::data::Inputs;
use burn_ptq_eval::evaluate::{
    Evaluation, Predict, float_predictor, integer_predictor, observed_integer_predictor,
};
use burn_ptq_eval::input::ModelInput;
use burn_ptq_eval::job::Clipped;
use burn_ptq_eval::metric::{Judgement, Metric, ModelOutput};
use burn_ptq_eval::opened::{open_evaluation, open_further};
use burn_ptq_eval::warnings::{EvaluationFacts, SCALING_SAMPLES, check};

use super::task;
use crate::args::{Data, Evaluate};
use crate::output::{self, errln, outln};
use crate::progress::Reporter;
use burn_ptq_eval::program;

pub(crate) fn run(args: Evaluate) -> anyhow::Result<()> {
    let device = device(&args.backend.backend)?;
    let task = task(&args.data, args.model.as_ref(), &[])?;
    let name = task.output.as_deref();
    let open = |inputs: &[ModelInput], output: &ModelOutput| {
        let evaluation = open_evaluation(&task, inputs, output)?
            .context("no evaluation data: add --eval X.npy or --task DIR")?;
        for note in evaluation.notes() {
            errln!("note: {note}");
        }
        anyhow::Ok(evaluation)
    };
    if task.requantize.is_none() && program::is_program(&task.model) {
        let model = program::read(&task.model)?;
        if let Some(folder) = args.dump.as_deref().filter(|_| !is_judged(&args))
            && let Some(files) = &task.evaluation
        {
            let (inputs, warnings) = ModelInput::all_of_program(&model, 0, &task.input)?;
            let samples = Inputs::open(&files.samples, &inputs)?;
            // Of sequences, judging knows the steps; folders of classes hold labels.
            if model.states.is_empty() && samples.labels().is_none() {
                for warning in warnings {
                    errln!("warning: {warning}");
                }
                for note in samples.notes() {
                    errln!("note: {note}");
                }
                return dump_alone(&model, &samples, args.dump_samples, folder);
            }
        }
        let output = ModelOutput::of_program(&model, name)?;
        let (inputs, warnings) = ModelInput::all_of_program(&model, output.index, &task.input)?;
        for warning in warnings {
            errln!("warning: {warning}");
        }
        let evaluation = open(&inputs, &output)?;
        let calibrated = model.inputs.iter().map(|input| &input.preprocessing);
        for note in evaluation.samples.element_notes(calibrated) {
            errln!("note: {note}");
        }
        let (input_bytes, output_bytes) = (model.input_bytes(), model.output_bytes());
        let wanted = if args.dump.is_some() { args.dump_samples } else { 0 };
        let mut dump = Dump::default();
        let mut run = observed_integer_predictor(&model, |inputs, outputs| {
            dump.inputs.keep(inputs, wanted.saturating_mul(input_bytes));
            dump.outputs.keep(outputs, wanted.saturating_mul(output_bytes));
        });
        let clipped = RefCell::new(Clipped::default());
        let predict = &mut |samples: Batch| {
            clipped.borrow_mut().add(&model, &samples.values);
            run(samples)
        };
        let facts = |judged: &Judgement| {
            let mut facts = EvaluationFacts::new(&evaluation, None, Some(judged));
            facts.clipped = clipped.borrow().share();
            Ok(facts)
        };
        let classes = evaluation.classes_of(&model);
        let output_of = |name: &str| ModelOutput::of_program(&model, Some(name));
        let further = open_further(&task, Some(&evaluation), &inputs, output_of)?;
        let further = judge_all(&further, &mut integer_predictor(&model))?;
        let judged = Judged { evaluation: &evaluation, further, classes };
        judge(&args, &judged, &task.model, "integer", predict, &facts)?;
        drop(run);
        if let Some(folder) = &args.dump {
            dump.write(folder, &model)?;
            let written = dump.inputs.0.len() / input_bytes;
            if written < wanted {
                errln!("{}: all {written} samples were written", folder.display());
            }
        }
        return Ok(());
    }
    anyhow::ensure!(args.dump.is_none(), "--dump needs an integer model (.bptq, or .tflite)");
    let graph = Arc::new(task.read_model()?.graph);
    let inputs = ModelInput::all_of_graph(&graph, &task.input)?;
    let evaluation = open(&inputs, &ModelOutput::of_graph(&graph, name)?)?;
    let predict = &mut float_predictor(&graph, &device);
    let facts = |judged: &Judgement| {
        let mut facts = EvaluationFacts::new(&evaluation, Some(judged), None);
        let part = evaluation.limited_to(SCALING_SAMPLES);
        facts.look_for_scaling(&part, None, &graph, &device, &|_| true)?;
        anyhow::Ok(facts)
    };
    let output_of = |name: &str| ModelOutput::of_graph(&graph, Some(name));
    let further = open_further(&task, Some(&evaluation), &inputs, output_of)?;
    let further = judge_all(&further, &mut float_predictor(&graph, &device))?;
    let judged = Judged { evaluation: &evaluation, further, classes: &[] };
    judge(&args, &judged, &task.model, "float", predict, &facts)
}

/// Whether something says how outputs are judged.
fn is_judged(args: &Evaluate) -> bool {
    let Data { task, labels, metric, output, .. } = &args.data;
    task.is_some() || labels.is_some() || metric.is_some() || output.is_some()
}

/// Writes what a program makes of the first samples, which nothing judges.
fn dump_alone(model: &Placed, samples: &Inputs, most: usize, folder: &Path) -> anyhow::Result<()> {
    let mut dump = Dump::default();
    let mut run = observed_integer_predictor(model, |inputs, outputs| {
        dump.inputs.keep(inputs, usize::MAX);
        dump.outputs.keep(outputs, usize::MAX);
    });
    let count = samples.count().min(most);
    for batch in samples.batches(64, Some(count))? {
        run(batch?)?;
    }
    drop(run);
    dump.write(folder, model)?;
    let plural = if count == 1 { "sample was" } else { "samples were" };
    outln!(
        "{}: {count} {plural} written, and nothing judged; --labels or --metric judge outputs",
        folder.display()
    )
}

/// What is judged, and what is known of it before.
struct Judged<'a> {
    evaluation: &'a Evaluation,
    further: Vec<Further>,
    classes: &'a [String],
}

/// A further output that was judged.
struct Further {
    output: String,
    metric: Metric,
    note: Option<String>,
    judgement: Judgement,
}

fn judge_all(evaluations: &[Evaluation], predict: Predict) -> anyhow::Result<Vec<Further>> {
    let reporter = Reporter::new();
    let mut further = Vec::with_capacity(evaluations.len());
    for evaluation in evaluations {
        let output = evaluation.output().name.clone();
        let stage = format!("evaluate {output}");
        let judgement =
            evaluation.judge_samples(&stage, &mut *predict, &|event| reporter.show(event))?;
        let (metric, note) = (evaluation.metric, evaluation.note()?);
        further.push(Further { output, metric, note, judgement });
    }
    Ok(further)
}

/// Judges a model and prints what was found, with warnings about its `facts`.
fn judge(
    args: &Evaluate,
    judged: &Judged,
    model: &Path,
    kind: &str,
    predict: Predict,
    facts: &dyn Fn(&Judgement) -> anyhow::Result<EvaluationFacts>,
) -> anyhow::Result<()> {
    let Judged { evaluation, further, classes } = judged;
    let reporter = Reporter::new();
    let found = evaluation.judge_samples("evaluate", predict, &|event| reporter.show(event))?;
    drop(reporter);
    let warnings = check(&Facts::default(), Some(&facts(&found)?));
    let (metric, samples, note) = (evaluation.metric, evaluation.count(), evaluation.note()?);
    let model = model.display().to_string();
    if args.json {
        let result = serde_json::json!({
            "model": model,
            "kind": kind,
            "metric": metric.name(),
            "output": evaluation.output().name,
            "metric_note": note,
            "samples": samples,
            "value": found.metric,
            "ci": found.interval,
            "figures": found.figures,
            "confusion": confusion(&found, classes, evaluation),
            "further": further.iter().map(Further::json).collect::<Vec<_>>(),
            "warnings": warnings,
        });
        return output::json(&result);
    }
    let value = metric.text(found.metric, found.interval);
    let plural = if samples == 1 { "" } else { "s" };
    let output = evaluation.output();
    let of = match output.all == output.len() {
        true => String::new(),
        false => format!(" of the output '{}'", printable::line(&output.name)),
    };
    outln!("{model} ({kind}): {metric}{of} {value} on {samples} sample{plural}")?;
    if let Some(note) = note {
        outln!("  {note}")?;
    }
    figures(&found)?;
    for Further { output, metric, note, judgement } in further {
        let value = metric.text(judgement.metric, judgement.interval);
        outln!("  {metric} of the output '{}' {value}", printable::line(output))?;
        if let Some(note) = note {
            outln!("  {note}")?;
        }
        figures(judgement)?;
    }
    for warning in &warnings {
        outln!("warning: {warning}")?;
    }
    Ok(())
}

fn figures(judgement: &Judgement) -> anyhow::Result<()> {
    for figure in &judgement.figures {
        outln!("  {} {}", figure.name, Metric::Binary.text(figure.value, figure.interval))?;
    }
    Ok(())
}

impl Further {
    fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "output": self.output,
            "metric": self.metric.name(),
            "metric_note": self.note,
            "value": self.judgement.metric,
            "ci": self.judgement.interval,
            "figures": self.judgement.figures,
        })
    }
}

/// Counts by label and prediction, with the names of the classes if they are known.
fn confusion(
    found: &Judgement,
    classes: &[String],
    evaluation: &Evaluation,
) -> Option<serde_json::Value> {
    let counts = &found.confusion.as_ref()?.counts;
    let named = evaluation.labels.as_ref().map_or(&[][..], |labels| labels.classes());
    let classes = [classes, named].into_iter().find(|names| names.len() == counts.len());
    Some(serde_json::json!({ "classes": classes.unwrap_or_default(), "counts": counts }))
}

/// What the integer model read and wrote.
#[derive(Default)]
struct Dump {
    inputs: Kept,
    outputs: Kept,
}

/// The first bytes of what comes.
#[derive(Default)]
struct Kept(Vec<u8>);

impl Kept {
    fn keep(&mut self, bytes: &[u8], most: usize) {
        let missing = most.saturating_sub(self.0.len()).min(bytes.len());
        self.0.extend(&bytes[..missing]);
    }
}

impl Dump {
    /// Writes `inputs.bin` and `outputs.bin`, and where there are several inputs or outputs, a file of
    /// each: `input_NAME.bin`, `output_NAME.bin`.
    fn write(&self, folder: &Path, model: &Program) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let mut files = vec![
            ("inputs.bin".to_owned(), self.inputs.0.clone()),
            ("outputs.bin".to_owned(), self.outputs.0.clone()),
        ];
        for (role, kept, names, sizes) in [
            (
                "input",
                &self.inputs,
                model.inputs.iter().map(|input| input.name.as_str()).collect::<Vec<_>>(),
                model.input_tensors().map(IntTensor::bytes).collect::<Vec<_>>(),
            ),
            (
                "output",
                &self.outputs,
                model.outputs.iter().map(|output| output.name.as_str()).collect(),
                model.output_tensors().map(IntTensor::bytes).collect(),
            ),
        ] {
            if names.len() == 1 {
                continue;
            }
            let all = sizes.iter().sum::<usize>().max(1);
            let mut start = 0;
            for (name, size) in unique_identifiers(names.into_iter(), role).iter().zip(sizes) {
                let own = start..start + size;
                start = own.end;
                let bytes = kept.0.chunks_exact(all).flat_map(|sample| &sample[own.clone()]);
                files.push((format!("{role}_{name}.bin"), bytes.copied().collect()));
            }
        }
        for (name, bytes) in files {
            let path = folder.join(name);
            let failed = || format!("cannot write {}", path.display());
            write_atomically(&path, &bytes).with_context(failed)?;
        }
        Ok(())
    }
}
