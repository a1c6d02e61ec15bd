//! Fewer calibration samples than the widths need.

use super::Facts;
use crate::warning::Warning;

/// The minimum number of calibration samples for layers of this many bits: weights of few bits are
/// fitted to what layers compute on them.
pub fn samples_for(bits: u8) -> usize {
    match bits {
        8.. => 32,
        4..8 => 64,
        _ => 128,
    }
}

pub(super) fn check(facts: &Facts) -> Option<Warning> {
    let calibration = facts.calibration.as_ref()?;
    let bits = facts.weight_bits.min(facts.activation_bits);
    let wanted = samples_for(bits);
    let constant = calibration.input[0] == calibration.input[1];
    if calibration.made || constant || !(2..wanted).contains(&calibration.distinct) {
        return None;
    }
    let different = if calibration.distinct < calibration.samples { "different " } else { "" };
    Some(Warning::new(
        "calibration-too-few",
        format!(
            "only {} {different}calibration samples for {bits} bits: results on other inputs may be \
             worse than on these",
            calibration.distinct
        ),
        format!("give {wanted} or more"),
    ))
}
