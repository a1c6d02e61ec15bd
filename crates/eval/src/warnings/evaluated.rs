//! Facts out of an evaluation.

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
use crate::metric::{Judgement, Metric};
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

/// The metric of a network that ignores its input.
fn chance(evaluation: &Evaluation) -> Option<f64> {
    match evaluation.metric {
        Metric::Top1 | Metric::Binary => {
            let mut labels = evaluation.class_labels()?;
            labels.sort_unstable();
            let most = labels.chunk_by(|a, b| a == b).map(<[i64]>::len).max()?;
            Some(most as f64 / labels.len() as f64)
        }
        Metric::Auc => Some(0.5),
        Metric::R2 => Some(0.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
