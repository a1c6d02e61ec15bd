//! Calibration samples on which the first batch normalization sees other numbers than in training.

use super::Facts;
use crate::warning::Warning;

pub(super) fn check(facts: &Facts) -> Option<Warning> {
    let calibration = facts.calibration.as_ref()?;
    let constant = calibration.input[0] == calibration.input[1];
    let fit = calibration.batch_norm.as_ref().filter(|fit| fit.is_far())?;
    if calibration.made || constant || calibration.distinct < 2 {
        return None;
    }
    let hint = match fit.rescaled {
        Some(scaling) => format!("they agree for {}: {}", scaling.what, scaling.advice()),
        None => {
            "check the input scaling, the order of axes, and that these are inputs of this model"
                .into()
        }
    };
    Some(Warning::new(
        "calibration-unlike-training",
        format!(
            "the calibration samples are not like the training data: before `{}` means are {:.1} \
             deviations off, and deviations are {} times those of training (medians over channels)",
            fit.name,
            fit.shift,
            if fit.stretch < 0.01 {
                format!("{:.4}", fit.stretch)
            } else {
                format!("{:.2}", fit.stretch)
            }
        ),
        hint,
    ))
}
