//! Metrics of evaluation: how well a network does its task.
//!
//! A metric is a struct that implements [`Measure`] in a file of its own, and a line in the list
//! `metrics!` below. It first looks at the shapes of outputs and labels and refuses what does not
//! fit, then judges sample after sample, and ends in a [`Judgement`] with a confidence interval.
//!
//! | file | what the metrics share |
//! |---|---|
//! | `labels.rs` | labels and targets, and what is wrong with them |
//! | `output.rs` | the output's shape, and what the network ends with |
//! | `fit.rs` | how labels lie against outputs: classes, places, one-hot |
//! | `interval.rs` | confidence intervals |
//! | `places.rs` | answers at several places of a sample |

mod auc;
mod binary;
mod confusion;
mod error;
mod f1;
mod fit;
mod interval;
mod iou;
mod judgement;
mod labels;
mod multi_label;
mod output;
mod places;
mod r2;
mod reconstruction;
mod regression;
mod top;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use confusion::Confusion;
pub use error::MetricError;
pub use fit::ClassAxis;
pub use judgement::{Curve, Figure, Interval, Judgement, Picture};
pub use labels::Labels;
pub(crate) use labels::listed;
pub use output::{ChoiceError, Ending, ModelOutput};
pub use top::argmax;

pub use crate::statistics::{Outcomes, auc};

use burn_ptq::recipe::choice::unknown;

/// What a metric judges with; everything is known before a network runs.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// The samples that are judged.
    pub samples: usize,
    /// The shape of an input.
    pub input: &'a [usize],
    /// The model's output.
    pub output: &'a ModelOutput,
    /// Labels or targets.
    pub labels: Option<&'a Labels>,
    /// The group of each sample.
    pub groups: Option<&'a [i64]>,
    /// Whether a sample is a recording of which several windows are inputs.
    pub windows: bool,
    /// What can be chosen.
    pub options: MetricOptions,
}

/// What can be chosen about metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MetricOptions {
    /// The probability above which an output is positive; 0.5 if absent.
    pub threshold: Option<f64>,
    /// The axis of the output that classes lie along, where shapes do not decide it.
    pub class_axis: Option<ClassAxis>,
}

impl MetricOptions {
    /// The probability above which an output is positive.
    pub fn threshold(self) -> f64 {
        self.threshold.unwrap_or(0.5)
    }

    /// Checks the options.
    ///
    /// # Errors
    /// If the threshold is not between 0 and 1.
    pub fn check(self) -> Result<(), String> {
        match self.threshold {
            Some(t) if !(t > 0.0 && t < 1.0) => Err(format!(
                "the threshold is {t}: expected a probability between 0 and 1; for a model without a \
                 sigmoid at its end, the outputs are compared with ln(t / (1 - t))"
            )),
            _ => Ok(()),
        }
    }
}

/// A metric.
pub trait Measure: Sync {
    /// The name in task files and on the command line.
    fn name(&self) -> &'static str;

    /// What it is, in one line.
    fn summary(&self) -> &'static str;

    /// It with its unit, as tables have it; shares are in percent.
    fn heading(&self) -> &'static str;

    /// What sort of number it is.
    fn kind(&self) -> MetricKind;

    /// Prepares to judge one network.
    ///
    /// # Errors
    /// If outputs, labels and options do not fit the metric, in words that name shapes and say what
    /// to do.
    fn judge<'a>(&self, setting: &Setting<'a>) -> Result<Box<dyn Judge + 'a>, String>;
}

/// What sort of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// A share between 0 and 1, of which more is better.
    Share,
    /// An error, of which less is better.
    Error,
    /// A score that is at most 1, of which more is better.
    Score,
}

/// A metric on its way through the samples.
pub trait Judge {
    /// How it judges, where that does not follow from its name.
    fn note(&self) -> Option<String> {
        None
    }

    /// Judges the next sample by its outputs and its preprocessed inputs: one of each, or those of all
    /// windows of a recording.
    fn add(&mut self, outputs: &[f32], inputs: &[f32]);

    /// What was found.
    ///
    /// # Errors
    /// If the samples do not determine the metric.
    fn finish(self: Box<Self>) -> Result<Judgement, String>;
}

