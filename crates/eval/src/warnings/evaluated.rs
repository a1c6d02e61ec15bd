//! Facts out of an evaluation.

use std::cmp::Ordering;
use std::sync::Arc;

use burn::tensor::Device;
use burn_ptq::Progress;
use burn_ptq::graph::{Batch, Graph};
use burn_ptq::warnings::{
    AS_GOOD, BATCH_NORM_SAMPLES, BatchNormFit, FirstNorm, Scaling, candidates,
};

use super::{EvaluationFacts, Found};
use crate::error::Error;
use crate::evaluate::{Evaluation, float_predictor};
use crate::metric::{Judgement, Labels, Metric};
use crate::sampling_error::standard_error;

/// The most evaluation samples on which other scalings are tried.
pub const SCALING_SAMPLES: usize = 200;

impl EvaluationFacts {
    /// What `evaluation` found out of the float network and the integer program, or of one of them.
    pub fn new(
        evaluation: &Evaluation,
        float: Option<&Judgement>,
        integer: Option<&Judgement>,
    ) -> Self {
        let found = |judgement: &Judgement| Found {
            value: judgement.metric,
            error: standard_error(evaluation, judgement, None),
        };
        let lost = float.zip(integer).map(|(float, integer)| Found {
            value: evaluation.metric.lost(float.metric, integer.metric),
            error: standard_error(evaluation, float, Some(integer)),
        });
        Self {
            metric: evaluation.metric.name(),
            higher_is_better: evaluation.metric.higher_is_better(),
            samples: evaluation.count(),
            chance: chance(evaluation),
            float: float.map(found),
            integer: integer.map(found),
            lost,
            clipped: None,
            rescaled: None,
        }
    }

    /// Looks for a scaling with which the float network is clearly better, if it does no better than
    /// guessing as it is or `calibration` finds its samples unlike those of training. `evaluation` has
    /// some of the samples.
    ///
    /// What is found becomes the advice of both: where the metric tells several scalings no better
    /// apart, the first batch normalization does.
    ///
    /// # Errors
    /// As those of an evaluation.
    pub fn look_for_scaling(
        &mut self,
        evaluation: &Evaluation,
        calibration: Option<&mut BatchNormFit>,
        float: &Arc<Graph>,
        device: &Device,
        progress: Progress,
    ) -> Result<(), Error> {
        let Some(now) = self.float else { return Ok(()) };
        let unlike = calibration.filter(|fit| fit.is_far());
        // No one scaling is that of several inputs.
        if evaluation.samples.parts().len() > 1 {
            return Ok(());
        }
        if !self.is_near_chance(now) && unlike.is_none() {
            return Ok(());
        }
        let mut inputs = Batch::default();
        for batch in evaluation.samples.batches(1, Some(BATCH_NORM_SAMPLES))? {
            inputs.append(batch?);
            // A recording is many inputs.
            if inputs.count >= BATCH_NORM_SAMPLES {
                break;
            }
        }
        let inputs = inputs.first(BATCH_NORM_SAMPLES);
        // It looks at samples of all inputs, and those of sequences have no states.
        let norm = FirstNorm::of(float, device).filter(|_| float.states.is_empty());
        let fit = |inputs: Batch| norm.as_ref().and_then(|norm| norm.fit(inputs));
        let mut predict = float_predictor(float, device);
        let mut tried = Vec::new();
        for scaling in candidates(&inputs.values, fit(inputs.clone()).map(|fit| fit.stretch)) {
            let mut predict = |samples: Batch| predict(scaling.apply(&samples));
            let judged = evaluation.judge_samples("try scalings", &mut predict, progress)?;
            let error = standard_error(evaluation, &judged, None);
            let found = Found { value: judged.metric, error };
            let gain = evaluation.metric.lost(found.value, now.value);
            if gain > 2.0 * now.error.hypot(error) && !self.is_near_chance(found) {
                let unlikeness = fit(scaling.apply(&inputs)).map_or(0.0, |fit| fit.unlikeness());
                tried.push(Tried { scaling, found, gain, unlikeness });
            }
        }
        let best = most_plausible(&tried);
        if let Some(calibration) = unlike {
            calibration.rescaled = best.map(|best| best.scaling);
        }
        let now = &evaluation.samples.preprocessings()[0];
        self.rescaled = best.map(|best| (best.scaling.instead_of(now), best.found.value));
        Ok(())
    }
}

/// A scaling with which a network is clearly better than without.
#[derive(Clone, Copy, Debug)]
struct Tried {
    scaling: Scaling,
    found: Found,
    /// How much better.
    gain: f64,
    /// How far the first batch normalization is from what it saw in training; 0 if there is none.
    unlikeness: f64,
}

/// Of the scalings that the metric does not tell from the best, those that the normalization likes
/// best, and of these the first.
fn most_plausible(tried: &[Tried]) -> Option<&Tried> {
    let best = tried.iter().max_by(|a, b| a.gain.total_cmp(&b.gain))?;
    let as_good: Vec<&Tried> = (tried.iter())
        .filter(|one| best.gain - one.gain <= 2.0 * best.found.error.hypot(one.found.error))
        .collect();
    let least = as_good.iter().map(|one| one.unlikeness).min_by(f64::total_cmp)?;
    as_good.into_iter().find(|one| one.unlikeness <= least + AS_GOOD)
}

/// The metric of the best network that ignores its input.
fn chance(evaluation: &Evaluation) -> Option<f64> {
    match evaluation.metric {
        Metric::Auc => Some(0.5),
        Metric::R2 => Some(0.0),
        // An autoencoder is compared with its input, not with labels.
        Metric::Reconstruction => None,
        Metric::Top1
        | Metric::TopK(_)
        | Metric::Binary
        | Metric::F1
        | Metric::Iou
        | Metric::MultiLabel
        | Metric::Mse
        | Metric::Mae => of_constants(evaluation.metric, evaluation.labels.as_ref()?),
    }
}

