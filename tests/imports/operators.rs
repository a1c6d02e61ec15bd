//! Random files of one operator each, which `tests/oracles/tflite_operators.py` makes and runs.
//!
//! `BURN_PTQ_TFLITE_OPERATORS` sets how many files of each operator there are.

use std::collections::BTreeMap;

use burn_ptq_deploy::import::tflite::from_bytes;
use burn_ptq_deploy::place::Memory;
use burn_ptq_deploy::run::{Interpreter, Path as Kind};
use burn_ptq_deploy::target::Kernels;
use burn_ptq_deploy::tflite::Element;
use burn_ptq_deploy::tflite::file::TfliteFile;
use serde_json::{Value, json};

use crate::outside;
use crate::python::{ask, digits, oracle};

/// Files of each operator in a usual test run.
const FILES: usize = 40;

/// Reasons for which files are refused though the interpreter takes them.
const REFUSED: &[&str] = &[
    "repeat in at most three ways",
    "rescaling fits 32 bits",
    "fit 32 bits rescaled",
    // Interpreters sum in 32 bits then, or read something else.
    "biases of int64",
];

/// What became of the files of an operator.
#[derive(Default)]
struct Tally {
    compared: usize,
    bytes: usize,
    differing: usize,
    refused_by_both: usize,
    refused: usize,
    only_here: usize,
}

fn bytes(digits: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("digits");
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn list(value: &Value) -> Vec<Vec<u8>> {
    let texts: Vec<String> = serde_json::from_value(value.clone()).expect("texts");
    texts.iter().map(|text| bytes(text)).collect()
}

/// The bytes that the program of a file gives, as the file has them.
fn outputs(file: &[u8], inputs: &[Vec<u8>]) -> Result<Vec<u8>, String> {
    let program = from_bytes(file).map_err(|error| error.to_string())?;
    let placed = program.place(Kernels::Portable, Memory::Whole).map_err(|e| e.to_string())?;
    let graph = TfliteFile::new(file).expect("a file").graph(0).expect("a graph");
    let mut interpreter = Interpreter::new(&placed, Kind::Reference);
    let mut rest = interpreter.run(&inputs.concat()).map_err(|error| error.to_string())?;
    let mut all = Vec::new();
    for (tensor, &at) in placed.output_tensors().zip(&graph.outputs) {
        let (own, others) = rest.split_at(tensor.bytes());
        all.extend(outside(tensor, graph.tensors[at].element.unwrap_or(Element::Int8), own));
        rest = others;
    }
    Ok(all)
}

#[test]
fn random_operators_give_the_bytes_of_tensorflow_lite_micro() {
    if let Err(how_to_install) = oracle() {
        eprintln!("SKIPPED random operators of TensorFlow Lite: {how_to_install}");
        return;
    }
    let count = std::env::var("BURN_PTQ_TFLITE_OPERATORS")
        .map_or(FILES, |text| text.parse().expect("BURN_PTQ_TFLITE_OPERATORS is a number"));
    let request = json!({ "seed": 1, "count": count });
    let answers = ask("tflite_operators.py", &request).expect("the script runs");
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    let mut failures = Vec::new();
    for (index, answer) in answers.iter().enumerate() {
        let name = answer["operator"].as_str().expect("a name");
        let tally = tallies.entry(name.to_owned()).or_default();
        let file = bytes(answer["model"].as_str().expect("digits"));
        let found = outputs(&file, &list(&answer["inputs"]));
        let place = format!("{name} {}", index % count);
        match (found, answer.get("outputs").map(list)) {
            (Ok(found), Some(expected)) => {
                let expected = expected.concat();
                tally.compared += 1;
                tally.bytes += expected.len();
                let differ = found.iter().zip(&expected).filter(|(a, b)| a != b).count();
                let differ = differ + found.len().abs_diff(expected.len());
                tally.differing += differ;
                if differ > 0 {
                    let pair = (digits(&found), digits(&expected));
                    failures.push(format!(
                        "{place}: {differ} of {} bytes, {pair:.160?}",
                        expected.len()
                    ));
                }
            }
            (Err(_), None) => tally.refused_by_both += 1,
            (Ok(_), None) => tally.only_here += 1,
            (Err(reason), Some(_)) => {
                tally.refused += 1;
                if !REFUSED.iter().any(|known| reason.contains(known)) {
                    failures.push(format!("{place}: {reason}"));
                }
            }
        }
    }
    for (name, tally) in &tallies {
        let Tally { compared, bytes, differing, refused_by_both, refused, only_here } = tally;
        println!(
            "{name:<24} {compared:>6} files, {differing:>4} of {bytes:>8} bytes differ; refused {refused:>4} here, \
             {only_here:>4} there, {refused_by_both:>4} by both"
        );
        assert!(compared * 3 > count, "{name}: {compared} of {count} compared");
    }
    let shown: Vec<&String> = failures.iter().take(60).collect();
    assert!(failures.is_empty(), "{} failures: {shown:#?}", failures.len());
}
