//! Tests of comparisons by cases that were worked out by hand.

use std::path::Path;

use burn_ptq_deploy::place::Memory;
use burn_ptq_deploy::program::{
    Border, DType, Input, IntNode, IntOp, IntTensor, Output, Program, Provenance, TensorId,
    Weighted, Weights,
};
use burn_ptq_deploy::target::Kernels;
use burn_ptq_kernels::grid::Grid;
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::Clamp;

use super::layers::merged;
use super::recorded::Recorded;
use super::*;
use crate::metric::{Judgement, Metric, Outcomes};
use crate::statistics::{Judge, Verdict, correct};

/// A judgement of 400 samples, of which those in `wrong` are wrong.
fn judgement(wrong: std::ops::Range<usize>) -> Judgement {
    let right: Vec<bool> = (0..400).map(|sample| !wrong.contains(&sample)).collect();
    let metric = right.iter().filter(|&&right| right).count() as f64 / 400.0;
    let predicted = Some(right.iter().map(|&right| u32::from(right)).collect());
    Judgement { predicted, ..Judgement::new(metric, None, Outcomes::Correct(right)) }
}

/// The difference between a network that is wrong on `own` and one that is wrong on `first`, as claimed.
fn difference(first: std::ops::Range<usize>, own: std::ops::Range<usize>) -> MetricDifference {
    let (first, own) = (judgement(first), judgement(own));
    let mut found = MetricDifference::new(Metric::Top1, Some(&Judge::Mean), &first, &own);
    correct(found.test.iter_mut());
    found
}

#[test]
fn the_paired_test_is_the_one_that_is_worked_out_by_hand() {
    // Ten samples that only the first gets right, and two that only the other one does. With one more of
    // each, of 402 samples: a mean of -8 / 402, a variance of (14 / 402 - (8 / 402)^2) / 402 = 0.0092546^2, and
    // Student's quantile of 399 degrees of freedom, 1.96593.
    let found = difference(0..2, 2..12);
    assert!((found.difference + 0.02).abs() < 1e-12);
    assert_eq!((found.only_first_right, found.only_this_right), (Some(10), Some(2)));
    assert!((found.agreement.unwrap() - 388.0 / 400.0).abs() < 1e-12);
    let test = found.test.unwrap();
    let (low, high) = test.interval;
    assert!((low + 0.038_094).abs() < 2e-6 && (high + 0.001_707).abs() < 2e-6, "{test:?}");
    assert!((test.p - 0.0321).abs() < 2e-4 && test.adjusted_p == test.p, "{test:?}");
    assert_eq!(test.verdict, Verdict::Worse);
    // The same the other way round.
    let back = difference(2..12, 0..2).test.unwrap();
    assert_eq!((back.verdict, back.p), (Verdict::Better, test.p));
    // Nine against three are not enough: t = (6 / 402) / 0.0092777 = 1.6087.
    let fewer = difference(0..3, 3..12).test.unwrap();
    assert_eq!(fewer.verdict, Verdict::NoDifferenceShown);
    assert!((fewer.p - 0.1085).abs() < 5e-4, "{fewer:?}");
}

#[test]
fn networks_that_answer_alike_have_the_same_results() {
    let found = difference(3..9, 3..9);
    assert_eq!((found.difference, found.agreement), (0.0, Some(1.0)));
    assert_eq!(found.test.unwrap().verdict, Verdict::SameResults);
    // What does not follow from single samples is not tested.
    let both = (judgement(0..4), judgement(0..40));
    assert_eq!(MetricDifference::new(Metric::F1, None, &both.0, &both.1).test, None);
}

fn layer(op: &str, bits: u8) -> LayerOfModel {
    LayerOfModel {
        op: Some(op.into()),
        weight_bits: Some(bits),
        activation_bits: Some(8),
        bytes: Some(10),
        macs: Some(100),
        sqnr_db: None,
        integers: None,
    }
}

