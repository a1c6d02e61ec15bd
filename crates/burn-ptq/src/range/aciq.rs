//! ACIQ: analytic clipping for bell-shaped values.

use super::{Distribution, Range, RangeMethod, Scheme};
use crate::quant::QParams;

/// Clips where theory has the least squared error for a Gaussian or a Laplacian of these moments.
///
/// `clip = c sigma` or `c b` about the mean, with the constants of Banner et al., Post-training 4-bit
/// quantization, 2019; of the two the one with the smaller error on the values wins. One-sided values
/// are taken for the upper half of a bell about zero. 16 bits are not clipped.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Aciq {}

/// Clips in standard deviations of a Gaussian, for 2 to 8 bits.
const GAUSS: [f64; 7] = [1.478, 1.805, 2.192, 2.577, 2.945, 3.291, 3.617];
/// Clips in mean deviations of a Laplacian.
const LAPLACE: [f64; 7] = [2.332, 3.045, 4.004, 5.083, 6.232, 7.427, 8.653];

impl RangeMethod for Aciq {
    fn range(&self, distribution: &Distribution, scheme: Scheme) -> Range {
        let full = Range { min: distribution.min, max: distribution.max }.with_zero();
        let Some(&gauss) = GAUSS.get(usize::from(scheme.bits).wrapping_sub(2)) else {
            return full;
        };
        let laplace = LAPLACE[usize::from(scheme.bits) - 2];
        let one_sided = full.min == 0.0 || full.max == 0.0;
        // Zeros from a ReLU do not belong to the bell-shaped distribution.
        let points = || distribution.points.iter().filter(|p| !one_sided || p.0 != 0.0);
        let total: f64 = points().map(|p| p.1).sum();
        if total == 0.0 {
            return full;
        }
        let mean = |f: &dyn Fn(f64) -> f64| {
            points().map(|&(x, n)| f(f64::from(x)) * n).sum::<f64>() / total
        };
        let centre = if one_sided { 0.0 } else { mean(&|x| x) };
        let sigma = mean(&|x| (x - centre).powi(2)).sqrt();
        let deviation = mean(&|x| (x - centre).abs());
        let clipped = |reach: f64| Range {
            min: full.min.max((centre - reach) as f32).min(0.0),
            max: full.max.min((centre + reach) as f32).max(0.0),
        };
        let candidates = [clipped(gauss * sigma), clipped(laplace * deviation)];
        let error = |range: Range| {
            let grid = QParams::of_range(range, scheme).grid(0);
            let cost = |&(x, n): &(f32, f64)| n * f64::from(x - grid.fake_quantize(x)).powi(2);
            distribution.points.iter().map(cost).sum::<f64>()
        };
        if error(candidates[0]) <= error(candidates[1]) { candidates[0] } else { candidates[1] }
    }
}
