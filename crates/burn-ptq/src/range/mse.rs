//! The range with the smallest quantization error.

use super::{Distribution, QParams, Range, RangeMethod, Scheme};

/// Searches the range that minimizes `sum |x - x^|^exponent` (OMSE for exponent 2; BRECQ and QDrop
/// use 2.4).
///
/// Symmetric grids and one-sided values: both ends shrink together in `steps` equal steps. Other
/// values: the ends shrink independently, on a coarse square of candidates and then a fine one.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Mse {
    /// The exponent of the error.
    pub exponent: f32,
    /// Candidates of the one-dimensional search.
    pub steps: usize,
}

impl Default for Mse {
    fn default() -> Self {
        Self { exponent: 2.4, steps: 100 }
    }
}

/// Candidates along each side of the coarse square.
const COARSE: usize = 16;
/// Candidates to either side of the best coarse one, in eighths of a coarse step.
const FINE: isize = 7;

impl RangeMethod for Mse {
    fn range(&self, distribution: &Distribution, scheme: Scheme) -> Range {
        let full = Range { min: distribution.min, max: distribution.max }.with_zero();
        let shrunk = |low: f32, high: f32| Range { min: full.min * low, max: full.max * high };
        if scheme.symmetric || full.min == 0.0 || full.max == 0.0 {
            let steps = self.steps.max(1);
            let candidates = (1..=steps).rev().map(|i| {
                let keep = i as f32 / steps as f32;
                shrunk(keep, keep)
            });
            return self.best(candidates, distribution, scheme).unwrap_or(full);
        }
        let coarse = (1..=COARSE).rev().flat_map(|low| {
            (1..=COARSE)
                .rev()
                .map(move |high| shrunk(low as f32 / COARSE as f32, high as f32 / COARSE as f32))
        });
        let centre = self.best(coarse, distribution, scheme).unwrap_or(full);
        let fraction = |part: f32, whole: f32| if whole == 0.0 { 1.0 } else { part / whole };
        let (low, high) = (fraction(centre.min, full.min), fraction(centre.max, full.max));
        let near = move |keep: f32, i: isize| {
            (keep + i as f32 / (8 * COARSE) as f32).clamp(1.0 / (8 * COARSE) as f32, 1.0)
        };
        let order = |i: isize| if i % 2 == 0 { i / 2 } else { -(i + 1) / 2 };
        let fine = (0..=2 * FINE).flat_map(|i| {
            (0..=2 * FINE).map(move |j| shrunk(near(low, order(i)), near(high, order(j))))
        });
        self.best(fine, distribution, scheme).unwrap_or(centre)
    }
}

impl Mse {
    /// The candidate of smallest error, the first of equals.
    fn best(
        &self,
        candidates: impl Iterator<Item = Range>,
        distribution: &Distribution,
        scheme: Scheme,
    ) -> Option<Range> {
        let mut best: Option<(f64, Range)> = None;
        for candidate in candidates {
            let bound = best.map_or(f64::INFINITY, |b| b.0);
            let error = self.error(candidate, distribution, scheme, bound);
            if error < bound {
                best = Some((error, candidate));
            }
        }
        best.map(|b| b.1)
    }

    /// The error of a candidate, or infinity as soon as it exceeds `bound`.
    fn error(&self, range: Range, d: &Distribution, scheme: Scheme, bound: f64) -> f64 {
        let grid = QParams::of_range(range, scheme).grid(0);
        let mut sum = 0.0;
        for chunk in d.points.chunks(256) {
            for &(x, n) in chunk {
                let error = (x - grid.fake_quantize(x)).abs();
                let cost =
                    if self.exponent == 2.0 { error * error } else { error.powf(self.exponent) };
                sum += n * f64::from(cost);
            }
            if sum >= bound {
                return f64::INFINITY;
            }
        }
        sum
    }
}
