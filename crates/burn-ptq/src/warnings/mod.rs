//! The checks behind [`Warning`]s: each looks at the facts of a run and finds one thing that a person
//! should doubt.
//!
//! To add one: a file with a function `fn(&Facts) -> Option<Warning>`, a line in [`CHECKS`], and a test
//! that triggers it. Checks are few: a warning on a run that is as it should be teaches people to
//! overlook the others.

mod batch_norm;
mod calibration_constant;
mod calibration_equal;
mod calibration_too_few;
mod calibration_unlike_training;
mod evaluated;
mod facts;
mod float_near_chance;
mod gather;
mod inputs_clipped;
mod integer_far_below_float;
mod integer_near_chance;
mod layer_noisy;
mod scaling;

pub use batch_norm::BatchNormFit;
pub use evaluated::SCALING_SAMPLES;
pub use facts::{CalibrationFacts, EvaluationFacts, Facts, Found, LayerFacts};
pub(crate) use gather::{fewest_bits, layer_facts};
pub use scaling::Scaling;

pub use calibration_too_few::samples_for;

use crate::warning::Warning;

/// Looks for one thing that a person should doubt.
pub type Check = fn(&Facts) -> Option<Warning>;

/// The checks, in the order in which their warnings are shown: causes come before effects.
pub const CHECKS: &[Check] = &[
    calibration_constant::check,
    calibration_equal::check,
    calibration_too_few::check,
    calibration_unlike_training::check,
    float_near_chance::check,
    integer_near_chance::check,
    integer_far_below_float::check,
    inputs_clipped::check,
    layer_noisy::check,
];

/// What all checks find, and what stages noticed.
pub fn check(facts: &Facts) -> Vec<Warning> {
    let found: Vec<Warning> = CHECKS.iter().filter_map(|check| check(facts)).collect();
    // Of one input, or of none, every value is constant.
    let says_nothing = facts.calibration.as_ref().is_some_and(|c| c.input[0] == c.input[1]);
    let noticed = facts.noticed.iter().filter(|w| !says_nothing || !w.kind.starts_with("value-"));
    found.into_iter().chain(noticed.cloned()).collect()
}

#[cfg(test)]
mod tests;
