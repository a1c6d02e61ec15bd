//! `mse` and `mae`: the mean error to targets.

use super::fit::targets;
use super::interval::of_mean;
use super::judgement::Pairs;
use super::{Judge, Judgement, Measure, MetricKind, Outcomes, Setting};

/// A mean of errors.
pub(super) struct Regression {
    name: &'static str,
    summary: &'static str,
    heading: &'static str,
    error: fn(f64) -> f64,
}

impl Regression {
    /// The mean squared error.
    pub(super) const SQUARED: Self = Self {
        name: "mse",
        summary: "mean squared error to the targets in --labels",
        heading: "mean squared error",
        error: |x| x * x,
    };
    /// The mean absolute error.
    pub(super) const ABSOLUTE: Self = Self {
        name: "mae",
        summary: "mean absolute error to the targets in --labels",
        heading: "mean absolute error",
        error: f64::abs,
    };
}

impl Measure for Regression {
    fn name(&self) -> &'static str {
        self.name
    }

    fn summary(&self) -> &'static str {
        self.summary
    }

    fn heading(&self) -> &'static str {
        self.heading
    }

    fn kind(&self) -> MetricKind {
        MetricKind::Error
    }

    fn judge<'a>(&self, setting: &Setting<'a>) -> Result<Box<dyn Judge + 'a>, String> {
        let targets = targets(setting, self.name)?;
        let pairs = Pairs::new(setting.samples, setting.output.len());
        Ok(Box::new(RegressionJudge { targets, error: self.error, errors: Vec::new(), pairs }))
    }
}

struct RegressionJudge<'a> {
    targets: &'a [f64],
    error: fn(f64) -> f64,
    errors: Vec<f64>,
    pairs: Pairs,
}

impl Judge for RegressionJudge<'_> {
    fn add(&mut self, outputs: &[f32], _inputs: &[f32]) {
        let targets = &self.targets[self.errors.len() * outputs.len()..];
        let errors = outputs.iter().zip(targets).map(|(&x, t)| (self.error)(f64::from(x) - t));
        self.pairs.add(targets, outputs);
        self.errors.push(errors.sum::<f64>() / outputs.len() as f64);
    }

    fn finish(self: Box<Self>) -> Result<Judgement, String> {
        Ok(Judgement { picture: self.pairs.picture(), ..of_errors(self.errors) })
    }
}

/// The judgement of an error of each sample.
pub(super) fn of_errors(errors: Vec<f64>) -> Judgement {
    let (mean, interval) = of_mean(&errors);
    // No error is negative.
    let interval = interval.map(|(low, high)| (low.max(0.0), high));
    Judgement::new(mean, interval, Outcomes::Scores(errors))
}
