//! Arguments of `burn-ptq compare`.

use std::path::PathBuf;

use clap::Args;

use super::{BackendArgument, Data};

#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// The models, two or more: .bptq (integer), .onnx (float), a report.json, or a folder that `quantize
    /// --out` wrote. The others are compared with the first.
    #[arg(value_name = "MODEL", required = true)]
    pub models: Vec<PathBuf>,
    #[command(flatten)]
    pub data: Data,
    /// Predict what integer models cost on these processors in exported C: flash with code, RAM with the
    /// stack, and instructions.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    pub target: Vec<String>,
    /// List all layers, not only those that differ.
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    pub backend: BackendArgument,
    /// Print JSON instead of tables.
    #[arg(long)]
    pub json: bool,
}

impl Data {
    /// The first flag about the evaluation that was given although there are no samples.
    pub(crate) fn without_samples(&self) -> Option<&'static str> {
        let given = [
            ("--output", self.output.is_some()),
            ("--labels", self.labels.is_some()),
            ("--groups", self.groups.is_some()),
            ("--metric", self.metric.is_some()),
            ("--threshold", self.threshold.is_some()),
            ("--class-axis", self.class_axis.is_some()),
            ("--input-scale", !self.input_scale.is_empty()),
            ("--input-mean", !self.input_mean.is_empty()),
            ("--input-std", !self.input_std.is_empty()),
            ("--layout", self.layout.is_some()),
            ("--window-frames", self.window_frames.is_some()),
            ("--window-step", self.window_step.is_some()),
            ("--classes", !self.classes.is_empty()),
        ];
        let first = given.into_iter().find(|(_, given)| *given).map(|(flag, _)| flag);
        first.filter(|_| self.eval.is_empty() && self.task.is_none())
    }
}
