//! Each check finds what it is for, and nothing on a run as it should be.

use super::*;

/// The facts of a run without a fault, at these widths.
fn sound(weight_bits: u8, activation_bits: u8) -> Facts {
    let layer = |name: &str| LayerFacts {
        name: name.into(),
        sqnr_db: Some(35.0),
        inputs_db: Some(38.0),
        weight_sqnr_db: Some(42.0),
        outside: 0.0,
        channels: vec![1.0, 2.0, 3.0],
        outlier: Some(("before".into(), 2.0)),
    };
    Facts {
        outputs: Vec::new(),
        weight_bits,
        activation_bits,
        calibration: Some(CalibrationFacts {
            made: false,
            samples: 256,
            distinct: 256,
            input: [0.0, 1.0],
            batch_norm: Some(BatchNormFit {
                name: "bn".into(),
                shift: 0.2,
                stretch: 0.9,
                rescaled: None,
            }),
        }),
        layers: vec![layer("first"), layer("second")],
        noticed: Vec::new(),
    }
}

/// The kinds that checks find after `change`, at 8 bits.
fn kinds(change: impl Fn(&mut Facts)) -> Vec<&'static str> {
    kinds_at(8, change)
}

fn kinds_at(bits: u8, change: impl Fn(&mut Facts)) -> Vec<&'static str> {
    let mut facts = sound(bits, 8);
    change(&mut facts);
    check(&facts).into_iter().map(|warning| warning.kind).collect()
}

fn calibration(facts: &mut Facts) -> &mut CalibrationFacts {
    facts.calibration.as_mut().unwrap()
}

#[test]
fn a_sound_run_has_no_warning_and_neither_has_one_of_which_nothing_is_known() {
    for bits in 2..=8 {
        assert_eq!(check(&sound(bits, 8)), []);
        assert_eq!(check(&sound(8, bits)), []);
    }
    assert_eq!(check(&Facts::default()), []);
}

#[test]
fn constant_calibration_is_named_once() {
    let constant = |element: f32| {
        move |facts: &mut Facts| {
            let calibration = calibration(facts);
            calibration.input = [element; 2];
            (calibration.samples, calibration.distinct) = (8, 1);
            calibration.batch_norm.as_mut().unwrap().stretch = 0.0;
            facts.noticed = vec![Warning::new("value-always-zero", "all", "look")];
        }
    };
    assert_eq!(kinds(constant(0.0)), ["calibration-constant"]);
    assert_eq!(kinds(constant(0.5)), ["calibration-constant"]);
}

#[test]
fn equal_and_few_samples_are_told_apart() {
    let distinct = |samples: usize, distinct: usize| {
        move |facts: &mut Facts| {
            let calibration = calibration(facts);
            (calibration.samples, calibration.distinct) = (samples, distinct);
        }
    };
    assert_eq!(kinds(distinct(1, 1)), ["calibration-samples-equal"]);
    assert_eq!(kinds(distinct(64, 1)), ["calibration-samples-equal"]);
    for (bits, wanted) in [(8, 32), (7, 64), (4, 64), (3, 128), (2, 128)] {
        assert_eq!(samples_for(bits), wanted);
        assert_eq!(kinds_at(bits, distinct(wanted - 1, wanted - 1)), ["calibration-too-few"]);
        assert_eq!(kinds_at(bits, distinct(wanted, wanted)), [""; 0]);
    }
    let made = |facts: &mut Facts| {
        distinct(8, 1)(facts);
        calibration(facts).made = true;
    };
    assert_eq!(kinds(made), [""; 0]);
}

#[test]
fn few_different_samples_are_few_samples() {
    let mut facts = sound(4, 8);
    (calibration(&mut facts).samples, calibration(&mut facts).distinct) = (512, 12);
    let [warning] = &check(&facts)[..] else { panic!("one warning") };
    assert!(warning.message.contains("only 12 different calibration samples"), "{warning}");
    assert!(warning.hint.contains("64"), "{warning}");
}

