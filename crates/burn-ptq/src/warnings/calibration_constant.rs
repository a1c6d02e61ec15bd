//! Calibration samples that hold one number.

use super::Facts;
use crate::warning::Warning;

pub(super) fn check(facts: &Facts) -> Option<Warning> {
    let calibration = facts.calibration.as_ref().filter(|c| c.input[0] == c.input[1])?;
    let what = if calibration.input[0] == 0.0 {
        "0".to_string()
    } else {
        format!("the same number, {}", calibration.input[0])
    };
    Some(Warning::new(
        "calibration-constant",
        format!(
            "every element of the calibration samples is {what}: no range of the network is known"
        ),
        "check how the calibration file was written, and the input scaling",
    ))
}