#[test]
fn layers_are_matched_by_name_and_those_of_one_model_stand_where_it_has_them() {
    let model = |layers: &[(&str, usize, u8)]| {
        let keyed = |&(name, count, bits): &(&str, usize, u8)| {
            ((name.to_owned(), count), layer("Conv2d", bits))
        };
        layers.iter().map(keyed).collect::<Vec<_>>()
    };
    let first = model(&[("a", 0, 8), ("b", 0, 8), ("b", 1, 8), ("d", 0, 8)]);
    let second = model(&[("head", 0, 8), ("a", 0, 8), ("b", 0, 4), ("c", 0, 8), ("d", 0, 8)]);
    let third = model(&[("a", 0, 8), ("c", 0, 8), ("d", 0, 8), ("tail", 0, 8)]);
    let rows = merged(vec![first, second, third]);
    let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["head", "a", "b", "c", "b", "d", "tail"]);
    let differing: Vec<bool> = rows.iter().map(|row| row.differs).collect();
    assert_eq!(differing, [true, false, true, true, true, false, true]);
    let present = |row: &ComparedLayer| row.models.iter().map(Option::is_some).collect::<Vec<_>>();
    assert_eq!(present(&rows[3]), [false, true, true]);
    assert_eq!(present(&rows[6]), [false, false, true]);
}

#[test]
fn layers_that_differ_in_any_figure_differ() {
    let rows = |change: fn(&mut LayerOfModel)| {
        let mut other = layer("Conv2d", 8);
        change(&mut other);
        let keyed = |layer| vec![(("a".to_owned(), 0), layer)];
        merged(vec![keyed(layer("Conv2d", 8)), keyed(other)])[0].differs
    };
    assert!(!rows(|_| {}));
    for change in [
        |layer: &mut LayerOfModel| layer.op = Some("FullyConnected".into()),
        |layer: &mut LayerOfModel| layer.weight_bits = None,
        |layer: &mut LayerOfModel| layer.activation_bits = Some(4),
        |layer: &mut LayerOfModel| layer.bytes = Some(11),
        |layer: &mut LayerOfModel| layer.macs = Some(99),
        |layer: &mut LayerOfModel| layer.integers = Some(IntegerDifference::default()),
    ] {
        assert!(rows(change));
    }
    // What a report does not say differs from nothing.
    assert!(!rows(|layer| layer.bytes = None));
    assert!(!rows(|layer| layer.sqnr_db = Some(20.0)));
}

const GRID: Grid = Grid { scale: 0.5, zero_point: 0, min: -128, max: 127 };

/// A program of one fully connected layer of 2 inputs and 2 outputs.
fn program(weights: [i8; 4], change: impl Fn(&mut Weighted, &mut Grid)) -> Program {
    let clamp = Clamp { min: -128, max: 127 };
    let mut weighted = Weighted {
        weights: Weights {
            shape: vec![2, 2],
            bits: 8,
            storage: 8,
            data: weights.map(|weight| weight as u8).to_vec(),
            scales: vec![0.25],
        },
        bias: vec![3, 4],
        multipliers: vec![Multiplier::from_real(0.25).unwrap()],
        clamp,
    };
    let mut grid = GRID;
    change(&mut weighted, &mut grid);
    let tensor = |name: &str, grid: Grid| IntTensor {
        name: name.into(),
        shape: [1, 1, 2],
        dtype: DType::I8,
        bits: 8,
        grid,
    };
    Program {
        name: "small".into(),
        tensors: vec![tensor("x", GRID), tensor("y", grid)],
        nodes: vec![IntNode {
            name: "fc".into(),
            op: IntOp::FullyConnected { rows: 1, in_features: 2, out_features: 2, weighted },
            inputs: vec![TensorId(0)],
            output: TensorId(1),
        }],
        inputs: vec![Input::new("x", TensorId(0), Border::plain(&[2]))],
        outputs: vec![Output::new("y", TensorId(1), Border::plain(&[2]))],
        states: Vec::new(),
        loops: Vec::new(),
        provenance: Provenance::default(),
    }
}

