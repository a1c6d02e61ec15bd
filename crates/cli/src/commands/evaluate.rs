//! `burn-ptq evaluate`.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use burn_ptq::backend::device;
use burn_ptq::evaluate::{Predict, float_predictor, integer_predictor, quantize_inputs};
use burn_ptq::import::onnx;
use burn_ptq::job::open_evaluation;
use burn_ptq_deploy::file;
use burn_ptq_deploy::interpreter::{Path as KernelPath, run_batch};
use burn_ptq_deploy::model::IntModel;
use burn_ptq_deploy::output::write_atomically;

use super::{is_integer_model, task};
use crate::args::Evaluate;
use crate::output::{self, outln};
use crate::progress::Reporter;

pub fn run(args: Evaluate) -> anyhow::Result<()> {
    let device = device(&args.backend.backend)?;
    let task = task(&args.data, args.model.as_ref(), None)?;
    let reporter = Reporter::new();
    let judge = |input: &str, shape: &[usize], kind: &str, predict: Predict| {
        let evaluation = open_evaluation(&task, input, shape)?
            .context("nothing to evaluate with: give --eval X.npy, or --task DIR")?;
        let value = evaluation.run("evaluate", predict, &|event| reporter.show(event))?;
        drop(reporter);
        let (metric, samples) = (evaluation.metric.name(), evaluation.count());
        let model = task.model.display().to_string();
        if args.json {
            let result = serde_json::json!({
                "model": model, "kind": kind, "metric": metric, "samples": samples, "value": value,
            });
            output::json(&result)
        } else {
            outln!("{model} ({kind}): {metric} {value:.4} on {samples} samples")
        }
    };
    if is_integer_model(&task.model) {
        let model = file::read(&task.model)?;
        let border = &model.input_border;
        let input = &model.tensors[model.input.0];
        let (name, bytes) = (&input.name, input.bytes());
        let mut inputs = Vec::new();
        let wanted = if args.dump.is_some() { args.dump_samples } else { 0 };
        let mut predictor = integer_predictor(&model);
        let mut predict = |samples: Vec<f32>| {
            if inputs.len() < wanted * bytes {
                inputs.extend(quantize_inputs(&model, &samples));
                inputs.truncate(wanted * bytes);
            }
            predictor(samples)
        };
        judge(name, &border.source_shape, "integer", &mut predict)?;
        args.dump.as_deref().map_or(Ok(()), |folder| dump(&model, &inputs, folder))
    } else {
        anyhow::ensure!(args.dump.is_none(), "only an integer model (.bptq) has integers to dump");
        let graph = Arc::new(onnx::read(&task.model)?);
        let input = graph.value(graph.input);
        let predict = &mut float_predictor(&graph, &device);
        judge(&input.name, &input.shape, "float", predict)
    }
}

/// Writes `inputs.bin` and `outputs.bin`.
fn dump(model: &IntModel, inputs: &[u8], folder: &Path) -> anyhow::Result<()> {
    let outputs = run_batch(model, KernelPath::Reference, inputs)?;
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    for (name, bytes) in [("inputs.bin", inputs), ("outputs.bin", &outputs)] {
        let path = folder.join(name);
        let failed = || format!("cannot write {}", path.display());
        write_atomically(&path, bytes).with_context(failed)?;
    }
    Ok(())
}
