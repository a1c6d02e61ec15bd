//! Why a metric cannot judge.

/// Something that a metric needs is missing or does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("metric {metric}: {problem}")]
pub struct MetricError {
    /// The metric.
    pub metric: &'static str,
    /// What is wrong, and what is expected.
    pub problem: String,
}
