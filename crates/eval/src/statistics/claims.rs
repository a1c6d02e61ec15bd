//! What may be claimed about the difference of two cells, or of two networks.

use serde::Serialize;

use super::{Comparison, false_discovery};
use crate::metric::Metric;

/// The level of all claims: at most this share of those that are made together is false on average.
pub const LEVEL: f64 = 0.05;

/// A comparison, and what may be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Claim {
    /// The difference of the means.
    pub difference: f64,
    /// Its 95 % confidence interval.
    pub interval: (f64, f64),
    /// The p-value.
    pub p: f64,
    /// The p-value, adjusted for the false discovery rate: against the reference over the experiment,
    /// against the float network over all distinct cells of the study.
    pub adjusted_p: f64,
    /// What may be claimed.
    pub verdict: Verdict,
}

/// What may be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The cell is better.
    Better,
    /// The cell is worse.
    Worse,
    /// Neither is statistically significant.
    NoDifferenceShown,
    /// Every run gives what the reference gives, on every sample.
    SameResults,
    /// Runs of a single draw claim nothing.
    OneDraw,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Better, Self::Worse, Self::NoDifferenceShown, Self::SameResults, Self::OneDraw];

    /// Whether it follows from a test, which is corrected together with others.
    pub const fn tested(self) -> bool {
        !matches!(self, Self::SameResults | Self::OneDraw)
    }

    /// In human-readable form.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::NoDifferenceShown => "not significant",
            Self::SameResults => "same results",
            Self::OneDraw => "one draw: no claim",
        }
    }
}

impl Claim {
    /// A claim before correction; `same` if every run gives what the reference gives.
    pub fn new(found: &Comparison, metric: Metric, same: bool) -> Self {
        let better = metric.lost(0.0, found.difference) < 0.0;
        let verdict = match (found.enough, same, better) {
            (false, ..) => Verdict::OneDraw,
            (true, true, _) => Verdict::SameResults,
            (true, false, true) => Verdict::Better,
            (true, false, false) => Verdict::Worse,
        };
        let p = if verdict.tested() { found.p() } else { 1.0 };
        let (difference, interval) = (found.difference, found.interval(LEVEL));
        Self { difference, interval, p, adjusted_p: p, verdict }
    }
}

/// Corrects claims together; returns how many.
pub fn correct<'a>(claims: impl Iterator<Item = &'a mut Claim>) -> usize {
    let mut claims: Vec<&mut Claim> = claims.filter(|claim| claim.verdict.tested()).collect();
    let adjusted = false_discovery(&claims.iter().map(|claim| claim.p).collect::<Vec<_>>());
    for (claim, adjusted) in claims.iter_mut().zip(&adjusted) {
        claim.adjusted_p = *adjusted;
        if *adjusted >= LEVEL {
            claim.verdict = Verdict::NoDifferenceShown;
        }
    }
    claims.len()
}

#[cfg(test)]
mod tests {
    use super::super::{Against, Draw, Judge, Judged};
    use super::*;

    #[test]
    fn less_is_better_for_errors_and_worse_for_scores() {
        let cell = |shift: f64| -> Vec<Judged> {
            let values = |draw: usize| {
                (0..50).map(|i| shift + 0.01 * ((7 * i + 3 * draw) % 10) as f64).collect()
            };
            (0..3).map(|draw| Judged { draw: Draw::Samples(draw), values: values(draw) }).collect()
        };
        let found = Judge::Mean.compare(&cell(0.2), Against::Cell(&cell(0.5)), false);
        for &metric in Metric::ALL.iter().filter(|metric| metric.is_paired()) {
            let verdict = Claim::new(&found, metric, false).verdict;
            let errors = [Metric::Mse, Metric::Mae, Metric::Reconstruction];
            let expected = if errors.contains(&metric) { Verdict::Better } else { Verdict::Worse };
            assert_eq!(verdict, expected, "{metric}");
        }
    }
}
