//! What a graph remembers of the Burn module that it was captured from.

use std::collections::BTreeMap;

use crate::warning::Warning;

/// The module that a graph was captured from, as it was at that moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// A hash of the values of every float parameter and running statistic, by path.
    pub(crate) values: BTreeMap<String, u64>,
    /// Warnings from capture.
    pub(crate) warnings: Vec<Warning>,
}
