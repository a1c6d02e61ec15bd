//! An integer program that does no better than guessing, although the float network does.

use burn_ptq::Warning;
use burn_ptq::warnings::Facts;

use super::EvaluationFacts;

pub(super) fn check(evaluation: &EvaluationFacts, _network: &Facts) -> Option<Warning> {
    let integer = evaluation.integer.filter(|&found| evaluation.is_near_chance(found))?;
    let one_class = evaluation.chance.is_some_and(|chance| chance >= 1.0);
    let as_float = evaluation.float.is_some_and(|found| evaluation.is_near_chance(found));
    if as_float || one_class && evaluation.float.is_some() {
        return None;
    }
    let float =
        evaluation.float.map_or(String::new(), |f| format!("; the float model has {:.4}", f.value));
    let hint = match evaluation.float {
        None => "compare with the float model, and check that inputs are scaled as for calibration",
        Some(_) => {
            "--explain ranks the layers by what they cost; give those at the top more bits (--layer), or \
             take a preset that ends in -best"
        }
    };
    Some(Warning::new(
        "integer-near-chance",
        format!(
            "the integer program has {} {:.4}, no better than guessing ({:.4}){float}",
            evaluation.metric,
            integer.value,
            evaluation.chance.unwrap_or_default(),
        ),
        hint,
    ))
}
