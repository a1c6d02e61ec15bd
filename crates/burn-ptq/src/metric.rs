//! Metrics of evaluation.

use serde::{Deserialize, Serialize};

/// How well a network does its task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// Share of samples whose largest output is the label's; higher is better.
    Top1,
    /// Area under the ROC curve of an anomaly score, averaged over groups; higher is better.
    Auc,
    /// Mean squared error; lower is better.
    Mse,
}

impl Metric {
    /// How much worse `found` is than `float`.
    pub fn lost(self, float: f64, found: f64) -> f64 {
        match self {
            Metric::Top1 | Metric::Auc => float - found,
            Metric::Mse => found - float,
        }
    }

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Metric::Top1 => "top1",
            Metric::Auc => "auc",
            Metric::Mse => "mse",
        }
    }
}

/// The index of the largest output, the first of equals.
pub fn argmax(outputs: &[f32]) -> usize {
    let mut best = 0;
    for (i, &x) in outputs.iter().enumerate() {
        if x > outputs[best] {
            best = i;
        }
    }
    best
}

/// The area under the ROC curve: the share of (anomalous, normal) pairs in which the anomalous one
/// has the higher score, ties counting half. `None` unless both kinds occur.
pub fn auc(scores: &[f64], anomalous: &[bool]) -> Option<f64> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let positives = anomalous.iter().filter(|&&a| a).count();
    let negatives = scores.len() - positives;
    if positives == 0 || negatives == 0 {
        return None;
    }
    // Mann-Whitney: the sum of the ranks of the positives, ties sharing their mean rank.
    let mut rank_sum = 0.0;
    let mut start = 0;
    while start < order.len() {
        let mut end = start;
        while end < order.len() && scores[order[end]] == scores[order[start]] {
            end += 1;
        }
        let rank = (start + 1 + end) as f64 / 2.0;
        rank_sum += rank * order[start..end].iter().filter(|&&i| anomalous[i]).count() as f64;
        start = end;
    }
    let smallest = (positives * (positives + 1)) as f64 / 2.0;
    Some((rank_sum - smallest) / (positives * negatives) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auc_counts_ordered_pairs() {
        let anomalous = [false, true, false, true];
        assert_eq!(auc(&[0.1, 0.9, 0.2, 0.8], &anomalous), Some(1.0));
        assert_eq!(auc(&[0.9, 0.1, 0.8, 0.2], &anomalous), Some(0.0));
        assert_eq!(auc(&[0.5, 0.5, 0.5, 0.5], &anomalous), Some(0.5));
        assert_eq!(auc(&[0.1, 0.3, 0.4, 0.8], &anomalous), Some(0.75));
        assert_eq!(auc(&[0.1, 0.2], &[true, true]), None);
    }

    #[test]
    fn argmax_takes_the_first_of_equals() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0, 2.0]), 1);
    }
}
