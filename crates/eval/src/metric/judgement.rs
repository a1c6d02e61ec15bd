//! What an evaluation finds out.

use serde::Serialize;

use super::{Confusion, MetricKind, Outcomes};

/// A 95 % confidence interval: its bounds.
pub type Interval = (f64, f64);

/// What an evaluation found out.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// The metric.
    pub metric: f64,
    /// Its 95 % confidence interval over evaluation samples; none where one sample tells nothing of
    /// the others.
    pub interval: Option<Interval>,
    /// What it was computed from, sample by sample.
    pub outcomes: Outcomes,
    /// Further figures that belong to the metric.
    pub figures: Vec<Figure>,
    /// How often each class was taken for each other one, for few enough classes.
    pub confusion: Option<Confusion>,
    /// The predicted class of each sample, or of each of its places in turn; none unless classes are judged.
    pub predicted: Option<Vec<u32>>,
    /// What else can be drawn of it.
    pub picture: Option<Picture>,
}

impl Judgement {
    /// A judgement without further figures.
    pub fn new(metric: f64, interval: Option<Interval>, outcomes: Outcomes) -> Self {
        let (figures, confusion, predicted, picture) = (Vec::new(), None, None, None);
        Self { metric, interval, outcomes, figures, confusion, predicted, picture }
    }
}

/// What can be drawn of a judgement.
#[derive(Clone, Debug, PartialEq)]
pub enum Picture {
    /// The ROC curve of each group of samples.
    Roc(Vec<Curve>),
    /// Targets and outputs, of some elements evenly spread over all.
    Scatter(Vec<(f64, f64)>),
}

/// The ROC curve of a group of samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// The group; none if all samples are one.
    pub group: Option<i64>,
    /// The area under the curve.
    pub area: f64,
    /// Corners: false and true positive rates.
    pub points: Vec<(f64, f64)>,
}

/// Corners of a curve at most.
pub(super) const MOST_CORNERS: usize = 200;

/// Pairs of a scatter plot at most.
const MOST_PAIRS: usize = 500;

/// Keeps pairs of targets and outputs, evenly spread over samples and their outputs.
#[derive(Debug)]
pub(super) struct Pairs {
    every: usize,
    seen: usize,
    kept: Vec<(f64, f64)>,
}

impl Pairs {
    /// For `samples` of `outputs` elements each.
    pub(super) fn new(samples: usize, outputs: usize) -> Self {
        let common = |mut a: usize, mut b: usize| {
            while b > 0 {
                (a, b) = (b, a % b);
            }
            a
        };
        let least = (samples * outputs).div_ceil(MOST_PAIRS).max(1);
        // A step that shares no factor with the outputs takes all of them in turn.
        let every = (least..).find(|&every| common(every, outputs.max(1)) == 1).unwrap_or(least);
        Self { every, seen: 0, kept: Vec::new() }
    }

    /// Takes in the elements of a sample.
    pub(super) fn add(&mut self, targets: &[f64], outputs: &[f32]) {
        for (&target, &output) in targets.iter().zip(outputs) {
            if self.seen.is_multiple_of(self.every) {
                self.kept.push((target, f64::from(output)));
            }
            self.seen += 1;
        }
    }

    /// What can be drawn of them.
    pub(super) fn picture(self) -> Option<Picture> {
        Some(Picture::Scatter(self.kept))
    }
}

/// A further figure of a metric, a share.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// Its name in reports, such as `f1`.
    pub name: &'static str,
    /// Its value.
    pub value: f64,
    /// Its 95 % confidence interval.
    #[serde(rename = "ci", skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
}

/// A value with its confidence interval, human-readable.
pub(super) fn text(kind: MetricKind, value: f64, interval: Option<Interval>) -> String {
    let digits = |x: f64, digits: usize| match kind {
        // Errors have the unit of the outputs, which may be tiny or huge.
        MetricKind::Error if x != 0.0 && !(1e-3..1e6).contains(&x.abs()) => format!("{x:.3e}"),
        MetricKind::Error => format!("{x:.4}"),
        MetricKind::Share | MetricKind::Score => format!("{x:.digits$}"),
    };
    let value = digits(value, 4);
    match interval {
        Some((low, high)) => format!("{value} [{}, {}]", digits(low, 3), digits(high, 3)),
        None => value,
    }
}
