//! A float network that does no better than guessing on the evaluation data.

use burn_ptq::Warning;
use burn_ptq::warnings::Facts;

use super::EvaluationFacts;

pub(super) fn check(evaluation: &EvaluationFacts, _network: &Facts) -> Option<Warning> {
    let float = evaluation.float.filter(|&found| evaluation.is_near_chance(found))?;
    // Every answer that is always the same is right there.
    if evaluation.chance.is_some_and(|chance| chance >= 1.0 && evaluation.higher_is_better) {
        return Some(Warning::new(
            "float-near-chance",
            format!(
                "all labels of the evaluation data are of one class: {} says nothing about the network",
                evaluation.metric
            ),
            "evaluate on samples of several classes",
        ));
    }
    let hint = match evaluation.rescaled {
        Some((scaling, metric)) => format!(
            "with {} it has {metric:.4} on a part of the samples: {}",
            scaling.what,
            scaling.advice()
        ),
        None => "check the input scaling, the order of axes, and that labels belong to the samples"
            .into(),
    };
    Some(Warning::new(
        "float-near-chance",
        format!(
            "the float model has {} {:.4} on the evaluation data, no better than guessing ({:.4}): what \
             the quantized one loses says nothing",
            evaluation.metric,
            float.value,
            evaluation.chance.unwrap_or_default()
        ),
        hint,
    ))
}
