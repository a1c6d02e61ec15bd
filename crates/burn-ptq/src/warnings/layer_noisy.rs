//! A layer of 8 bits whose output is mostly noise.

use super::{Facts, LayerFacts, calibration_unlike_training};
use crate::warning::Warning;

/// The lowest ratio of signal to noise that 8 bits should give, in dB.
const EXPECTED_DB: f64 = 20.0;

/// The largest channel's range as a multiple of the median channel's that counts as an outlier.
const OUTLIER: f64 = 16.0;

/// The share of clipped elements that counts as a cause.
const CLIPPED: f64 = 0.001;

pub(super) fn check(facts: &Facts) -> Option<Warning> {
    if facts.weight_bits.min(facts.activation_bits) < 8 {
        return None;
    }
    // Inputs of another scale are the cause, and named already.
    if calibration_unlike_training::check(facts).is_some() {
        return None;
    }
    // The noise begins where the inputs are clean.
    let is_noisy = |db: Option<f64>| db.is_some_and(|db| db < EXPECTED_DB);
    let begins = |layer: &&LayerFacts| is_noisy(layer.sqnr_db) && !is_noisy(layer.inputs_db);
    let layer = facts.layers.iter().find(begins)?;
    let more = facts.layers.iter().filter(|l| is_noisy(l.sqnr_db)).count() - 1;
    let follows = match more {
        0 => String::new(),
        1 => " (and 1 other layer)".into(),
        more => format!(" (and {more} other layers)"),
    };
    let (cause, hint) = cause(layer);
    Some(Warning::new(
        "layer-noisy",
        format!(
            "layer `{}`{follows} keeps only {:.1} dB of its signal at 8 bits, expected more than \
             {EXPECTED_DB:.0}; {cause}",
            layer.name,
            layer.sqnr_db.unwrap_or_default()
        ),
        hint,
    ))
}

/// The likely cause, and what to do.
fn cause(layer: &LayerFacts) -> (String, &'static str) {
    let wide = "give the layer 16-bit activations (--layer 'NAME:activations=16')";
    if let Some(db) = layer.weight_sqnr_db.filter(|&db| db < EXPECTED_DB) {
        let cause = format!(
            "its weights keep {db:.1} dB: biases too large for 32 bits widened their scales, or one scale \
             serves channels of very different ranges"
        );
        return (cause, "quantize weights per channel, or train with weight decay on biases");
    }
    if layer.outside > CLIPPED {
        let cause =
            format!("{:.2} % of its outputs are clipped by its range", 100.0 * layer.outside);
        return (cause, "calibrate with more samples, or use activations.range = \"min-max\"");
    }
    let outlier = layer.outlier.as_ref().filter(|(_, ratio)| *ratio > OUTLIER);
    if let Some((name, ratio)) = outlier {
        let cause = format!(
            "one channel of `{name}` is {ratio:.0} times as large as the median channel, and one grid \
             serves them all"
        );
        return (cause, "add conditioning = [\"migrate\"] to the recipe, or take preset w8a8");
    }
    let dead = layer.channels.iter().filter(|&&x| x == 0.0).count();
    if dead * 2 > layer.channels.len() {
        let cause = format!("{dead} of its {} channels are 0 on all samples", layer.channels.len());
        return (cause, "check the input scaling and the calibration samples");
    }
    ("its values spread over more orders of magnitude than 8 bits hold".into(), wide)
}
