//! The checks behind [`Warning`]s: each examines the facts of a run and finds one reason to
//! doubt it.
//!
//! To add one: a file with a function `fn(&Facts) -> Option<Warning>`, a line in [`CALIBRATION_CHECKS`] or
//! [`LAYER_CHECKS`], and a test that triggers it. Checks are few: a warning on a run that is as it
//! should be teaches users to overlook the others.

mod batch_norm;
mod calibration_constant;
mod calibration_equal;
mod calibration_too_few;
mod calibration_unlike_training;
mod facts;
mod gather;
mod layer_noisy;
mod output_offset;
mod scaling;

pub use batch_norm::{AS_GOOD, BatchNormFit, FirstNorm};
pub use facts::{CalibrationFacts, Facts, LayerFacts, OutputFacts};
pub use gather::BATCH_NORM_SAMPLES;
pub(crate) use gather::{fewest_bits, layer_facts, output_facts};
pub use scaling::{Scaling, candidates};

pub use calibration_too_few::samples_for;

use crate::warning::Warning;

/// Looks for one reason to doubt a result.
pub type Check = fn(&Facts) -> Option<Warning>;

/// The checks of the calibration, in the order in which their warnings are shown.
pub const CALIBRATION_CHECKS: &[Check] = &[
    calibration_constant::check,
    calibration_equal::check,
    calibration_too_few::check,
    calibration_unlike_training::check,
];

/// The checks of the quantized layers.
pub const LAYER_CHECKS: &[Check] = &[layer_noisy::check, output_offset::check];

/// What all checks find, and what stages noticed.
pub fn check(facts: &Facts) -> Vec<Warning> {
    check_with(facts, Vec::new())
}

/// As [`check`], with the warnings of an evaluation in their place: causes come before effects, so that
/// they follow those of the calibration and precede those of the layers.
pub fn check_with(facts: &Facts, evaluation: Vec<Warning>) -> Vec<Warning> {
    let found = |checks: &'static [Check]| checks.iter().filter_map(|check| check(facts));
    // Of one input, or of none, every value is constant.
    let says_nothing = facts.calibration.as_ref().is_some_and(|c| c.input[0] == c.input[1]);
    let noticed = facts.noticed.iter().filter(|w| !says_nothing || !w.kind.starts_with("value-"));
    found(CALIBRATION_CHECKS)
        .chain(evaluation)
        .chain(found(LAYER_CHECKS))
        .chain(noticed.cloned())
        .collect()
}

#[cfg(test)]
mod tests;
