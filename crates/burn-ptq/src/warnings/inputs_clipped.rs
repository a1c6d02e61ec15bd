//! Evaluation inputs outside the integer program's input grid.

use super::Facts;
use crate::warning::Warning;

/// The share of elements that may lie outside.
const ALLOWED: f64 = 0.01;

pub(super) fn check(facts: &Facts) -> Option<Warning> {
    let clipped = facts.evaluation.as_ref()?.clipped.filter(|&share| share > ALLOWED)?;
    Some(Warning::new(
        "inputs-clipped",
        format!(
            "{:.1} % of the elements of the evaluation inputs lie outside the range that the program's \
             input was calibrated for, and are clipped",
            100.0 * clipped
        ),
        "calibrate with samples like those of the evaluation, and scale both alike",
    ))
}
