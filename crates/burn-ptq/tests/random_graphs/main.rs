//! Random networks of supported operators, with every ending, under random recipes of every
//! component: they import, equal ONNX Runtime, quantize, agree with their simulation within a step a
//! layer, and exported C gives the interpreter's bytes.
//!
//! `cargo xtask random-graphs` runs more of them, by these variables.

#[path = "../onnx_bad_input/build.rs"]
#[allow(dead_code)]
mod build;
mod generate;
mod host_c;
mod recipes;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use burn_ptq::graph::{Batch, FloatModel, Op, dims3};
use burn_ptq::import::onnx;
use burn_ptq::network::compare_layers;
use burn_ptq::{Quantizer, Recipe};
use burn_ptq_deploy::place::Placed;
use burn_ptq_deploy::run::{Path as KernelPath, quantize_inputs, run_batch};
use rayon::prelude::*;

use crate::generate::{Case, case};
use crate::recipes::recipe;

/// How many networks there are; 60 if it is not set.
const COUNT: &str = "BURN_PTQ_RANDOM_GRAPHS";
/// The seed; 1 if it is not set.
const SEED: &str = "BURN_PTQ_RANDOM_GRAPHS_SEED";
/// The number of the first network, to run a single one again.
const FIRST: &str = "BURN_PTQ_RANDOM_GRAPHS_FIRST";

/// The largest error of a float output, relative to the network's largest magnitude.
const TOLERANCE: f32 = 1e-4;

fn variable(name: &str, default: u64) -> u64 {
    let Ok(text) = std::env::var(name) else { return default };
    text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, which is not a number"))
}

/// A program that is compared with its export.
struct Program {
    number: u64,
    model: Placed,
    inputs: Vec<u8>,
    outputs: Vec<u8>,
}

/// What came of a network.
enum Outcome {
    Right(Box<Program>),
    /// What was refused in words about the model, the data or the recipe.
    Refused(String),
    Wrong(String),
}

#[test]
fn random_graphs_agree_with_onnx_runtime_their_simulation_and_exported_c() {
    const TEST: &str = "random_graphs_agree_with_onnx_runtime_their_simulation_and_exported_c";
    let (count, seed, first) = (variable(COUNT, 60), variable(SEED, 1), variable(FIRST, 0));
    let cases: Vec<Case> = (first..first + count).map(|number| case(seed, number)).collect();
    let expected = judged(TEST, &cases);
    let outcomes: Vec<Outcome> = (cases.par_iter().zip(&expected).enumerate())
        .map(|(at, (case, expected))| {
            let number = first + at as u64;
            let text = recipe(seed, number, case.has_batch_norm);
            let run = || one(number, case, expected.as_ref(), &text);
            std::panic::catch_unwind(run).unwrap_or_else(|panic| {
                let message = panic.downcast_ref::<String>().cloned();
                let message = message.or(panic.downcast_ref::<&str>().map(|&s| s.into()));
                Outcome::Wrong(format!("panic: {}", message.unwrap_or_default()))
            })
        })
        .collect();
    let mut wrong: Vec<(u64, String)> = Vec::new();
    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    let mut programs = Vec::new();
    for (at, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Outcome::Right(program) => programs.push(*program),
            Outcome::Refused(why) => *refused.entry(why).or_default() += 1,
            Outcome::Wrong(what) => wrong.push((first + at as u64, what)),
        }
    }
    let mut bytes = 0;
    if host_c::available() {
        let found = {
            let runs: Vec<_> = (programs.iter())
                .map(|p| host_c::Run { model: &p.model, inputs: &p.inputs })
                .collect();
            host_c::outputs(&runs).expect("exported C compiles and runs")
        };
        for (program, found) in programs.iter().zip(&found) {
            bytes += found.len();
            let differing = found.iter().zip(&program.outputs).filter(|(a, b)| a != b).count();
            if differing > 0 {
                wrong.push((program.number, format!("{differing} bytes of exported C differ")));
            }
        }
    } else {
        eprintln!("SKIPPED {TEST}, the exported C: apt-get install gcc");
    }
    println!(
        "seed {seed}: {count} networks, {} right, {} refused, {} wrong; {bytes} bytes of exported C",
        programs.len(),
        refused.values().sum::<usize>(),
        wrong.len()
    );
    for (why, count) in &refused {
        println!("refused {count} times: {why}");
    }
    for (number, what) in &wrong {
        let case = &cases[(number - first) as usize];
        let recipe = recipe(seed, *number, case.has_batch_norm);
        println!(
            "{FIRST}={number} {COUNT}=1 {SEED}={seed}: {what}\n  samples {} of {:?}, {}\n  {}",
            case.count,
            case.shape,
            case.operators.join(" "),
            recipe.replace('\n', "\n  ")
        );
    }
    assert!(wrong.is_empty(), "{} of {count} networks are wrong", wrong.len());
    assert!(refused.is_empty(), "valid networks are refused under valid recipes");
}

