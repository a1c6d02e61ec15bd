//! The checks of an evaluation: each finds one reason to doubt it.
//!
//! To add one: a file with a function that [`Check`] describes, a line in [`CHECKS`], and a test that
//! triggers it. The checks of calibration and layers are in [`burn_ptq::warnings`].

mod evaluated;
mod facts;
mod float_near_chance;
mod inputs_clipped;
mod integer_far_below_float;
mod integer_near_chance;

use burn_ptq::Warning;
use burn_ptq::warnings::{Facts, check_with};

pub use evaluated::SCALING_SAMPLES;
pub use facts::{EvaluationFacts, Found};

/// Looks for one reason to doubt an evaluation of the network that the facts are
/// about.
pub type Check = fn(&EvaluationFacts, &Facts) -> Option<Warning>;

/// The checks, in the order in which their warnings are shown: causes come before effects.
pub const CHECKS: &[Check] = &[
    float_near_chance::check,
    integer_near_chance::check,
    integer_far_below_float::check,
    inputs_clipped::check,
];

/// What all checks find, those of the network too, and what stages noticed.
pub fn check(network: &Facts, evaluation: Option<&EvaluationFacts>) -> Vec<Warning> {
    let of = |evaluation| CHECKS.iter().filter_map(|check| check(evaluation, network)).collect();
    check_with(network, evaluation.map(of).unwrap_or_default())
}

#[cfg(test)]
mod tests;
