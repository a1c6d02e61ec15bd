//! The moving average of the batches' extremes.

use super::{Distribution, Range, RangeMethod, Scheme};

/// Covers the exponential moving average, with momentum 0.1, of each batch's minimum and maximum.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MovingAverage {}

impl RangeMethod for MovingAverage {
    fn range(&self, distribution: &Distribution, _scheme: Scheme) -> Range {
        Range { min: distribution.moving_min, max: distribution.moving_max }.with_zero()
    }
}
