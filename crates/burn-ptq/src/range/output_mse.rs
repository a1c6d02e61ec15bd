//! The weight range with the smallest error of the layer's output.

use rayon::prelude::*;

use super::{Array, Gram, QParams, Range, Scheme, WeightProblem, WeightRange};
use crate::quant::Granularity;

/// Searches, for each output channel, the range whose rounded weights give the layer's output the
/// smallest mean squared error, `dw^T G dw` with the Gram matrix `G` of the layer's inputs.
///
/// The output-error search of AIMET's sequential MSE, on second moments instead of samples: errors
/// that correlated inputs add up (a shift of the mean above all) count as what they cost.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
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
    fn needs_gram(&self) -> bool {
        true
    }

    fn ranges(&self, problem: &WeightProblem) -> Vec<Range> {
        let gram =
            problem.gram.expect("the pipeline gathers Gram matrices when a method needs them");
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
            .map(|i| output_errors(weight, gram, scheme, &shrunk(steps - i)))
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

/// `dw^T G dw` of every output channel, with one range an output channel.
fn output_errors(weight: &Array, gram: &Gram, scheme: Scheme, ranges: &[Range]) -> Vec<f64> {
    let qparams = QParams::weights(ranges, scheme);
    let per_group = weight.shape[0] / gram.groups;
    let mut error = vec![0.0; gram.len];
    let channel = |(o, row): (usize, &[f32])| {
        let grid = qparams.grid(o);
        error.iter_mut().zip(row).for_each(|(e, &w)| *e = w - grid.fake_quantize(w));
        let matrix = &gram.matrices[o / per_group * gram.len * gram.len..][..gram.len * gram.len];
        let rows = error.iter().zip(matrix.chunks_exact(gram.len));
        rows.map(|(&e, row)| f64::from(e) * f64::from(dot(&error, row))).sum()
    };
    weight.rows().enumerate().map(channel).collect()
}

/// Eight partial sums, so that the compiler may add them side by side.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    let (blocks_a, blocks_b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = blocks_a.remainder().iter().zip(blocks_b.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in blocks_a.zip(blocks_b) {
        for i in 0..8 {
            sums[i] += a[i] * b[i];
        }
    }
    sums.iter().sum::<f32>() + rest
}