#[test]
fn statistics_unlike_those_of_training_name_the_scaling_that_fits() {
    let fit = |shift: f64, stretch: f64| {
        move |facts: &mut Facts| {
            let fit = calibration(facts).batch_norm.as_mut().unwrap();
            (fit.shift, fit.stretch) = (shift, stretch);
            fit.rescaled = Some(scaling::BYTES_TO_UNIT);
        }
    };
    for (shift, stretch) in [(0.1, 0.004), (0.1, 255.0), (3.0, 1.0), (f64::NAN, 0.0)] {
        assert_eq!(kinds(fit(shift, stretch)), ["calibration-unlike-training"]);
    }
    let mut facts = sound(8, 8);
    fit(0.1, 255.0)(&mut facts);
    assert!(check(&facts)[0].hint.contains("0.00392157"), "{}", check(&facts)[0]);
}

#[test]
fn layers_are_not_called_noisy_where_the_inputs_explain_it() {
    let unlike = |facts: &mut Facts| {
        calibration(facts).batch_norm.as_mut().unwrap().stretch = 0.06;
        facts.layers[1].sqnr_db = Some(3.2);
    };
    assert_eq!(kinds(unlike), ["calibration-unlike-training"]);
    assert_eq!(kinds(|facts| facts.layers[1].sqnr_db = Some(3.2)), ["layer-noisy"]);
}

#[test]
fn an_output_far_from_zero_is_named_where_its_grid_is_coarse() {
    let output = |low: f32, high: f32, step: f32| {
        move |facts: &mut Facts| {
            facts.outputs = vec![OutputFacts { name: "pressure".into(), low, high, step }];
        }
    };
    assert_eq!(kinds(output(1003.0, 1026.0, 4.0)), ["output-offset"]);
    assert_eq!(kinds(output(-1026.0, -1003.0, 4.0)), ["output-offset"]);
    // Zero lies between them; or there are steps enough; or nothing to tell apart.
    assert_eq!(kinds(output(-3.0, 26.0, 4.0)), [""; 0]);
    assert_eq!(kinds(output(1003.0, 1026.0, 0.03)), [""; 0]);
    assert_eq!(kinds(output(7.0, 7.0, 0.05)), [""; 0]);
}

#[test]
fn what_stages_noticed_comes_after_what_checks_found() {
    let noticed = |facts: &mut Facts| {
        facts.noticed = vec![Warning::new("value-constant", "one", "look")];
        (calibration(facts).samples, calibration(facts).distinct) = (8, 8);
    };
    assert_eq!(kinds(noticed), ["calibration-too-few", "value-constant"]);
}

#[test]
fn a_noisy_layer_is_named_with_its_likely_cause() {
    let noisy = |change: fn(&mut LayerFacts)| {
        let mut facts = sound(8, 8);
        facts.layers[1].sqnr_db = Some(3.2);
        change(&mut facts.layers[1]);
        let [warning] = &check(&facts)[..] else { panic!("one warning") };
        assert_eq!(warning.kind, "layer-noisy");
        assert!(warning.message.contains("`second` keeps only 3.2 dB"), "{warning}");
        warning.to_string()
    };
    let outlier = noisy(|layer| layer.outlier = Some(("first".into(), 400.0)));
    assert!(outlier.contains("`first` is 400 times") && outlier.contains("migrate"), "{outlier}");
    let weights = noisy(|layer| layer.weight_sqnr_db = Some(9.0));
    assert!(weights.contains("its weights keep 9.0 dB"), "{weights}");
    let clipped = noisy(|layer| layer.outside = 0.05);
    assert!(clipped.contains("5.00 % of its outputs are clipped"), "{clipped}");
    let dead = noisy(|layer| layer.channels = vec![0.0, 0.0, 1.0]);
    assert!(dead.contains("2 of its 3 channels are 0"), "{dead}");
    assert!(noisy(|_| ()).contains("orders of magnitude"));
    // At fewer bits that is what is to be expected.
    assert_eq!(kinds_at(4, |facts| facts.layers[1].sqnr_db = Some(12.0)), [""; 0]);
}

#[test]
fn only_the_layer_where_noise_begins_is_named() {
    let mut facts = sound(8, 8);
    facts.layers[0].sqnr_db = Some(10.0);
    (facts.layers[1].inputs_db, facts.layers[1].sqnr_db) = (Some(10.0), Some(9.0));
    let [warning] = &check(&facts)[..] else { panic!("one warning") };
    assert!(warning.message.contains("`first` (and 1 other layer)"), "{warning}");
}
