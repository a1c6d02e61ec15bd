//! The commands, one file each.

pub(crate) mod ablate;
pub(crate) mod boards;
pub(crate) mod compare;
pub(crate) mod convert;
mod cost;
pub(crate) mod demo;
pub(crate) mod evaluate;
pub(crate) mod export;
pub(crate) mod fit;
pub(crate) mod inspect;
pub(crate) mod manual;
pub(crate) mod quantize;
pub(crate) mod recipe;
pub(crate) mod reference;
pub(crate) mod schema;
mod stream;

use std::path::PathBuf;

use burn_ptq::import::onnx::Encodings;
use burn_ptq_deploy::export::target;
use burn_ptq_deploy::target::Target;
use burn_ptq_eval::board::{Board, board_with_target};
use burn_ptq_eval::data::SamplePaths;
use burn_ptq_eval::input::InputSettings;
use burn_ptq_eval::task::EvaluationFiles;
use burn_ptq_eval::task::Task;

use crate::args::{Data, Named, Numbers};

/// The task that a folder and flags describe together; flags win.
fn task(data: &Data, model: Option<&PathBuf>, calibration: &[PathBuf]) -> anyhow::Result<Task> {
    let mut task = match (&data.task, model) {
        (Some(folder), _) => Task::open(folder)?,
        (None, Some(model)) => {
            let name = model.file_stem().map_or("model".into(), |stem| stem.to_string_lossy());
            Task::new(name, model)
        }
        (None, None) => anyhow::bail!("give a model or --task DIR"),
    };
    if let Some(model) = model {
        task.model = model.clone();
    }
    if !calibration.is_empty() {
        task.calibration = Some(SamplePaths(calibration.to_vec()));
    }
    if !data.eval.is_empty() {
        // Labels belong to their samples: those of the task no longer count.
        let samples = SamplePaths(data.eval.clone());
        task.evaluation = Some(EvaluationFiles { samples, ..Default::default() });
        task.further.clear();
    }
    if let Some(output) = &data.output {
        task.judge(output);
    }
    match (&mut task.evaluation, &data.labels, &data.groups) {
        (Some(files), labels, groups) => {
            files.labels = labels.clone().or(files.labels.take());
            files.groups = groups.clone().or(files.groups.take());
        }
        (None, None, None) => {}
        _ => anyhow::bail!("--labels and --groups need --eval X.npy"),
    }
    if let Some(metric) = data.metric {
        task.metric = metric;
    }
    let options = &mut task.metric_options;
    options.threshold = data.threshold.or(options.threshold);
    options.class_axis = data.class_axis.or(options.class_axis);
    options.check().map_err(anyhow::Error::msg)?;
    override_input(&mut task.input, data);
    task.shapes.clone_from(&data.shape);
    task.requantize = data.requantize.map(Into::into);
    task.encodings = data.encodings.as_deref().map(Encodings::read).transpose()?;
    if !data.state.is_empty() {
        task.states.clone_from(&data.state);
    }
    check_input(&task.input)?;
    Ok(task)
}

/// Overrides a task's settings by flags.
fn override_input(input: &mut InputSettings, data: &Data) {
    for Named { name, value } in &data.input_scale {
        match name {
            Some(name) => input.inputs.entry(name.clone()).or_default().scale = Some(*value),
            None => input.scale = Some(*value),
        }
    }
    for Named { name, value: Numbers(mean) } in &data.input_mean {
        match name {
            Some(name) => input.inputs.entry(name.clone()).or_default().mean = Some(mean.clone()),
            None => input.mean = Some(mean.clone()),
        }
    }
    for Named { name, value: Numbers(std) } in &data.input_std {
        match name {
            Some(name) => input.inputs.entry(name.clone()).or_default().std = Some(std.clone()),
            None => input.std = Some(std.clone()),
        }
    }
    input.layout = data.layout.map(Into::into).or(input.layout);
    input.window_frames = data.window_frames.or(input.window_frames);
    input.window_step = data.window_step.or(input.window_step);
    if !data.classes.is_empty() {
        input.classes.clone_from(&data.classes);
    }
}

/// Checks what can be checked before the model is read.
fn check_input(input: &InputSettings) -> anyhow::Result<()> {
    let named = input.inputs.values().map(|named| (named.scale, &named.mean, &named.std));
    for (scale, mean, std) in named.chain([(input.scale, &input.mean, &input.std)]) {
        let scale = scale.unwrap_or(1.0);
        anyhow::ensure!(
            scale.is_finite() && scale != 0.0,
            "--input-scale is {scale}: expected a finite number other than 0"
        );
        let mean = mean.as_deref().unwrap_or_default();
        anyhow::ensure!(
            mean.iter().all(|x| x.is_finite()),
            "--input-mean holds {mean:?}: expected finite numbers"
        );
        let std = std.as_deref().unwrap_or_default();
        anyhow::ensure!(
            std.iter().all(|x| x.is_finite() && *x > 0.0),
            "--input-std holds {std:?}: expected positive numbers"
        );
    }
    for (flag, value) in
        [("--window-frames", input.window_frames), ("--window-step", input.window_step)]
    {
        anyhow::ensure!(value != Some(0), "{flag} is 0: expected at least 1");
    }
    Ok(())
}

/// The board that a flag names, and the target: the board's own, or the one that a flag names.
fn processor(
    board: Option<&str>,
    wanted: Option<&str>,
) -> anyhow::Result<(Option<&'static Board>, Option<&'static Target>)> {
    let wanted = wanted.map(target).transpose()?;
    let board = board.map(|name| board_with_target(name, wanted)).transpose()?;
    Ok((board, board.map(|board| board.target).or(wanted)))
}
