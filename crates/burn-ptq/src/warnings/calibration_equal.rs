//! Calibration samples that are all the same.

use super::Facts;
use crate::warning::Warning;

pub(super) fn check(facts: &Facts) -> Option<Warning> {
    let calibration = facts.calibration.as_ref()?;
    let constant = calibration.input[0] == calibration.input[1];
    if calibration.made || constant || calibration.distinct != 1 {
        return None;
    }
    let found = match calibration.samples {
        1 => "there is only 1 calibration sample".to_string(),
        count => format!("all {count} calibration samples are equal"),
    };
    Some(Warning::new(
        "calibration-samples-equal",
        format!("{found}: ranges and weights are fitted to this one input"),
        "give samples as different as those that the model will see",
    ))
}
