//! An integer program that loses more than its widths explain.

use burn_ptq::Warning;
use burn_ptq::warnings::Facts;

use super::EvaluationFacts;

/// The share of what the float network has above chance that this many bits may lose.
fn allowed(bits: u8) -> f64 {
    match bits {
        8.. => 0.05,
        4..8 => 0.2,
        _ => 0.35,
    }
}

pub(super) fn check(evaluation: &EvaluationFacts, network: &Facts) -> Option<Warning> {
    let (float, integer, lost) = (evaluation.float?, evaluation.integer?, evaluation.lost?);
    let chance = evaluation.chance?;
    let near_chance = [float, integer].iter().any(|&found| evaluation.is_near_chance(found));
    let bits = network.weight_bits.min(network.activation_bits);
    let share = lost.value / (float.value - chance).abs().max(f64::EPSILON);
    // One number alone may be chance: the loss itself must be significant, as must its excess.
    if near_chance || share <= allowed(bits) || lost.value <= 3.0 * lost.error {
        return None;
    }
    Some(Warning::new(
        "integer-far-below-float",
        format!(
            "the integer program has {} {:.4}, {:.4} +- {:.4} worse than the float model: more than {bits} \
             bits explain",
            evaluation.metric, integer.value, lost.value, lost.error
        ),
        "--explain ranks the layers by what they cost; give those at the top more bits (--layer)",
    ))
}
