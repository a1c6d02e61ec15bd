//! Each check finds what it is for, and nothing on an evaluation as it should be.

use burn_ptq::warnings::{CalibrationFacts, LayerFacts, Scaling};

use super::*;

/// A network of these widths, of which nothing else is known.
fn network(bits: u8) -> Facts {
    Facts { weight_bits: bits, activation_bits: 8, ..Facts::default() }
}

/// The facts of an evaluation without a fault.
fn sound() -> EvaluationFacts {
    EvaluationFacts {
        metric: "top1",
        higher_is_better: true,
        samples: 500,
        chance: Some(0.1),
        float: Some(Found { value: 0.9, error: 0.013 }),
        integer: Some(Found { value: 0.89, error: 0.014 }),
        lost: Some(Found { value: 0.01, error: 0.004 }),
        clipped: Some(0.0),
        rescaled: None,
    }
}

/// The kinds that checks find after `change`, at 8 bits.
fn kinds(change: impl Fn(&mut EvaluationFacts)) -> Vec<&'static str> {
    kinds_at(8, change)
}

fn kinds_at(bits: u8, change: impl Fn(&mut EvaluationFacts)) -> Vec<&'static str> {
    let mut facts = sound();
    change(&mut facts);
    check(&network(bits), Some(&facts)).into_iter().map(|warning| warning.kind).collect()
}

#[test]
fn a_sound_evaluation_has_no_warning_and_neither_has_none() {
    for bits in 2..=8 {
        assert_eq!(check(&network(bits), Some(&sound())), []);
        assert_eq!(check(&network(bits), None), []);
    }
}

#[test]
fn metrics_near_chance_are_told_from_those_that_lose_much() {
    let found = |float: f64, integer: f64| {
        move |facts: &mut EvaluationFacts| {
            facts.float = Some(Found { value: float, error: 0.014 });
            facts.integer = Some(Found { value: integer, error: 0.014 });
            facts.lost = Some(Found { value: float - integer, error: 0.01 });
        }
    };
    assert_eq!(kinds(found(0.11, 0.10)), ["float-near-chance"]);
    assert_eq!(kinds(found(0.9, 0.12)), ["integer-near-chance"]);
    assert_eq!(kinds(found(0.9, 0.85)), ["integer-far-below-float"]);
    assert_eq!(kinds(found(0.9, 0.88)), [""; 0]);
    // What 8 bits may not lose, fewer may.
    assert_eq!(kinds_at(4, found(0.9, 0.85)), [""; 0]);
    assert_eq!(kinds_at(4, found(0.9, 0.70)), ["integer-far-below-float"]);
    assert_eq!(kinds_at(2, found(0.9, 0.70)), [""; 0]);
    // A loss that a few samples may give by chance is none.
    let unsure = |facts: &mut EvaluationFacts| {
        found(0.9, 0.85)(facts);
        facts.lost.as_mut().unwrap().error = 0.02;
    };
    assert_eq!(kinds(unsure), [""; 0]);
}

#[test]
fn a_float_model_near_chance_names_the_scaling_with_which_it_is_not() {
    let facts = EvaluationFacts {
        float: Some(Found { value: 0.1, error: 0.014 }),
        rescaled: Some((
            Scaling { factor: 1.0 / 255.0, term: 0.0, what: "pixels of 0 to 1", on_top: false },
            0.9,
        )),
        ..sound()
    };
    let warning = check(&network(8), Some(&facts))[0].clone();
    assert_eq!(warning.kind, "float-near-chance");
    assert!(warning.hint.contains("--input-scale 0.00392157"), "{warning}");
}

#[test]
fn clipped_inputs_are_counted() {
    assert_eq!(kinds(|facts| facts.clipped = Some(0.2)), ["inputs-clipped"]);
    assert_eq!(kinds(|facts| facts.clipped = Some(0.001)), [""; 0]);
}

#[test]
fn causes_come_before_effects() {
    let (mut network, facts) = (network(8), EvaluationFacts { clipped: Some(0.2), ..sound() });
    let few = CalibrationFacts { samples: 8, distinct: 8, input: [0.0, 1.0], ..Default::default() };
    network.calibration = Some(few);
    network.layers = vec![LayerFacts { sqnr_db: Some(3.2), ..Default::default() }];
    network.noticed = vec![Warning::new("value-constant", "one", "look")];
    let found = check(&network, Some(&facts));
    let kinds: Vec<&str> = found.iter().map(|warning| warning.kind).collect();
    assert_eq!(kinds, ["calibration-too-few", "inputs-clipped", "layer-noisy", "value-constant"]);
}
