//! `burn-ptq evaluate`.

use std::sync::Arc;

use anyhow::Context;
use burn_ptq::backend::device;
use burn_ptq::evaluate::{Predict, float_predictor, integer_predictor};
use burn_ptq::import::onnx;
use burn_ptq::job::open_evaluation;
use burn_ptq_deploy::file;

use super::{is_integer_model, task};
use crate::args::Evaluate;
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
            println!("{}", serde_json::to_string_pretty(&result)?);
        } else {
            println!("{model} ({kind}): {metric} {value:.4} on {samples} samples");
        }
        anyhow::Ok(())
    };
    if is_integer_model(&task.model) {
        let model = file::read(&task.model)?;
        let border = &model.input_border;
        let name = &model.tensors[model.input.0].name;
        judge(name, &border.source_shape, "integer", &mut integer_predictor(&model))
    } else {
        let graph = Arc::new(onnx::read(&task.model)?);
        let input = graph.value(graph.input);
        let predict = &mut float_predictor(&graph, &device);
        judge(&input.name, &input.shape, "float", predict)
    }
}
