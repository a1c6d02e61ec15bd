//! Round to nearest.

use super::{Rounded, Rounding, RoundingProblem};

/// Rounds every weight to the nearest integer of its grid, ties away from zero.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Nearest {}

impl Rounding for Nearest {
    fn needs_inputs(&self) -> bool {
        false
    }

    fn is_random(&self) -> bool {
        false
    }

    fn steps(&self) -> usize {
        0
    }

    fn round(&self, problem: &RoundingProblem) -> Rounded {
        let mut integers = Vec::with_capacity(problem.weight.len());
        for (channel, row) in problem.weight.rows().enumerate() {
            let grid = problem.qparams.grid(channel);
            integers.extend(row.iter().map(|&w| grid.quantize(w) as i8));
        }
        Rounded { values: integers, scales: problem.qparams.scales.clone() }
    }
}
