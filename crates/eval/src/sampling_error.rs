//! Standard errors of metrics over evaluation samples, and of differences between two networks on the
//! same samples.

use crate::evaluate::Evaluation;
use crate::explain::mean_and_error;
use crate::metric::{Judgement, Metric, Outcomes};

/// The standard error of a metric, or with a second judgement of the difference between the two.
pub(crate) fn standard_error(
    evaluation: &Evaluation,
    judgement: &Judgement,
    other: Option<&Judgement>,
) -> f64 {
    let of_interval = |judgement: &Judgement| {
        judgement.interval.map(|(low, high)| (high - low) / (2.0 * INTERVAL_ERRORS))
    };
    let Some(other) = other else {
        let error = of_interval(judgement);
        return error.unwrap_or_else(|| mean_and_error(&influences(evaluation, judgement)).1);
    };
    if !evaluation.metric.is_paired() {
        let [a, b] = [judgement, other].map(|one| of_interval(one).unwrap_or_default());
        return a.hypot(b);
    }
    let mut influences = influences(evaluation, judgement);
    let others = self::influences(evaluation, other);
    influences.iter_mut().zip(others).for_each(|(a, b)| *a -= b);
    mean_and_error(&influences).1
}

/// Standard errors from the middle of a 95 % interval to its end.
const INTERVAL_ERRORS: f64 = 1.96;

/// What each sample adds to the metric, such that the metric is their mean up to a constant.
fn influences(evaluation: &Evaluation, judgement: &Judgement) -> Vec<f64> {
    match &judgement.outcomes {
        Outcomes::Correct(correct) => correct.iter().map(|&c| f64::from(u8::from(c))).collect(),
        Outcomes::Scores(scores) => match (evaluation.metric, evaluation.class_labels()) {
            (Metric::Auc, Some(labels)) => {
                let none = vec![0; scores.len()];
                let groups = evaluation.groups.as_ref().unwrap_or(&none);
                influences_on_auc(scores, &labels, groups)
            }
            _ => scores.clone(),
        },
    }
}

/// The components of the area under the curve, averaged over groups (DeLong et al., 1988).
fn influences_on_auc(scores: &[f64], labels: &[i64], groups: &[i64]) -> Vec<f64> {
    let mut names = groups.to_vec();
    names.sort_unstable();
    names.dedup();
    let mut influences = vec![0.0; scores.len()];
    for name in &names {
        let members = |anomalous: bool| -> Vec<usize> {
            let is_member = |&i: &usize| groups[i] == *name && (labels[i] != 0) == anomalous;
            (0..scores.len()).filter(is_member).collect()
        };
        let (positives, negatives) = (members(true), members(false));
        let weight = scores.len() as f64 / names.len() as f64;
        for (own, others, sign) in [(&positives, &negatives, 1.0), (&negatives, &positives, -1.0)] {
            for &i in own {
                let wins: f64 = (others.iter())
                    .map(|&j| match (sign * scores[i]).total_cmp(&(sign * scores[j])) {
                        std::cmp::Ordering::Greater => 1.0,
                        std::cmp::Ordering::Equal => 0.5,
                        std::cmp::Ordering::Less => 0.0,
                    })
                    .sum();
                let share = wins / others.len().max(1) as f64;
                influences[i] = share * weight / own.len() as f64;
            }
        }
        // About the mean of each kind, so that their different numbers add nothing.
        for own in [&positives, &negatives] {
            let mean = own.iter().map(|&i| influences[i]).sum::<f64>() / own.len().max(1) as f64;
            own.iter().for_each(|&i| influences[i] -= mean);
        }
    }
    influences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_an_area_is_that_of_its_components() {
        // Worked by hand: V10 = 1, .5, 1 and V01 = 1, 2/3.
        let scores = [3.0, 1.5, 4.0, 1.0, 2.0];
        let labels = [1, 1, 1, 0, 0];
        let influences = influences_on_auc(&scores, &labels, &[0; 5]);
        let (mean, error) = mean_and_error(&influences);
        assert!(mean.abs() < 1e-12);
        let variance = |x: &[f64]| {
            let (_, error) = mean_and_error(x);
            error * error
        };
        let expected = (variance(&[1.0, 0.5, 1.0]) + variance(&[1.0, 2.0 / 3.0])).sqrt();
        // Sums of squares are divided by n (n - 1) here, by those of each kind there.
        assert!((0.6..=1.1).contains(&(error / expected)), "{error} and {expected}");
    }

    #[test]
    fn groups_count_alike() {
        let scores = [1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 4.0];
        let labels = [0, 1, 0, 1, 0, 1, 0, 1];
        let one = influences_on_auc(&scores[..4], &labels[..4], &[0; 4]);
        let two = influences_on_auc(&scores, &labels, &[0, 0, 0, 0, 1, 1, 1, 1]);
        let [one, two] = [one, two].map(|x| mean_and_error(&x).1);
        // Twice the samples, over sqrt(2), apart from the degrees of freedom: sqrt(3 / 7 * 8 / 4) =
        // .926.
        assert!((two / one - (0.5_f64 * 6.0 / 7.0).sqrt()).abs() < 0.01, "{two} and {one}");
    }
}
