//! `r2`: the coefficient of determination, averaged over outputs.

use super::fit::targets;
use super::interval::around;
use super::judgement::Pairs;
use super::{Judge, Judgement, Measure, MetricKind, Outcomes, Setting};
use crate::statistics::mean_and_deviation;

/// One less the mean squared error over the variance of the targets.
pub(super) struct R2;

impl Measure for R2 {
    fn name(&self) -> &'static str {
        "r2"
    }

    fn summary(&self) -> &'static str {
        "coefficient of determination to the targets in --labels, the mean over outputs"
    }

    fn heading(&self) -> &'static str {
        "R²"
    }

    fn kind(&self) -> MetricKind {
        MetricKind::Score
    }

    fn judge<'a>(&self, setting: &Setting<'a>) -> Result<Box<dyn Judge + 'a>, String> {
        let targets = targets(setting, "r2")?;
        let (outputs, samples) = (setting.output.len(), setting.samples as f64);
        let column = |output: usize| targets.iter().skip(output).step_by(outputs);
        let means: Vec<f64> = (0..outputs).map(|o| column(o).sum::<f64>() / samples).collect();
        let variance = |o: usize| column(o).map(|x| (x - means[o]).powi(2)).sum::<f64>() / samples;
        let variances: Vec<f64> = (0..outputs).map(variance).collect();
        // Rounding errors do not count as variance.
        let constant = |&o: &usize| variances[o] <= 1e-24 * (means[o] * means[o]);
        if let Some(output) = (0..outputs).find(constant) {
            return Err(format!(
                "the targets of output {output} are all {}, so there is no variance to explain: judge \
                 by mse or mae",
                means[output]
            ));
        }
        Ok(Box::new(R2Judge {
            targets,
            means,
            variances,
            parts: Vec::new(),
            influences: Vec::new(),
            pairs: Pairs::new(setting.samples, outputs),
        }))
    }
}

struct R2Judge<'a> {
    targets: &'a [f64],
    means: Vec<f64>,
    variances: Vec<f64>,
    /// What each sample adds to the metric, their mean.
    parts: Vec<f64>,
    /// For each sample and output, the squared error and the squared distance from the mean target,
    /// over the variance.
    influences: Vec<(f64, f64)>,
    pairs: Pairs,
}

impl Judge for R2Judge<'_> {
    fn add(&mut self, outputs: &[f32], _inputs: &[f32]) {
        let targets = &self.targets[self.parts.len() * outputs.len()..];
        self.pairs.add(targets, outputs);
        let mut part = 0.0;
        for (o, (&x, target)) in outputs.iter().zip(targets).enumerate() {
            let error = (f64::from(x) - target).powi(2) / self.variances[o];
            self.influences.push((error, (target - self.means[o]).powi(2) / self.variances[o]));
            part += 1.0 - error;
        }
        self.parts.push(part / outputs.len() as f64);
    }

    fn finish(self: Box<Self>) -> Result<Judgement, String> {
        let (r2, _) = mean_and_deviation(&self.parts);
        let (samples, outputs) = (self.parts.len(), self.means.len());
        // The variance of the targets is found on the same samples: the delta method for the ratio.
        let ratios: Vec<f64> = (0..outputs)
            .map(|o| {
                let errors = self.influences.iter().skip(o).step_by(outputs);
                errors.map(|(error, _)| error).sum::<f64>() / samples as f64
            })
            .collect();
        let influence = |sample: &[(f64, f64)]| {
            let parts = sample.iter().zip(&ratios).map(|((error, spread), r)| r * spread - error);
            parts.sum::<f64>() / outputs as f64
        };
        let influences: Vec<f64> = self.influences.chunks(outputs).map(influence).collect();
        let (_, deviation) = mean_and_deviation(&influences);
        let interval = deviation.map(|deviation| {
            let (low, high) = around(r2, deviation, samples);
            (low, high.min(1.0))
        });
        let judgement = Judgement::new(r2, interval, Outcomes::Scores(self.parts));
        Ok(Judgement { picture: self.pairs.picture(), ..judgement })
    }
}
