//! A range that leaves out the outermost elements.

use super::{Distribution, Range, RangeMethod, Scheme};

/// Covers `percentile` percent of the elements at either end.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Percentile {
    /// The percentage of values below the upper end, and above the lower end; 50 to 100.
    pub percentile: f32,
}

impl Default for Percentile {
    fn default() -> Self {
        Self { percentile: 99.99 }
    }
}

impl RangeMethod for Percentile {
    fn range(&self, distribution: &Distribution, _scheme: Scheme) -> Range {
        let outside = 1.0 - f64::from(self.percentile.clamp(50.0, 100.0)) / 100.0;
        let left_out = outside * distribution.total();
        let skip = |points: &mut dyn Iterator<Item = &(f32, f64)>| {
            let mut seen = 0.0;
            let mut last = 0.0;
            for &(x, n) in points {
                seen += n;
                last = x;
                if seen > left_out {
                    break;
                }
            }
            last
        };
        let min = skip(&mut distribution.points.iter());
        let max = skip(&mut distribution.points.iter().rev());
        // A bin's representative may lie inside the true extreme, which no percentile may cut at 100.
        if left_out == 0.0 {
            return Range { min: distribution.min, max: distribution.max }.with_zero();
        }
        Range { min, max }.with_zero()
    }
}
