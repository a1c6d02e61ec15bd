//! The commands, one file each.

pub mod ablate;
pub mod demo;
pub mod evaluate;
pub mod export;
pub mod inspect;
pub mod quantize;
pub mod recipe;

use std::path::PathBuf;

use burn_ptq::data::Preprocessing;
use burn_ptq::evaluate::EvaluationFiles;
use burn_ptq::metric::{Metric, MetricOptions};
use burn_ptq::task::Task;

use crate::args::Data;

/// The task that a folder and flags describe together; flags win.
fn task(
    data: &Data,
    model: Option<&PathBuf>,
    calibration: Option<&PathBuf>,
) -> anyhow::Result<Task> {
    let mut task = match (&data.task, model) {
        (Some(folder), _) => Task::open(folder)?,
        (None, Some(model)) => Task {
            name: model.file_stem().map_or("model".into(), |s| s.to_string_lossy().into_owned()),
            model: model.clone(),
            calibration: None,
            evaluation: None,
            metric: Metric::Top1,
            metric_options: MetricOptions::default(),
            preprocessing: Preprocessing::default(),
            window_frames: None,
            shapes: Vec::new(),
        },
        (None, None) => anyhow::bail!("give a model or --task DIR"),
    };
    if let Some(model) = model {
        task.model = model.clone();
    }
    if let Some(calibration) = calibration {
        task.calibration = Some(calibration.clone());
    }
    if let Some(samples) = &data.eval {
        // Labels belong to their samples: those of the task no longer count.
        task.evaluation = Some(EvaluationFiles { samples: samples.clone(), ..Default::default() });
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
    if let Some(scale) = data.input_scale {
        task.preprocessing.scale = scale;
    }
    if !data.input_mean.is_empty() {
        task.preprocessing.mean = data.input_mean.clone();
    }
    if !data.input_std.is_empty() {
        task.preprocessing.std = data.input_std.clone();
    }
    if data.window_frames.is_some() {
        task.window_frames = data.window_frames;
    }
    task.shapes = data.shape.clone();
    check_preprocessing(&task.preprocessing)?;
    anyhow::ensure!(task.window_frames != Some(0), "--window-frames is 0: expected at least 1");
    Ok(task)
}

fn check_preprocessing(preprocessing: &Preprocessing) -> anyhow::Result<()> {
    let Preprocessing { scale, mean, std } = preprocessing;
    anyhow::ensure!(
        scale.is_finite() && *scale != 0.0,
        "--input-scale is {scale}: expected a finite number other than 0"
    );
    anyhow::ensure!(
        mean.iter().all(|x| x.is_finite()),
        "--input-mean holds {mean:?}: expected finite numbers"
    );
    anyhow::ensure!(
        std.iter().all(|x| x.is_finite() && *x > 0.0),
        "--input-std holds {std:?}: expected positive numbers"
    );
    Ok(())
}

/// Whether a path names an integer model.
fn is_integer_model(path: &std::path::Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("bptq"))
}