#[test]
fn integers_that_differ_are_counted() {
    let first = program([1, 2, 3, 4], |_, _| {});
    let text = |other: &Program| {
        let found = IntegerDifference::new((&first, &first.nodes[0]), (other, &other.nodes[0]));
        assert_eq!(found.identical, found.text() == "identical");
        found.text()
    };
    assert_eq!(text(&first), "identical");
    assert_eq!(text(&program([1, 2, 7, 8], |_, _| {})), "weights differ in 2 of 4");
    assert_eq!(
        text(&program([1, 2, 3, 4], |weighted, _| weighted.bias[1] = 5)),
        "biases differ in 1"
    );
    let scales = program([1, 2, 3, 4], |weighted, _| weighted.weights.scales[0] = 0.5);
    assert_eq!(text(&scales), "scales differ");
    let grid = program([1, 2, 3, 5], |_, grid| grid.scale = 0.75);
    assert_eq!(text(&grid), "weights differ in 1 of 4, grid differs");
    let bits = program([1, 2, 3, 4], |weighted, _| weighted.weights.bits = 7);
    assert_eq!(text(&bits), "other bits");
    let clamp = program([1, 2, 3, 4], |weighted, _| weighted.clamp.min = 0);
    assert_eq!(text(&clamp), "parameters differ");
}

#[test]
fn programs_are_the_same_with_or_without_their_provenance() {
    let place = |program: Program| program.place(Kernels::Portable, Memory::Whole).unwrap();
    let first = program([1, 2, 3, 4], |_, _| {});
    let mut renamed = Program { name: "other".into(), ..first.clone() };
    renamed.provenance.seed = 7;
    let other = place(program([1, 2, 3, 5], |_, _| {}));
    let (first, renamed) = (place(first), place(renamed));
    assert_eq!(Sameness::of(&first, &first), Sameness::Same);
    assert_eq!(Sameness::of(&renamed, &first), Sameness::SameButProvenance);
    assert_eq!(Sameness::of(&other, &first), Sameness::Differs);
}

#[test]
fn reports_are_read_with_what_they_have() {
    let read = |text: &str| Recorded::parse(text, Path::new("report.json"));
    let report = read(
        "{\"schema_version\": 1, \"integer\": null, \"seed\": 3, \"news\": [{}],
          \"layers\": [{\"name\": \"fc\", \"bits\": 4, \"more\": 1}]}",
    )
    .unwrap();
    assert_eq!((report.integer, report.seed, report.layers[0].bits), (None, Some(3), Some(4)));
    for (text, words) in [
        ("{}", "it has no schema_version"),
        ("[1, 2", "is not the report of a quantization"),
        ("{\"schema_version\": 1, \"layers\": 3}", "expected a sequence"),
        ("{\"schema_version\": -1}", "is not the report of a quantization"),
        // Of a newer version nothing else is read.
        ("{\"schema_version\": 2, \"layers\": 3}", "reads up to 1; update burn-ptq"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(words), "{text}: {error}");
        assert!(error.starts_with("report.json "), "{error}");
    }
    // However deep, it ends in an error.
    let deep = format!("{{\"schema_version\": 1, \"x\": {}", "[".repeat(100_000));
    assert!(read(&deep).is_err());
}

#[test]
fn costs_change_in_percent_of_the_first() {
    let cost =
        |values: &[Option<u64>]| costs::ComparedCost::new("macs", None, values.to_vec()).percent;
    assert_eq!(cost(&[Some(200), Some(150), None]), [Some(0.0), Some(-25.0), None]);
    assert_eq!(cost(&[None, Some(150)]), [None, None]);
    assert_eq!(cost(&[Some(0), Some(0), Some(5)]), [Some(0.0), Some(0.0), None]);
}
