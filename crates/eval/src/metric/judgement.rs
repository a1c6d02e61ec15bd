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
}

impl Judgement {
    /// A judgement without further figures.
    pub fn new(metric: f64, interval: Option<Interval>, outcomes: Outcomes) -> Self {
        Self { metric, interval, outcomes, figures: Vec::new(), confusion: None, predicted: None }
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
