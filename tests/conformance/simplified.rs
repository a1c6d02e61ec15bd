//! Simplified programs against those that they come from: the same bytes on every executor.

use std::collections::BTreeMap;

use burn_ptq_deploy::place::Memory;
use burn_ptq_deploy::program::IntTensor;
use burn_ptq_deploy::run::{Interpreter, Path};
use burn_ptq_deploy::simplify::Simplification;
use burn_ptq_deploy::target::Kernels;

use crate::executors::{self, Executor};
use crate::problems::draw::Draw;
use crate::problems::{self, Problem};
use crate::{compare, is_chosen};

/// A program and what is left of it.
struct Simplified {
    whole: Problem,
    simple: Problem,
    saved: Simplification,
}

fn simplified(whole: Problem) -> Simplified {
    let (program, saved) = whole.program.program().simplified().expect("a valid program");
    let program = program.place(Kernels::Portable, Memory::Whole).expect("a valid program");
    let Problem { name, input, recordings, .. } = &whole;
    let (name, input, recordings) = (name.clone(), input.clone(), *recordings);
    let simple = Problem { name, program, input, recordings };
    Simplified { whole, simple, saved }
}

/// Every operation alone, chains, programs of several ends, and with constant and dead channels.
fn all() -> Vec<Simplified> {
    let problems = problems::all().into_iter().chain(problems::chains());
    let problems = problems.chain(problems::of_several_ends());
    problems.chain(problems::with_constants()).map(simplified).collect()
}

/// The least and the largest bytes, the zero point, and any bytes at all: also those that lie outside
/// of the inputs' grids.
fn inputs(problem: &Problem, seed: u64) -> Vec<Vec<u8>> {
    let len = problem.input.len();
    let half = |tensor: &IntTensor| 1 << (8 * tensor.dtype.bytes() - 1);
    let values: [&dyn Fn(&IntTensor) -> i32; 3] =
        [&|tensor| -half(tensor), &|tensor| half(tensor) - 1, &|tensor| tensor.grid.zero_point];
    let filled = |value: &dyn Fn(&IntTensor) -> i32| {
        let of_input = |tensor: &IntTensor| {
            let element = value(tensor).to_le_bytes();
            element[..tensor.dtype.bytes()].repeat(tensor.bytes() / tensor.dtype.bytes())
        };
        problem.program.input_tensors().flat_map(of_input).collect::<Vec<u8>>()
    };
    let mut inputs: Vec<Vec<u8>> = values.into_iter().map(filled).collect();
    inputs.push(problem.input.clone());
    let mut draw = Draw::new(seed);
    inputs.extend((0..4).map(|_| (0..len).map(|_| draw.below(256) as u8).collect()));
    inputs
}

#[test]
fn simplified_programs_give_the_same_bytes_for_every_input() {
    for (seed, Simplified { whole, simple, .. }) in all().into_iter().enumerate() {
        let mut expected = Interpreter::new(&whole.program, Path::Reference);
        let paths = [Path::Reference, Path::Fast];
        let mut found = paths.map(|path| Interpreter::new(&simple.program, path));
        for input in inputs(&whole, seed as u64) {
            let expected = expected.run(&input).expect("an input that fits");
            for found in &mut found {
                let found = found.run(&input).expect("the same input");
                assert_eq!(found, expected, "{} on {input:?}", whole.name);
            }
        }
    }
}

#[test]
fn every_executor_of_a_simplified_program_agrees_with_the_whole_one() {
    let simplified: Vec<Simplified> =
        problems::with_constants().into_iter().step_by(2).map(simplified).collect();
    let wholes: Vec<&Problem> = simplified.iter().map(|s| &s.whole).collect();
    let expected = executors::reference().run(&wholes).expect("the reference runs");
    let problems: Vec<Problem> = simplified.into_iter().map(|s| s.simple).collect();
    let (mut report, mut failures) = (String::new(), Vec::new());
    let executors = executors::running_programs().into_iter().filter(|e| is_chosen(e.name()));
    for mut executor in executors {
        if let Err(how_to_install) = executor.available() {
            eprintln!("SKIPPED {} of simplified programs: {how_to_install}", executor.name());
            continue;
        }
        compare(executor.as_mut(), &problems, &expected, &mut report, &mut failures);
    }
    println!("{report}");
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn constant_channels_go_from_every_operation_that_works_by_channel() {
    let mut fewer: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut dropped, mut unbounded, mut weights, mut kept) = (0, 0, 0, 0);
    for Simplified { whole, simple, saved } in
        problems::with_constants().into_iter().map(simplified)
    {
        let nodes = &whole.program.nodes;
        for less in &saved.nodes {
            let node = nodes.iter().find(|node| node.name == less.node).expect("its node");
            *fewer.entry(node.op.name()).or_default() += 1;
        }
        dropped += saved.dropped.len();
        unbounded += saved.unbounded.len();
        weights += saved.weights;
        kept += simple.program.weights();
        // What is simple stays as it is.
        let (again, more) = simple.program.program().simplified().expect("a valid program");
        assert_eq!(&again, simple.program.program(), "{}: {more:?}", whole.name);
    }
    println!("{weights} weights, {kept} kept; {dropped} dropped, {unbounded} unbounded; {fewer:?}");
    for op in BY_CHANNEL {
        assert!(fewer.contains_key(op), "{op} never has fewer channels");
    }
    assert!(dropped > 4 && unbounded > 4 && 4 * kept < 3 * weights);
}

/// Operations of which channels go with those that they read.
const BY_CHANNEL: [&str; 18] = [
    "Conv2d",
    "TransposeConv2d",
    "DepthwiseConv2d",
    "Add",
    "Mul",
    "Sub",
    "AveragePool",
    "MaxPool",
    "Table8",
    "Table16",
    "Requantize",
    "Concat",
    "Pad",
    "Transpose",
    "Rearrange",
    "ResizeLinear",
    "Reduce",
    "Constant",
];
