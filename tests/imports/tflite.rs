//! Files of TensorFlow's converter, imported: the program's bytes are TensorFlow Lite Micro's.
//!
//! `scripts/export-tflite.py` writes the files. `BURN_PTQ_TFLITE_SAMPLES` sets how many samples of each run,
//! `BURN_PTQ_TFLITE_FILES` names a folder of others, whose samples are counted alike.

#![allow(clippy::print_stdout, reason = "tests say what they measure")]

use std::fs;
use std::path::{Path, PathBuf};

use burn_ptq_deploy::export::tflite_model;
use burn_ptq_deploy::import::tflite::{TfliteImportError, from_bytes, is_float};
use burn_ptq_deploy::place::Memory;
use burn_ptq_deploy::program::{DType, IntTensor, Program};
use burn_ptq_deploy::run::{Interpreter, Path as Kind, tensor_integers};
use burn_ptq_deploy::target::Kernels;
use burn_ptq_deploy::tflite::Element;
use burn_ptq_deploy::tflite::file::TfliteFile;
use draw::Draw;
use python::{answers, digits, oracle};
use serde_json::{Value, json};

#[allow(dead_code)]
#[path = "../conformance/problems/draw.rs"]
mod draw;
mod operators;
#[path = "../oracles/python.rs"]
mod python;

/// Samples of each file in a usual test run.
const SAMPLES: usize = 60;

fn samples() -> usize {
    let Ok(text) = std::env::var("BURN_PTQ_TFLITE_SAMPLES") else { return SAMPLES };
    text.parse().expect("BURN_PTQ_TFLITE_SAMPLES is a number")
}

/// The files of a folder, by name.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).expect("the folder can be read").flatten();
    let paths = entries.map(|entry| entry.path());
    let mut paths: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|end| end == "tflite")).collect();
    paths.sort();
    let name = |path: &PathBuf| path.file_stem().expect("a name").display().to_string();
    paths.iter().map(|path| (name(path), fs::read(path).expect("a file"))).collect()
}

fn committed() -> Vec<(String, Vec<u8>)> {
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("imports/files"))
}

/// Bytes of an element of the program's type as the file has them at its ends.
fn outside(tensor: &IntTensor, element: Element, bytes: &[u8]) -> Vec<u8> {
    let grid = tensor.grid;
    match element {
        Element::Float32 => {
            let real = |q: i32| (grid.scale * (q - grid.zero_point) as f32).to_le_bytes();
            tensor_integers(tensor, bytes).flat_map(real).collect()
        }
        Element::UInt8 => bytes.iter().map(|byte| byte ^ 0x80).collect(),
        Element::Int32 => tensor_integers(tensor, bytes).flat_map(i32::to_le_bytes).collect(),
        Element::Int64 => {
            tensor_integers(tensor, bytes).flat_map(|q| i64::from(q).to_le_bytes()).collect()
        }
        _ => bytes.to_vec(),
    }
}

/// What a file's interpreter is asked, and what the program says.
struct Question {
    request: Value,
    expected: Vec<Vec<u8>>,
}

/// Random samples of a file, some of them within a narrow range.
fn question(file: &[u8], program: &Program, count: usize) -> Question {
    let placed = program.clone().place(Kernels::Portable, Memory::Whole).expect("a valid program");
    let mut interpreter = Interpreter::new(&placed, Kind::Fast);
    let parsed = TfliteFile::new(file).expect("a file");
    let graph = parsed.graph(0).expect("a graph");
    let element = |at: usize| graph.tensors[at].element.expect("a known type");
    let mut random = Draw::new(count as u64);
    let (mut samples, mut expected) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let spread = random.within(1, 8);
        let mut draw = |tensor: &IntTensor| -> Vec<u8> {
            let bytes = tensor.dtype.bytes();
            let half = if tensor.dtype == DType::I16 { 1 << 15 } else { 1 << 7 };
            // Noise around a level of its own, so that averages over a sample differ.
            let level = random.within(-half, half - 1) / 2;
            let value = |random: &mut Draw| level + random.within(-half, half - 1) / spread;
            let values = (0..tensor.len()).map(|_| value(&mut random).clamp(-half, half - 1));
            values.flat_map(|value| value.to_le_bytes().into_iter().take(bytes)).collect()
        };
        let inputs: Vec<Vec<u8>> = placed.input_tensors().map(&mut draw).collect();
        let ends = placed.input_tensors().zip(&inputs).zip(&graph.inputs);
        let given = ends.map(|((tensor, bytes), &at)| digits(&outside(tensor, element(at), bytes)));
        samples.push(given.collect::<Vec<_>>());
        let mut rest = interpreter.run(&inputs.concat()).expect("inputs of the right size");
        let mut outputs = Vec::new();
        for (tensor, &at) in placed.output_tensors().zip(&graph.outputs) {
            let (own, others) = rest.split_at(tensor.bytes());
            outputs.extend(outside(tensor, element(at), own));
            rest = others;
        }
        expected.push(outputs);
    }
    Question { request: json!({ "model": digits(file), "samples": samples }), expected }
}

