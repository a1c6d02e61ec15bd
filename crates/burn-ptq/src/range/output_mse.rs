//! The weight range with the smallest error of the layer's output.

use rayon::prelude::*;

use super::{Array, QParams, Quadratic, Range, Scheme, WeightProblem, WeightRange};
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
        let errors: Vec<Vec<f64>> = (0..steps)
            .into_par_iter()
            .map(|i| output_errors(weight, quadratic, scheme, &shrunk(steps - i)))
            .collect();
        let best = |error: &dyn Fn(&[f64]) -> f64| {
            let mut best = 0;
            for (i, candidate) in errors.iter().enumerate() {
                if error(candidate) < error(&errors[best]) {
                    best = i;
                }
            }
            steps - best
        };
        match scheme.granularity {
            Granularity::PerChannel => {
                (0..full.len()).map(|o| shrunk(best(&|errors| errors[o]))[o]).collect()
            }
            Granularity::PerTensor => vec![shrunk(best(&|errors| errors.iter().sum()))[0]],
        }
    }
}

fn extremes(values: &[f32]) -> Range {
    let min = values.iter().copied().fold(0.0, f32::min);
    let max = values.iter().copied().fold(0.0, f32::max);
    Range { min, max }
}

/// The error of every output channel, rounded to nearest with one range an output channel.
fn output_errors(
    weight: &Array,
    quadratic: &Quadratic,
    scheme: Scheme,
    ranges: &[Range],
) -> Vec<f64> {
    let qparams = QParams::weights(ranges, scheme);
    let channel = |(o, row): (usize, &[f32])| {
        let grid = qparams.grid(o);
        let rounded: Vec<f32> = row.iter().map(|&w| grid.fake_quantize(w)).collect();
        quadratic.error(o, &rounded)
    };
    weight.rows().enumerate().map(channel).collect()
}
