//! The range that keeps the most information.

use super::{Distribution, Range, RangeMethod, Scheme};

/// Clips where the quantized distribution is closest to the observed one, by the Kullback-Leibler
/// divergence.
///
/// For every threshold the values beyond it are counted into its last bin (`P`), and the bins within
/// are merged into as many levels as the grid has and spread out again over those that are not
/// empty (`Q`); the threshold with the smallest `KL(P || Q)` wins (Migacz, 8-bit inference with
/// TensorRT, 2017). A method for 8 bits: at few bits it clips too much.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Kl {
    /// Bins of the histogram of magnitudes.
    pub bins: usize,
}

impl Default for Kl {
    fn default() -> Self {
        Self { bins: 2048 }
    }
}

/// Added to empty places of both distributions.
const SMOOTHING: f64 = 1e-4;
/// The most levels that are searched; 16 bits are not clipped.
const MOST_LEVELS: usize = 256;

impl RangeMethod for Kl {
    fn range(&self, distribution: &Distribution, scheme: Scheme) -> Range {
        let full = Range { min: distribution.min, max: distribution.max }.with_zero();
        let one_sided = full.min == 0.0 || full.max == 0.0;
        // Levels for magnitudes: both signs share them unless one does not occur.
        let bits = if one_sided && !scheme.symmetric { scheme.bits } else { scheme.bits - 1 };
        let levels = 1_usize << bits.min(15);
        let bins = self.bins.clamp(16, 1 << 16);
        let magnitude = full.magnitude();
        if levels > MOST_LEVELS || levels >= bins || magnitude == 0.0 {
            return full;
        }
        let mut histogram = vec![0.0; bins];
        // Zeros are exact on every grid.
        for &(x, n) in distribution.points.iter().filter(|p| p.0 != 0.0) {
            let bin = (x.abs() / magnitude * bins as f32) as usize;
            histogram[bin.min(bins - 1)] += n;
        }
        let mut best = (f64::INFINITY, bins);
        for kept in (levels..=bins).step_by((levels / 16).max(1)) {
            let divergence = divergence(&histogram, kept, levels);
            if divergence < best.0 {
                best = (divergence, kept);
            }
        }
        let clip = magnitude * best.1 as f32 / bins as f32;
        Range { min: full.min.max(-clip), max: full.max.min(clip) }
    }
}

/// `KL(P || Q)` for a threshold after `kept` bins.
fn divergence(histogram: &[f64], kept: usize, levels: usize) -> f64 {
    let inside = &histogram[..kept];
    let beyond: f64 = histogram[kept..].iter().sum();
    let mut expanded = vec![0.0; kept];
    for level in 0..levels {
        let (start, end) = (level * kept / levels, (level + 1) * kept / levels);
        let bins = &inside[start..end];
        let occupied = bins.iter().filter(|&&n| n > 0.0).count();
        if occupied > 0 {
            let share = bins.iter().sum::<f64>() / occupied as f64;
            for (q, &n) in expanded[start..end].iter_mut().zip(bins) {
                *q = if n > 0.0 { share } else { 0.0 };
            }
        }
    }
    let (sum_q, sum_p) = (expanded.iter().sum::<f64>(), inside.iter().sum::<f64>() + beyond);
    if sum_q == 0.0 || sum_p == 0.0 {
        return f64::INFINITY;
    }
    let last = kept - 1;
    let divergence = |(i, (&n, &q)): (usize, (&f64, &f64))| {
        let p = (n + if i == last { beyond } else { 0.0 }) / sum_p;
        let (p, q) = (p.max(SMOOTHING / kept as f64), (q / sum_q).max(SMOOTHING / kept as f64));
        p * (p / q).ln()
    };
    inside.iter().zip(&expanded).enumerate().map(divergence).sum()
}
