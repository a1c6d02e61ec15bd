//! The weight range with the smallest error of the layer's output.

use rayon::prelude::*;

use super::{Array, QParams, Quadratic, Range, WeightProblem, WeightRange};
use crate::quant::Granularity;

/// Searches, for each output channel, the range whose rounded weights give the layer's output the
/// smallest mean squared error, `dw^T H dw` with the second moments `H` of the layer's inputs.
///
/// The output-error search of AIMET's sequential MSE, on second moments instead of samples: errors
/// that correlated inputs add up (a shift of the mean above all) count as what they cost.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct OutputMse {
    /// Candidates: both ends of the range shrink together in equal steps.
    pub steps: usize,
}

impl Default for OutputMse {
    fn default() -> Self {
        Self { steps: 100 }
    }
}

impl WeightRange for OutputMse {
    fn needs_inputs(&self) -> bool {
        true
    }

    fn ranges(&self, problem: &WeightProblem) -> Vec<Range> {
        let quadratic =
            problem.quadratic.expect("the pipeline observes inputs when a method needs them");
        let WeightProblem { weight, scheme, .. } = *problem;
        let full: Vec<Range> = match scheme.granularity {
            Granularity::PerChannel => weight.rows().map(extremes).collect(),
            Granularity::PerTensor => vec![extremes(&weight.data); weight.shape[0]],
        };
        let steps = self.steps.max(1);
        let shrunk = |step: usize| -> Vec<Range> {
            let keep = step as f32 / steps as f32;
            full.iter().map(|r| Range { min: r.min * keep, max: r.max * keep }).collect()
        };
        // Candidates from the widest on; the first of equals wins.
        let candidates: Vec<QParams> = (0..steps)
            .into_par_iter()
            .map(|i| QParams::weights(&shrunk(steps - i), scheme))
            .collect();
        let every = if quadratic.len > LONG { COARSE } else { 1 };
        let errors = |tried: &[usize], o: usize| {
            let grids: Vec<&QParams> = tried.iter().map(|&i| &candidates[i]).collect();
            output_errors(weight, quadratic, &grids, o)
        };
        match scheme.granularity {
            Granularity::PerChannel => {
                let best = |o| shrunk(steps - search(steps, every, |tried| errors(tried, o)))[o];
                (0..full.len()).into_par_iter().map(best).collect()
            }
            Granularity::PerTensor => {
                let of_all = |tried: &[usize]| {
                    let channels = (0..weight.shape[0]).into_par_iter();
                    let channels: Vec<_> = channels.map(|o| errors(tried, o)).collect();
                    let sum = |i| channels.iter().map(|errors| errors[i]).sum();
                    (0..tried.len()).map(sum).collect()
                };
                vec![shrunk(steps - search(steps, every, of_all))[0]]
            }
        }
    }
}

/// The length of a row above which not every candidate is tried: the work of one grows with its square.
const LONG: usize = 1024;

/// Of longer rows, one in so many candidates is tried first.
const COARSE: usize = 5;

/// The best of `steps` candidates, the first of equals: of every `every`-th, and of those around the best of
/// them. `errors` tells those of some candidates.
fn search(steps: usize, every: usize, errors: impl Fn(&[usize]) -> Vec<f64>) -> usize {
    let judged = |tried: Vec<usize>| {
        let errors = errors(&tried);
        tried.into_iter().zip(errors).collect::<Vec<_>>()
    };
    let best = |judged: &[(usize, f64)]| {
        judged.iter().copied().reduce(|best, next| if next.1 < best.1 { next } else { best })
    };
    let mut found = judged((0..steps).step_by(every).collect());
    let Some((coarse, _)) = best(&found) else { return 0 };
    let around = (coarse + 1).saturating_sub(every)..steps.min(coarse + every);
    let around: Vec<usize> = around.filter(|&i| i != coarse).collect();
    if !around.is_empty() {
        found.extend(judged(around));
        found.sort_by_key(|&(candidate, _)| candidate);
    }
    best(&found).map_or(coarse, |(candidate, _)| candidate)
}

fn extremes(values: &[f32]) -> Range {
    let min = values.iter().copied().fold(0.0, f32::min);
    let max = values.iter().copied().fold(0.0, f32::max);
    Range { min, max }
}

/// The errors of output channel `channel`, rounded to nearest on each of the grids.
fn output_errors(
    weight: &Array,
    quadratic: &Quadratic,
    grids: &[&QParams],
    channel: usize,
) -> Vec<f64> {
    let row = &weight.data[channel * quadratic.len..][..quadratic.len];
    let rounded = |qparams: &&QParams| {
        let grid = qparams.grid(channel);
        row.iter().map(|&w| grid.fake_quantize(w)).collect()
    };
    quadratic.errors(channel, &grids.iter().map(rounded).collect::<Vec<Vec<f32>>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coarse_search_finds_the_best_of_candidates_with_one_valley() {
        for steps in [1, 4, 7, 100] {
            for valley in 0..steps {
                let errors = |tried: &[usize]| -> Vec<f64> {
                    tried.iter().map(|&i| i.abs_diff(valley) as f64).collect()
                };
                assert_eq!(search(steps, 1, errors), valley);
                assert_eq!(search(steps, 5, errors), valley);
            }
        }
        assert_eq!(search(10, 5, |tried| vec![f64::NAN; tried.len()]), 0);
        assert_eq!(search(10, 1, |tried| vec![1.0; tried.len()]), 0);
    }
}
