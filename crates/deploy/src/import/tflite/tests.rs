//! What files become; whether programs give an interpreter's bytes, `tests/imports` shows.

use burn_ptq_kernels::grid::Grid;
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::packing::{pack, packed_len};
use burn_ptq_kernels::params::Clamp;

use super::{MAX_FILE_BYTES, TfliteImportError, from_bytes};
use crate::border::Border;
use crate::export::{TfLiteOptions, tflite_model};
use crate::op::{DType, IntOp, Weighted, Weights};
use crate::program::{Input, IntNode, IntTensor, Output, Program, Provenance, TensorId};

fn tensor(name: &str, features: usize) -> IntTensor {
    let grid = Grid { scale: 0.5, zero_point: 3, min: -128, max: 127 };
    IntTensor { name: name.into(), shape: [1, 1, features], dtype: DType::I8, bits: 8, grid }
}

/// Fully connected layers of so many features, all with the same weights of 0.
fn layers(count: usize, features: usize, scale: f32) -> Program {
    let weights = Weights {
        shape: vec![features, features],
        bits: 4,
        storage: 4,
        data: {
            let values = vec![0; features * features];
            let mut data = vec![0; packed_len(values.len(), 4)];
            pack(&values, 4, &mut data);
            data
        },
        scales: vec![scale],
    };
    let node = |index: usize| {
        let multipliers = vec![Multiplier::of_product(0.5, scale, 0.5).expect("a multiplier")];
        let clamp = Clamp { min: -128, max: 127 };
        let bias = vec![0; features];
        let weighted = Weighted { weights: weights.clone(), bias, multipliers, clamp };
        let (in_features, out_features) = (features, features);
        IntNode {
            name: format!("layer{index}"),
            op: IntOp::FullyConnected { rows: 1, in_features, out_features, weighted },
            inputs: vec![TensorId(index)],
            output: TensorId(index + 1),
        }
    };
    Program {
        name: "net".into(),
        tensors: (0..=count).map(|index| tensor(&format!("t{index}"), features)).collect(),
        nodes: (0..count).map(node).collect(),
        inputs: vec![Input::new("x", TensorId(0), Border::plain(&[features]))],
        outputs: vec![Output::new("y", TensorId(count), Border::plain(&[features]))],
        states: Vec::new(),
        loops: Vec::new(),
        provenance: Provenance {
            version: "1.2.3".into(),
            recipe: "weights = \"minmax\"\n\n[rounding.gptq]\n".into(),
            seed: 9,
            model_hash: "ab".into(),
            calibration_hash: String::new(),
        },
    }
}

fn file(program: &Program) -> Vec<u8> {
    tflite_model(program, TfLiteOptions::default()).expect("a file")
}

#[test]
fn a_program_comes_back_with_names_of_ends_and_provenance() {
    let program = layers(2, 6, 0.25);
    let found = Program::from_tflite(&file(&program)).expect("a program");
    assert_eq!((&found.name, &found.provenance), (&program.name, &program.provenance));
    assert_eq!((&found.tensors, &found.outputs), (&program.tensors, &program.outputs));
    let operations =
        |program: &Program| program.nodes.iter().map(|node| node.op.clone()).collect::<Vec<_>>();
    assert_eq!(operations(&found), operations(&program));
}

#[test]
fn files_that_name_the_same_weights_again_and_again_are_refused_before_they_fill_the_memory() {
    // A megabyte of weights in the file, a quarter of a gigabyte in the program.
    let bytes = file(&layers(200, 1400, 0.25));
    assert!(bytes.len() < 2 << 20, "{} bytes", bytes.len());
    let error = from_bytes(&bytes).expect_err("too much");
    assert!(error.to_string().contains("take more than 67108864 bytes"), "{error}");
}

#[test]
fn files_that_are_too_large_are_not_looked_at() {
    let error = from_bytes(&vec![0; MAX_FILE_BYTES as usize + 1]).expect_err("too large");
    assert!(matches!(error, TfliteImportError::TooLarge { .. }), "{error}");
}

/// The file with each `from` replaced.
fn replaced(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut at = 0;
    let mut count = 0;
    while let Some(found) = bytes[at..].windows(from.len()).position(|part| part == from) {
        bytes[at + found..at + found + to.len()].copy_from_slice(to);
        at += found + from.len();
        count += 1;
    }
    assert!(count > 0, "nothing to replace");
    bytes
}

#[test]
fn all_problems_are_listed_with_their_operators() {
    let program = layers(3, 6, 0.25);
    // Scales of weights and biases, and of activations, become none.
    let bytes = replaced(file(&program), &0.5_f32.to_le_bytes(), &0.0_f32.to_le_bytes());
    let error = from_bytes(&bytes).expect_err("no scales");
    let TfliteImportError::Unsupported { problems, count } = &error else { panic!("{error}") };
    assert_eq!(problems.len(), *count);
    assert_eq!(problems[0].operator, None);
    assert_eq!(problems[0].kind, "input");
    let text = error.to_string();
    assert!(text.contains("expected one positive scale for \"t0\", found [0.0]"), "{text}");
    assert!(problems.iter().all(|problem| !problem.remedy.is_empty()), "{text}");
}

#[test]
fn operators_that_programs_do_not_have_are_named_one_by_one() {
    let mut bytes = file(&layers(3, 6, 0.25));
    // The only code is FULLY_CONNECTED's, which becomes SVDF's.
    let place = bytes.windows(4).position(|part| part == 9_i32.to_le_bytes()).expect("the code");
    bytes[place] = 27;
    let error = from_bytes(&bytes).expect_err("no such operator");
    let TfliteImportError::Unsupported { problems, .. } = &error else { panic!("{error}") };
    let operators: Vec<Option<usize>> = problems.iter().map(|problem| problem.operator).collect();
    assert_eq!(operators, [Some(0), Some(1), Some(2)], "{error}");
    assert!(problems.iter().all(|problem| problem.kind == "SVDF"), "{error}");
}

#[test]
fn the_version_of_the_schema_is_told() {
    let bytes = file(&layers(1, 6, 0.25));
    let mut other = bytes.clone();
    let place = bytes.windows(4).position(|part| part == 3_i32.to_le_bytes()).expect("it is there");
    other[place] = 2;
    let error = from_bytes(&other).expect_err("another version");
    assert!(error.to_string().contains("expected version 3"), "{error}");
}
