//! An output far from zero, whose grid has few steps for what it tells.

use super::Facts;
use crate::warning::Warning;

/// Fewer steps than these between the smallest and the largest output are coarse.
const FEWEST_STEPS: f64 = 32.0;

pub(super) fn check(facts: &Facts) -> Option<Warning> {
    let steps = |low: f32, high: f32, step: f32| f64::from(high - low) / f64::from(step);
    let coarse = facts.outputs.iter().find(|output| {
        let apart = output.low * output.high > 0.0;
        let found = steps(output.low, output.high, output.step);
        // A constant output loses nothing.
        apart && found > 0.0 && found < FEWEST_STEPS
    })?;
    Some(Warning::new(
        "output-offset",
        format!(
            "output `{}` lies between {} and {} on the calibration data, but its grid has to contain 0: {:.1} steps \
             of {} tell its values apart",
            coarse.name,
            coarse.low,
            coarse.high,
            steps(coarse.low, coarse.high, coarse.step),
            coarse.step
        ),
        "train it without the offset and add that outside the network, or give the border 16 bits \
         (activations.border_bits = 16)",
    ))
}
