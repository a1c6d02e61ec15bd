//! Evaluation inputs outside the integer program's input grid.

use burn_ptq::Warning;
use burn_ptq::warnings::Facts;

use super::EvaluationFacts;

/// The share of elements that may lie outside.
const ALLOWED: f64 = 0.01;

pub(super) fn check(evaluation: &EvaluationFacts, _network: &Facts) -> Option<Warning> {
    let clipped = evaluation.clipped.filter(|&share| share > ALLOWED)?;
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
