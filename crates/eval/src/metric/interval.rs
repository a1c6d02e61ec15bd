//! Confidence intervals of 95 % over evaluation samples.
//!
//! Nothing is drawn at random. Shares have Wilson's interval, which does not shrink to a point where
//! every sample is right; means have Student's.

use super::Interval;
use crate::statistics::{mean_and_deviation, student_quantile};

/// The probability that an interval misses.
const LEVEL: f64 = 0.05;

/// The quantile of the normal distribution that [`LEVEL`] leaves outside on both sides together.
const Z: f64 = 1.959_963_984_540_054;

/// Wilson's score interval of a share found in `count` independent trials.
pub(super) fn wilson(share: f64, count: f64) -> Option<Interval> {
    if count < 1.0 {
        return None;
    }
    let z2 = Z * Z / count;
    let centre = (share + 0.5 * z2) / (1.0 + z2);
    let margin = (z2 * share * (1.0 - share) + 0.25 * z2 * z2).max(0.0).sqrt() / (1.0 + z2);
    // At the ends, what is left of rounding must not shut out the share itself.
    Some(((centre - margin).clamp(0.0, share), (centre + margin).clamp(share, 1.0)))
}

/// The interval of the share of true values.
pub(super) fn of_correct(correct: &[bool]) -> (f64, Option<Interval>) {
    let right = correct.iter().filter(|&&c| c).count();
    let share = right as f64 / correct.len().max(1) as f64;
    (share, wilson(share, correct.len() as f64))
}

/// The interval of the mean of shares, each of `places` places of one sample, that are not
/// independent: Wilson's for as many trials as have the variance found (Dean and Pagano, 2015). At
/// least one trial a sample.
pub(super) fn of_shares(shares: &[f64], places: usize) -> (f64, Option<Interval>) {
    let (mean, deviation) = mean_and_deviation(shares);
    let count = shares.len() as f64;
    let variance = deviation.unwrap_or(0.0).powi(2) / count.max(1.0);
    let trials = match variance > 0.0 {
        true => (mean * (1.0 - mean) / variance).clamp(count, count * places as f64),
        false => count,
    };
    (mean, wilson(mean, trials))
}

/// Student's interval about the mean of `values`; none for a single value.
pub(super) fn of_mean(values: &[f64]) -> (f64, Option<Interval>) {
    let (mean, deviation) = mean_and_deviation(values);
    (mean, deviation.map(|d| around(mean, d, values.len())))
}

/// Student's interval about `value`, to which each sample adds a part with this deviation.
pub(super) fn around(value: f64, deviation: f64, count: usize) -> Interval {
    let count = count as f64;
    let margin = student_quantile(LEVEL, count - 1.0) * deviation / count.sqrt();
    (value - margin, value + margin)
}

/// The interval of `2 TP / (2 TP + FP + FN)`: a function of the share of true positives among all
/// samples but the true negatives, which has Wilson's (Flores et al., 2022).
pub(super) fn of_f1(positives: Positives) -> Option<Interval> {
    let Positives { both, either } = positives;
    let f1 = |share: f64| 2.0 * share / (1.0 + share);
    wilson(both as f64 / either.max(1) as f64, either as f64).map(|(a, b)| (f1(a), f1(b)))
}

/// Counts of positive samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Positives {
    /// Positive by label and by output.
    pub both: usize,
    /// Positive by label or by output.
    pub either: usize,
}

impl Positives {
    pub(super) fn add(&mut self, label: bool, found: bool) {
        self.both += usize::from(label && found);
        self.either += usize::from(label || found);
    }

    /// The F1 score; none if nothing is positive.
    pub(super) fn f1(self) -> Option<f64> {
        let (both, either) = (self.both as f64, self.either as f64);
        (self.either > 0).then(|| 2.0 * both / (both + either))
    }
}

/// Newcombe's interval of an area under the ROC curve (2006, method 5), by the variance that it would
/// have at each bound: for kinds that are apart, or of one sample, which show no variance.
pub(super) fn of_area(area: f64, positives: usize, negatives: usize) -> Interval {
    let (m, n) = (positives as f64, negatives as f64);
    let more = 0.5 * (m + n) - 1.0;
    let variance = |a: f64| {
        a * (1.0 - a) * (1.0 + more * (1.0 - a) / (2.0 - a) + more * a / (1.0 + a)) / (m * n)
    };
    // Between the area and an end there is one place whose distance is its margin.
    let bound = |end: f64| {
        let (mut inside, mut outside) = (area, end);
        for _ in 0..60 {
            let middle = 0.5 * (inside + outside);
            let within = (middle - area).abs() <= Z * variance(middle).sqrt();
            *(if within { &mut inside } else { &mut outside }) = middle;
        }
        0.5 * (inside + outside)
    };
    (bound(0.0), bound(1.0))
}
