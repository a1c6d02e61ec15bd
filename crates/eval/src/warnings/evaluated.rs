//! Facts out of an evaluation.

use std::sync::Arc;

use burn::tensor::Device;
use burn_ptq::Progress;
use burn_ptq::graph::Graph;
use burn_ptq::warnings::{BatchNormFit, SCALINGS, Scaling};

use super::{EvaluationFacts, Found};
use crate::error::Error;
use crate::evaluate::{Evaluation, Judgement, float_predictor};
use crate::metric::Metric;
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

    /// Looks for a scaling with which the float network does better than guessing, if it does not as it
    /// is: the usual ones, and the one that `fit` suggests. `evaluation` has some of the samples.
    ///
    /// # Errors
    /// As those of an evaluation.
    pub fn look_for_scaling(
        &mut self,
        evaluation: &Evaluation,
        fit: Option<&BatchNormFit>,
        float: &Arc<Graph>,
        device: &Device,
        progress: Progress,
    ) -> Result<(), Error> {
        let Some(found) = self.float.filter(|&found| self.is_near_chance(found)) else {
            return Ok(());
        };
        let mut best: Option<(Scaling, f64)> = None;
        let mut predict = float_predictor(float, device);
        let suggested = fit.and_then(|fit| fit.rescaled);
        for scaling in SCALINGS.iter().copied().chain(suggested) {
            let mut predict = |samples: Vec<f32>| predict(scaling.apply(&samples));
            let judged = evaluation.judge_samples("try scalings", &mut predict, progress)?;
            let other = Found {
                value: judged.metric,
                error: standard_error(evaluation, &judged, None).max(found.error),
            };
            let is_better = |metric: f64| match best {
                Some((_, best)) => evaluation.metric.lost(metric, best) > 0.0,
                None => true,
            };
            if !self.is_near_chance(other) && is_better(judged.metric) {
                best =
                    Some((scaling.instead_of(evaluation.samples.preprocessing()), judged.metric));
            }
        }
        self.rescaled = best;
        Ok(())
    }
}

/// What a network reaches that knows nothing of its input.
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
