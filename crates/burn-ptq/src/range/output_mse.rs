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
        // Of each channel, the error of every candidate.
        let errors: Vec<Vec<f64>> = (0..weight.shape[0])
            .into_par_iter()
            .map(|o| output_errors(weight, quadratic, &candidates, o))
            .collect();
        let best = |error: &dyn Fn(usize) -> f64| {
            let mut best = 0;
            for candidate in 0..steps {
                if error(candidate) < error(best) {
                    best = candidate;
                }
            }
            steps - best
        };
        match scheme.granularity {
            Granularity::PerChannel => {
                (0..full.len()).map(|o| shrunk(best(&|i| errors[o][i]))[o]).collect()
            }
            Granularity::PerTensor => {
                let of_all = |i: usize| errors.iter().map(|channel| channel[i]).sum();
                vec![shrunk(best(&of_all))[0]]
            }
        }
    }
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
    grids: &[QParams],
    channel: usize,
) -> Vec<f64> {
    let row = &weight.data[channel * quadratic.len..][..quadratic.len];
    let rounded = |qparams: &QParams| {
        let grid = qparams.grid(channel);
        row.iter().map(|&w| grid.fake_quantize(w)).collect()
    };
    quadratic.errors(channel, &grids.iter().map(rounded).collect::<Vec<Vec<f32>>>())
}
