//! OCTAV: the clip of least squared error by Newton's iteration.

use super::{Distribution, Range, RangeMethod, Scheme};

/// Finds the clip at which rounding noise and clipping noise are in balance, by Newton's iteration.
///
/// `s <- sum(|x| where |x| > s) / (4^-bits / 3 N_in + N_out)`, `4^-bits / 12` for one-sided values
/// (Sakr et al., Optimal Clipping and Magnitude-aware Differentiation, 2022, equation 6). The clip
/// holds for both ends, within the observed range.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Octav {
    /// The maximum number of steps of the iteration.
    pub iterations: usize,
}

impl Default for Octav {
    fn default() -> Self {
        Self { iterations: 20 }
    }
}

impl RangeMethod for Octav {
    fn range(&self, distribution: &Distribution, scheme: Scheme) -> Range {
        let full = Range { min: distribution.min, max: distribution.max }.with_zero();
        let one_sided = !scheme.symmetric && (full.min == 0.0 || full.max == 0.0);
        let noise = 0.25_f64.powi(scheme.bits.into()) / if one_sided { 12.0 } else { 3.0 };
        // Zeros are exact on every grid.
        let points = || distribution.points.iter().filter(|p| p.0 != 0.0);
        let total: f64 = points().map(|p| p.1).sum();
        let magnitudes: f64 = points().map(|&(x, n)| f64::from(x.abs()) * n).sum();
        if total == 0.0 {
            return full;
        }
        let mut clip = magnitudes / total;
        for _ in 0..self.iterations {
            let (mut sum, mut outside) = (0.0, 0.0);
            for &(x, n) in points().filter(|p| f64::from(p.0.abs()) > clip) {
                sum += f64::from(x.abs()) * n;
                outside += n;
            }
            let next = sum / (noise * (total - outside) + outside);
            if !next.is_finite() || next <= 0.0 || (next - clip).abs() <= 1e-6 * clip {
                break;
            }
            clip = next;
        }
        let clip = clip as f32;
        Range { min: full.min.max(-clip), max: full.max.min(clip) }
    }
}
