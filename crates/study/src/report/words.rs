//! Numbers and verdicts in human-readable form.

use burn_ptq_eval::metric::{Metric, MetricKind};
use burn_ptq_eval::statistics::{Claim, Verdict};

use crate::analysis::{Cell, ExperimentResult};

/// The metric with its unit, for headings.
pub(super) fn unit(metric: Metric) -> &'static str {
    metric.heading()
}

/// The metric on the scale on which it is shown: shares in percent.
pub(super) fn shown(metric: Metric, value: f64) -> f64 {
    match metric.kind() {
        MetricKind::Share => 100.0 * value,
        MetricKind::Error | MetricKind::Score => value,
    }
}

/// A value of the metric.
pub(super) fn value(metric: Metric, value: f64) -> String {
    match metric.kind() {
        MetricKind::Share => format!("{:.1}", 100.0 * value),
        MetricKind::Error | MetricKind::Score => format!("{value:.4}"),
    }
}

/// A difference of the metric, with its sign.
pub(super) fn difference(metric: Metric, value: f64) -> String {
    let text = match metric.kind() {
        MetricKind::Share => format!("{:+.1}", 100.0 * value),
        MetricKind::Error | MetricKind::Score => format!("{value:+.4}"),
    };
    text.replace('-', "−")
}

/// The mean and the deviation of a cell.
pub(super) fn mean(metric: Metric, cell: &Cell) -> String {
    match (cell.runs, cell.deviation) {
        (0, _) => "no result".into(),
        (runs, Some(deviation)) => {
            format!("{} ± {} ({runs})", value(metric, cell.mean), value(metric, deviation))
        }
        (_, None) => format!("{} (1)", value(metric, cell.mean)),
    }
}

/// A claim in a table: the difference, its interval, and the verdict.
pub(super) fn claim(metric: Metric, claim: Option<&Claim>) -> String {
    let Some(claim) = claim else { return "–".into() };
    let found = difference(metric, claim.difference);
    let (low, high) = claim.interval;
    let interval = format!("[{}, {}]", difference(metric, low), difference(metric, high));
    match claim.verdict {
        // There is nothing that could be uncertain.
        Verdict::SameResults => Verdict::SameResults.text().into(),
        verdict => format!("{found} {interval} {}", verdict.text()),
    }
}

/// The values of a cell on all axes but those in `without`.
pub(super) fn levels(experiment: &ExperimentResult, levels: &[usize], without: &[usize]) -> String {
    let parts = experiment.axes.iter().enumerate().filter(|(axis, _)| !without.contains(axis));
    let parts = parts.map(|(axis, result)| {
        let label = &result.labels[levels[axis]];
        // A number alone says nothing.
        match result.numbers[levels[axis]] {
            Some(_) => format!("{} {label}", result.name),
            None => label.clone(),
        }
    });
    parts.collect::<Vec<_>>().join(", ")
}

/// Bytes in KiB.
pub(super) fn kibibytes(bytes: usize) -> String {
    format!("{:.1}", bytes as f64 / 1024.0)
}

/// A large count in millions.
pub(super) fn millions(count: usize) -> String {
    format!("{:.2}", count as f64 / 1e6)
}

/// Seconds, with as many digits as matter.
pub(super) fn seconds(seconds: f64) -> String {
    if seconds < 9.95 { format!("{seconds:.1}") } else { format!("{seconds:.0}") }
}
