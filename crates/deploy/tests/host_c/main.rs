//! The exported C gives the interpreter's bytes: single operations with random parameters, all
//! compilers, sanitizers too; 0 differing outputs.

#[path = "../conformance/executors/host_c.rs"]
mod host_c;
#[path = "../tflm/problems.rs"]
#[allow(dead_code, reason = "shared with the TensorFlow Lite Micro tests")]
mod problems;
#[path = "../programs/mod.rs"]
#[allow(dead_code, reason = "shared with the verifier's tests")]
mod programs;

use burn_ptq_deploy::interpreter::{Path, run_batch};
use burn_ptq_deploy::model::{DType, IntModel, IntOp, IntTensor};
use burn_ptq_deploy::plan::plan;
use burn_ptq_kernels::grid::Grid;
use burn_ptq_kernels::params::Clamp;
use burn_ptq_kernels::reference::log_softmax_exponentials;
use host_c::{BUILDS, Bundle, HostC, Job};
use problems::{Problem, Random};

type Generate = fn(&mut Random, DType) -> Problem;

const BOTH: &[DType] = &[DType::I8, DType::I16];
const NARROW: &[DType] = &[DType::I8];

/// Every operation.
const OPERATIONS: &[(&str, Generate, &[DType])] = &[
    ("Conv2d", problems::conv, BOTH),
    ("DepthwiseConv2d", problems::depthwise, BOTH),
    ("FullyConnected", problems::fully_connected, BOTH),
    ("Add", problems::add, BOTH),
    ("Mul", problems::mul, BOTH),
    ("AveragePool", problems::average_pool, BOTH),
    ("MaxPool", problems::max_pool, BOTH),
    ("Table8", table8, NARROW),
    ("Table16", table16, &[DType::I16]),
    ("Softmax", problems::softmax, NARROW),
    ("LogSoftmax", log_softmax, NARROW),
    ("Requantize", problems::requantize, BOTH),
    ("Requantize", requantize_across, BOTH),
    ("Concat", problems::concat, BOTH),
    ("Pad", problems::pad, BOTH),
    ("Transpose", problems::transpose, BOTH),
];

const PROBLEMS: usize = 16;

fn problem(random: &mut Random, op: IntOp, input: IntTensor, output: IntTensor) -> Problem {
    let mut model = programs::program(op, &[input], output);
    // In place where the operation allows it.
    plan(&mut model);
    let bytes = model.tensors[0].bytes();
    let samples = (0..4).map(|_| (0..bytes).map(|_| random.size(0, 255) as u8).collect()).collect();
    Problem { model, samples }
}

fn table8(random: &mut Random, _: DType) -> Problem {
    let table = (0..256).map(|_| random.size(0, 255) as u8 as i8).collect();
    let shape = [random.size(1, 5), random.size(1, 5), random.size(1, 9)];
    let (input, output) = (programs::tensor("x", shape), programs::tensor("y", shape));
    problem(random, IntOp::Table8 { table }, input, output)
}

fn table16(random: &mut Random, _: DType) -> Problem {
    let table = (0..513).map(|_| random.size(0, 65535) as u16 as i16).collect();
    let shape = [random.size(1, 5), random.size(1, 5), random.size(1, 9)];
    let (input, output) = (programs::tensor16("x", shape), programs::tensor16("y", shape));
    problem(random, IntOp::Table16 { table }, input, output)
}

fn log_softmax(random: &mut Random, _: DType) -> Problem {
    let (rows, depth) = (random.size(1, 4), random.size(1, 40));
    let scale = random.size(1, 100) as f32 / 200.0;
    let grid = |scale, zero_point| Grid { scale, zero_point, min: -128, max: 127 };
    let mut input = programs::tensor("x", [1, rows, depth]);
    input.grid = grid(scale, 9);
    let mut output = programs::tensor("y", [1, rows, depth]);
    output.grid = grid(16.0 / 256.0, 127);
    let op = IntOp::LogSoftmax {
        rows,
        depth,
        exponentials: log_softmax_exponentials(scale).to_vec(),
        input_multiplier: programs::scale(f64::from(scale) * 16.0),
    };
    problem(random, op, input, output)
}