/// Counts bytes and differing bytes of the samples of a file; `None` without the interpreter.
fn compare(name: &str, file: &[u8], count: usize) -> Option<[usize; 2]> {
    let program = from_bytes(file).unwrap_or_else(|error| panic!("{name}: {error}"));
    let question = question(file, &program, count);
    if let Err(how_to_install) = oracle() {
        eprintln!("SKIPPED {name} on TensorFlow Lite Micro: {how_to_install}");
        return None;
    }
    let answers = answers("tflm.py", &[&question.request]).expect("the script runs");
    let answer = &answers[0];
    assert!(
        answer.get("error").is_none(),
        "{name}: TensorFlow Lite Micro refuses: {}",
        answer["error"]
    );
    let samples: Vec<Vec<String>> =
        serde_json::from_value(answer["outputs"].clone()).expect("outputs of each sample");
    let (mut bytes, mut differing) = (0, 0);
    for (found, expected) in samples.iter().zip(&question.expected) {
        let (found, expected) = (found.concat(), digits(expected));
        assert_eq!(found.len(), expected.len(), "{name}");
        bytes += expected.len() / 2;
        let pairs = found.as_bytes().chunks(2).zip(expected.as_bytes().chunks(2));
        differing += pairs.filter(|(a, b)| a != b).count();
    }
    assert_eq!(samples.len(), count);
    let different: std::collections::BTreeSet<&Vec<u8>> = question.expected.iter().collect();
    assert!(different.len() * 4 > count.min(100), "{name}: {} different outputs", different.len());
    println!("{name}: {count} samples, {differing} of {bytes} bytes differ");
    Some([bytes, differing])
}

#[test]
fn programs_of_converted_files_give_the_bytes_of_tensorflow_lite_micro() {
    let mut compared = 0;
    for (name, file) in committed().iter().filter(|(name, _)| name != "float") {
        let Some([_, differing]) = compare(name, file, samples()) else { return };
        assert_eq!(differing, 0, "{name}");
        compared += 1;
    }
    assert!(compared > 9, "{compared} files");
}

#[test]
fn files_of_a_folder_that_is_named_give_the_same_bytes() {
    let Some(folder) = std::env::var_os("BURN_PTQ_TFLITE_FILES") else {
        eprintln!("SKIPPED files of a folder: BURN_PTQ_TFLITE_FILES names none");
        return;
    };
    for (name, file) in files(Path::new(&folder)) {
        if let Some([_, differing]) = compare(&name, &file, samples()) {
            assert_eq!(differing, 0, "{name}");
        }
    }
}

#[test]
fn float_models_are_told_apart() {
    for (name, file) in committed() {
        assert_eq!(is_float(&file).expect("a file"), name == "float", "{name}");
    }
    let (_, file) =
        committed().into_iter().find(|(name, _)| name == "float").expect("a float file");
    let error = from_bytes(&file).expect_err("floats");
    assert!(error.is_float() && error.to_string().contains("operator 0, CONV_2D"), "{error}");
}

#[test]
fn what_was_imported_is_exported_again_with_the_same_outputs() {
    let mut written = 0;
    for (name, file) in committed().iter().filter(|(name, _)| name != "float") {
        let program = from_bytes(file).unwrap_or_else(|error| panic!("{name}: {error}"));
        // Tables of 16 bits and states are not written.
        let Ok(again) = tflite_model(&program, Default::default()) else { continue };
        let second = from_bytes(&again).unwrap_or_else(|error| panic!("{name} again: {error}"));
        let outputs = |program: &Program| {
            let placed = program.clone().place(Kernels::Portable, Memory::Whole);
            let placed = placed.expect("a valid program");
            let mut random = Draw::new(3);
            let input: Vec<u8> =
                (0..placed.input_bytes()).map(|_| random.below(256) as u8).collect();
            Interpreter::new(&placed, Kind::Fast).run(&input).expect("the right size").to_vec()
        };
        assert_eq!(outputs(&program), outputs(&second), "{name}");
        written += 1;
    }
    assert!(written > 7, "{written} files");
}

#[test]
fn names_and_shapes_of_ends_are_those_of_the_source() {
    let (_, file) = committed().into_iter().find(|(name, _)| name == "float_ends").expect("a file");
    let program = from_bytes(&file).expect("a program");
    let [input] = &program.inputs[..] else { panic!("{} inputs", program.inputs.len()) };
    assert_eq!(input.border.source_shape, [49, 10, 1]);
    assert_eq!(input.preprocessing.channel_axis, 2);
    assert_eq!(program.outputs[0].border.source_shape, [12]);
    assert!(!input.name.is_empty() && input.name != program.outputs[0].name);
}

#[test]
fn what_is_no_model_is_named() {
    let unmarked = from_bytes(b"BPTQ and more bytes").expect_err("no file");
    assert!(matches!(&unmarked, TfliteImportError::NotTflite { .. }), "{unmarked}");
    let (_, file) = committed().into_iter().find(|(name, _)| name == "dscnn").expect("a file");
    let cut = from_bytes(&file[..file.len() / 2]).expect_err("half a file");
    assert!(matches!(&cut, TfliteImportError::Damaged(_)), "{cut}");
}