/// What ONNX Runtime computes; `None` where it refuses the file or is not there.
fn judged(test: &str, cases: &[Case]) -> Vec<Option<Vec<f32>>> {
    let python = std::env::var_os("BURN_PTQ_PYTHON").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python"),
        PathBuf::from,
    );
    if !python.exists() {
        eprintln!("SKIPPED {test}, the float outputs: no Python at {}", python.display());
        return vec![None; cases.len()];
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |at: usize, kind: &str| folder.path().join(format!("{at:06}.{kind}"));
    let float_bytes =
        |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|x| x.to_le_bytes()).collect() };
    for (at, case) in cases.iter().enumerate() {
        let shape: Vec<String> = case.shape.iter().map(usize::to_string).collect();
        std::fs::write(path(at, "onnx"), &case.onnx).unwrap();
        std::fs::write(path(at, "shape"), shape.join(" ")).unwrap();
        std::fs::write(path(at, "x"), float_bytes(&case.samples)).unwrap();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/random_graphs/judge.py");
    let run = Command::new(python).arg(script).arg(folder.path()).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let read = |at: usize| {
        if let Ok(why) = std::fs::read_to_string(path(at, "refused")) {
            panic!("ONNX Runtime refuses network {at}: {why}");
        }
        let bytes = std::fs::read(path(at, "y")).unwrap();
        let word = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        Some(bytes.chunks(4).map(word).collect())
    };
    (0..cases.len()).map(read).collect()
}

/// Imports, compares, quantizes and runs one network.
fn one(number: u64, case: &Case, expected: Option<&Vec<f32>>, recipe: &str) -> Outcome {
    let graph = match onnx::parse(&case.onnx, "random") {
        Ok(graph) => graph,
        Err(error) => return Outcome::Wrong(format!("import: {error}")),
    };
    let device = Device::flex();
    let [a, b, c] = dims3(&case.shape);
    let input = TensorData::new(case.samples.clone(), [case.count, a, b, c]);
    let input = Tensor::<4>::from_data(input, &device);
    // Differences of large values are as exact as these.
    let mut magnitude = f32::MIN_POSITIVE;
    let model = FloatModel::new(Arc::new(graph.clone()), &device);
    let mut outputs = model.forward_with(vec![input], |_, value| {
        magnitude = magnitude.max(value.clone().abs().max().into_scalar::<f32>());
        value
    });
    let output: Vec<f32> = outputs.remove(0).into_data().try_to_vec().unwrap();
    if let Some(expected) = expected {
        let error = output.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        // Not a number is never close.
        let close = |(a, b): (&f32, &f32)| (a - b).abs() <= TOLERANCE * magnitude;
        if output.len() != expected.len() || !output.iter().zip(expected).all(close) {
            return Outcome::Wrong(format!("float: off by {error} of {magnitude}"));
        }
    }
    let recipe = match Recipe::parse(recipe, "random") {
        Ok(recipe) => recipe,
        Err(error) => return Outcome::Wrong(format!("the recipe is refused: {error}")),
    };
    let samples = Batch { values: case.samples.clone(), count: case.count };
    let batches = samples.chunks(8).map(Ok::<_, std::convert::Infallible>);
    let quantized = match Quantizer::new(recipe).quantize_samples(graph, batches, None, &|_| true) {
        Ok(quantized) => quantized,
        Err(error) if error.to_string().contains("bug") => {
            return Outcome::Wrong(error.to_string());
        }
        Err(error) => return Outcome::Refused(format!("{error}")),
    };
    let agreements = match compare_layers(&quantized, &device, &samples) {
        Ok(agreements) => agreements,
        Err(error) => return Outcome::Wrong(format!("interpreter: {error}")),
    };
    for (node, agreement) in quantized.graph.graph.nodes.iter().zip(agreements) {
        // A normalization of nearly equal elements magnifies the rounding of the 32-bit floats that
        // simulate it: at 16 bits by as much as a step.
        let is_wide = quantized.graph.activations[node.output.0].bits == 16;
        let allowed = if is_wide && matches!(node.op, Op::Normalize(_)) { 2 } else { 1 };
        if let Some(agreement) = agreement.filter(|a| a.max_lsb > allowed) {
            return Outcome::Wrong(format!(
                "'{}' ({}) differs from its simulation by {} steps",
                node.name,
                node.op.operator().name(),
                agreement.max_lsb
            ));
        }
    }
    let model = quantized.program;
    let inputs = quantize_inputs(&model, &case.samples);
    match run_batch(&model, KernelPath::Fast, &inputs) {
        Ok(outputs) => Outcome::Right(Box::new(Program { number, model, inputs, outputs })),
        Err(error) => Outcome::Wrong(format!("interpreter: {error}")),
    }
}