/// From the other width to `dtype`.
fn requantize_across(random: &mut Random, dtype: DType) -> Problem {
    let shape = [random.size(1, 5), random.size(1, 5), random.size(1, 9)];
    let (narrow, wide) = (programs::tensor("n", shape), programs::tensor16("w", shape));
    let (input, output, clamp, factor) = match dtype {
        DType::I8 => (wide, narrow, Clamp { min: -120, max: 101 }, 0.004),
        DType::I16 => (narrow, wide, Clamp { min: -30000, max: 32767 }, 250.0),
    };
    let multiplier = programs::scale(factor * random.size(50, 200) as f64 / 100.0);
    problem(random, IntOp::Requantize { multiplier, clamp }, input, output)
}

fn jobs(problems: &[Problem]) -> Vec<Job<'_>> {
    problems.iter().map(|p| Job { model: &p.model, inputs: &p.samples }).collect()
}

/// Differing outputs and all outputs of each problem.
fn compare(problems: &[Problem], bundle: &Bundle, build: &HostC) -> Vec<(usize, usize)> {
    let found = bundle.run(build);
    let pairs = problems.iter().zip(found);
    pairs
        .map(|(problem, found)| {
            let expected = run_batch(&problem.model, Path::Reference, &problem.samples.concat())
                .expect("a valid program");
            let found = found.concat();
            assert_eq!(expected.len(), found.len());
            let differing = expected.iter().zip(&found).filter(|(e, f)| e != f).count();
            (differing, expected.len())
        })
        .collect()
}

#[test]
fn exported_operations_equal_the_reference_kernels() {
    let mut random = Random::new(77);
    let mut problems = Vec::new();
    let mut names = Vec::new();
    for &(name, generate, dtypes) in OPERATIONS {
        for &dtype in dtypes {
            for _ in 0..PROBLEMS {
                problems.push(generate(&mut random, dtype));
                names.push(format!("{name} {dtype:?}"));
            }
        }
    }
    let jobs = jobs(&problems);
    let bundle = Bundle::new(&jobs);
    for build in BUILDS {
        if !build.is_available() {
            eprintln!("SKIPPED {}: not installed (Debian: apt install gcc clang)", build.name);
            continue;
        }
        let counts = compare(&problems, &bundle, build);
        let total: usize = counts.iter().map(|(_, outputs)| outputs).sum();
        println!("{}: {} problems, {total} output bytes", build.name, problems.len());
        let wrong: Vec<_> =
            names.iter().zip(&counts).filter(|(_, (differing, _))| *differing > 0).collect();
        assert!(wrong.is_empty(), "{}: differing and all bytes of {wrong:?}", build.name);
        assert!(total > 100_000, "{total} bytes are few");
    }
}

#[test]
fn exported_programs_of_every_operation_equal_the_reference_kernels() {
    let mut random = Random::new(3);
    let with_samples = |model: IntModel| {
        let bytes = model.tensors[model.input.0].bytes();
        let mut sample = || (0..bytes).map(|_| random.size(0, 255) as u8).collect();
        let samples = vec![sample(), sample(), sample()];
        Problem { model, samples }
    };
    let problems: Vec<Problem> = programs::valid_programs().into_iter().map(with_samples).collect();
    let jobs = jobs(&problems);
    let bundle = Bundle::new(&jobs);
    for build in BUILDS.iter().filter(|build| build.is_available()) {
        let counts = compare(&problems, &bundle, build);
        assert!(counts.iter().all(|(differing, _)| *differing == 0), "{}: {counts:?}", build.name);
    }
}

#[test]
fn every_operation_has_problems() {
    for model in programs::valid_programs() {
        for node in &model.nodes {
            let known = OPERATIONS.iter().any(|(name, _, _)| *name == node.op.name());
            assert!(known, "{} has no random problems", node.op.name());
        }
    }
}