/// Declares [`Metric`] out of `Variant => measure` lines.
macro_rules! metrics {
    ($($(#[$doc:meta])* $variant:ident $(($k:ident))? => $measure:expr, as $example:expr;)*) => {
        /// How well a network does its task.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Metric {
            $($(#[$doc])* $variant $((metrics!(@type $k)))?,)*
        }

        impl Metric {
            /// Every metric, in the order of the list.
            pub const ALL: &'static [Self] = &[$($example),*];

            fn with<T>(self, use_it: impl FnOnce(&dyn Measure) -> T) -> T {
                match self { $(Self::$variant $(($k))? => use_it(&$measure),)* }
            }
        }
    };
    (@type $k:ident) => { usize };
}

metrics! {
    /// Share of samples whose largest output is the label's; higher is better.
    Top1 => top::Top { k: 1 }, as Self::Top1;
    /// Share of samples whose label is among the largest outputs; higher is better.
    TopK(k) => top::Top { k }, as Self::TopK(5);
    /// Share of samples on the right side of a threshold; higher is better.
    Binary => binary::Binary, as Self::Binary;
    /// Harmonic mean of precision and recall at a threshold; higher is better.
    F1 => f1::F1, as Self::F1;
    /// Intersection over union of classes at the places of a sample; higher is better.
    Iou => iou::Iou, as Self::Iou;
    /// Share of samples of which every label is right; higher is better.
    MultiLabel => multi_label::MultiLabel, as Self::MultiLabel;
    /// Area under the ROC curve of an anomaly score, averaged over groups; higher is better.
    Auc => auc::Auc, as Self::Auc;
    /// Mean squared error to targets; lower is better.
    Mse => regression::Regression::SQUARED, as Self::Mse;
    /// Mean absolute error to targets; lower is better.
    Mae => regression::Regression::ABSOLUTE, as Self::Mae;
    /// Coefficient of determination to targets; higher is better.
    R2 => r2::R2, as Self::R2;
    /// Mean squared error of an autoencoder to its inputs; lower is better.
    Reconstruction => reconstruction::Reconstruction, as Self::Reconstruction;
}

/// The most outputs that a label may be looked for among.
const MAX_K: usize = 100;

impl Metric {
    /// The name in task files and on the command line.
    pub fn name(self) -> &'static str {
        self.with(|measure| measure.name())
    }

    /// What it is, in one line.
    pub fn summary(self) -> &'static str {
        self.with(|measure| measure.summary())
    }

    /// It with its unit, as tables have it; shares are in percent.
    pub fn heading(self) -> &'static str {
        self.with(|measure| measure.heading())
    }

    /// What sort of number it is.
    pub fn kind(self) -> MetricKind {
        self.with(|measure| measure.kind())
    }

    /// Prepares to judge one network.
    ///
    /// # Errors
    /// If outputs, labels and options do not fit the metric.
    pub fn judge<'a>(self, setting: &Setting<'a>) -> Result<Box<dyn Judge + 'a>, String> {
        setting.options.check()?;
        self.with(|measure| measure.judge(setting))
    }

    /// Whether more is better.
    pub fn higher_is_better(self) -> bool {
        self.kind() != MetricKind::Error
    }

    /// How much worse `found` is than `float`.
    pub fn lost(self, float: f64, found: f64) -> f64 {
        if self.higher_is_better() { float - found } else { found - float }
    }

    /// Whether the metric follows from what each sample adds to it, so that networks can be compared
    /// sample by sample.
    pub fn is_paired(self) -> bool {
        !matches!(self, Metric::F1 | Metric::Iou)
    }

    /// A value with its confidence interval, human-readable.
    pub fn text(self, value: f64, interval: Option<Interval>) -> String {
        judgement::text(self.kind(), value, interval)
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Metric {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if let Some(metric) = Self::ALL.iter().find(|metric| metric.name() == name) {
            return Ok(*metric);
        }
        if name == "topk" {
            return Err("metric 'topk': write the number of classes, such as 'top5'".into());
        }
        match name.strip_prefix("top").and_then(|k| k.parse().ok()) {
            Some(1) => Ok(Self::Top1),
            Some(k) if (2..=MAX_K).contains(&k) => Ok(Self::TopK(k)),
            Some(k) => Err(format!("metric 'top{k}': expected top1 to top{MAX_K}")),
            None => {
                let names: Vec<&str> = Self::ALL.iter().map(|metric| metric.name()).collect();
                Err(unknown("metric", name, &names))
            }
        }
    }
}

impl Serialize for Metric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Metric {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
