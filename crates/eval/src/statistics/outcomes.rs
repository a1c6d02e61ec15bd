//! How a network did, sample by sample.

/// How a network did on each sample.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcomes {
    /// Whether it was right.
    Correct(Vec<bool>),
    /// Its anomaly score, or what it adds to the metric, which is the mean.
    Scores(Vec<f64>),
}
