//! The whole observed range.

use super::{Distribution, Range, RangeMethod, Scheme};

/// Covers everything that was observed.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MinMax {}

impl RangeMethod for MinMax {
    fn range(&self, distribution: &Distribution, _scheme: Scheme) -> Range {
        Range { min: distribution.min, max: distribution.max }.with_zero()
    }
}