/// The metric of the best constant answer to these labels.
fn of_constants(metric: Metric, labels: &Labels) -> Option<f64> {
    let outputs = (labels.values().len() / labels.count().max(1)).max(1);
    let of_output = |output: usize| labels.values().iter().copied().skip(output).step_by(outputs);
    let mean = |of: &dyn Fn(Vec<f64>) -> f64| {
        (0..outputs).map(|output| of(of_output(output).collect())).sum::<f64>() / outputs as f64
    };
    match metric {
        Metric::Mse => Some(mean(&|targets| {
            let mean = targets.iter().sum::<f64>() / targets.len() as f64;
            targets.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / targets.len() as f64
        })),
        Metric::Mae => Some(mean(&|mut targets| {
            targets.sort_unstable_by(f64::total_cmp);
            let median = targets[targets.len() / 2];
            targets.iter().map(|x| (x - median).abs()).sum::<f64>() / targets.len() as f64
        })),
        // One-hot labels and those of every label are rows.
        Metric::MultiLabel => {
            let mut rows: Vec<&[f64]> = labels.values().chunks(outputs).collect();
            rows.sort_unstable_by(|a, b| a.partial_cmp(b).unwrap_or(Ordering::Equal));
            let most = rows.chunk_by(|a, b| a == b).map(<[&[f64]]>::len).max()?;
            Some(most as f64 / rows.len() as f64)
        }
        // Of a label that a share `p` of the samples has, always yes has precision `p` and recall 1.
        Metric::F1 => {
            let f1 = |truth: Vec<f64>| {
                let share = truth.iter().filter(|&&x| x == 1.0).count() as f64 / truth.len() as f64;
                2.0 * share / (1.0 + share)
            };
            let two = labels.values().iter().all(|x| [0.0, 1.0].contains(x));
            let shares: Vec<f64> = (0..outputs)
                .map(|output| f1(of_output(output).collect()))
                .filter(|&share| share > 0.0)
                .collect();
            (two && !shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64)
        }
        Metric::Top1 | Metric::TopK(_) | Metric::Binary | Metric::Iou => {
            let mut classes: Vec<i64> = labels.classes_of_samples()?;
            classes.sort_unstable();
            let mut counts: Vec<usize> =
                classes.chunk_by(|a, b| a == b).map(<[i64]>::len).collect();
            counts.sort_unstable_by(|a, b| b.cmp(a));
            let share = |count: usize| count as f64 / classes.len() as f64;
            match metric {
                Metric::TopK(k) => Some(share(counts.iter().take(k).sum())),
                // The most frequent class everywhere; the others have none in common with it.
                Metric::Iou => Some(share(*counts.first()?) / counts.len() as f64),
                _ => Some(share(*counts.first()?)),
            }
        }
        Metric::Auc | Metric::R2 | Metric::Reconstruction => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn chance_is_that_of_the_best_constant() {
        let labels = |shape: &[usize], values: &[f64]| {
            Labels::new(Path::new("y.npy"), shape.to_vec(), values.to_vec())
        };
        let targets = labels(&[4, 2], &[1.0, 0.0, 3.0, 0.0, 1.0, 0.0, 3.0, 4.0]);
        assert_eq!(of_constants(Metric::Mse, &targets), Some(0.5 * (1.0 + 3.0)));
        assert_eq!(of_constants(Metric::Mae, &targets), Some(0.5 * (1.0 + 1.0)));
        let classes = labels(&[5], &[2.0, 2.0, 1.0, 0.0, 2.0]);
        assert_eq!(of_constants(Metric::Top1, &classes), Some(0.6));
        assert_eq!(of_constants(Metric::TopK(2), &classes), Some(0.8));
        assert_eq!(of_constants(Metric::Iou, &classes), Some(0.6 / 3.0));
        // One-hot labels of three classes.
        let hot = labels(&[3, 3], &[0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0]);
        assert_eq!(of_constants(Metric::Top1, &hot), Some(2.0 / 3.0));
        let several = labels(&[4, 2], &[1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0]);
        assert_eq!(of_constants(Metric::MultiLabel, &several), Some(0.5));
        assert_eq!(of_constants(Metric::F1, &labels(&[4], &[1.0, 0.0, 0.0, 0.0])), Some(0.4));
        assert_eq!(of_constants(Metric::F1, &labels(&[2], &[0.0, 0.0])), None);
    }

    #[test]
    fn the_normalization_decides_between_scalings_that_the_metric_does_not_tell_apart() {
        let tried = |factor: f32, gain: f64, unlikeness: f64| Tried {
            scaling: Scaling { factor, term: 0.0, what: "", on_top: true },
            found: Found { value: gain + 0.1, error: 0.02 },
            gain,
            unlikeness,
        };
        let best = |all: &[Tried]| most_plausible(all).map(|one| one.scaling.factor);
        assert_eq!(best(&[]), None);
        let all = [tried(1.0, 0.86, 3.0), tried(2.0, 0.85, 0.1), tried(3.0, 0.87, 0.0)];
        assert_eq!(best(&all), Some(2.0));
        // What the metric tells apart stays apart.
        assert_eq!(best(&[tried(1.0, 0.86, 3.0), tried(2.0, 0.5, 0.1)]), Some(1.0));
        // Without a normalization the first, which has a reason in the data.
        assert_eq!(best(&[tried(1.0, 0.86, 0.0), tried(2.0, 0.87, 0.0)]), Some(1.0));
    }
}
