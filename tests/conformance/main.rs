//! The conformance suite: random problems for every integer operation, run by every executor and
//! compared with the reference path of the interpreter, byte by byte.
//!
//! The test prints a table of what was compared, and the skips by their reason.
//!
//! While one works on an operation, `BURN_PTQ_OPERATIONS` and `BURN_PTQ_EXECUTORS` leave out all
//! others, and `BURN_PTQ_PROBLEMS` sets the number of problems of each operation. Without it, executors
//! that run the same code share the problems among them.
//!
//!     BURN_PTQ_OPERATIONS=Concat,Pad BURN_PTQ_PROBLEMS=1000 BURN_PTQ_EXECUTORS='fast;C, gcc;Rust' \
//!         cargo test -p burn-ptq-tests --test conformance every_executor -- --nocapture

#![allow(clippy::print_stdout, reason = "tests say what they skip or measure")]

mod executors;
mod imported;
mod loops;
mod lstm;
mod problems;
#[path = "../oracles/python.rs"]
mod python;
mod random;
mod real;
mod recurrent;
mod self_tests;
mod simplified;
mod states;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use burn_ptq_deploy::cost::costs;
use burn_ptq_deploy::export::{self, SelfTest};
use burn_ptq_deploy::place::kernels::chosen;
use burn_ptq_deploy::place::rows::replaceable_inputs;
use burn_ptq_deploy::place::tiles::{channels, shifts_to_the_left};
use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::program::{DType, IntOp};
use burn_ptq_deploy::run::{Interpreter, Path, tensor_integers};
use burn_ptq_deploy::size::size_report;
use burn_ptq_deploy::target::Kernels;
use burn_ptq_mcu::{Toolchain, available};
use executors::{Agreement, Executor};
use problems::Problem;

/// An executor that supports an operation at all must support at least this many of its problems.
const MIN_COMPARED: usize = 24;

/// What happened to the problems of one operation on one executor.
#[derive(Default)]
struct Tally {
    problems: usize,
    outputs: usize,
    differing: usize,
    /// The largest difference in integer steps.
    most: u32,
    skipped: usize,
    /// Problems that others run by the same code.
    left: usize,
}

#[test]
fn every_executor_agrees_with_the_reference() {
    let problems = problems::all();
    let mut truth = executors::reference();
    let expected = truth.run(&problems.iter().collect::<Vec<_>>()).expect("the reference runs");
    let mut report = String::new();
    let mut failures = Vec::new();
    for mut executor in executors::registry().into_iter().filter(|e| is_chosen(e.name())) {
        if let Err(how_to_install) = executor.available() {
            eprintln!("SKIPPED {} in the conformance suite: {how_to_install}", executor.name());
            continue;
        }
        compare(executor.as_mut(), &problems, &expected, &mut report, &mut failures);
    }
    println!("{report}");
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// Layers that a recipe gives 16 bits are those of TensorFlow Lite's 16x8 kernels, where these exist.
#[test]
fn tensorflow_lite_micro_judges_layers_of_16_bits() {
    let mut registry = executors::registry().into_iter();
    let judge = registry.find(|executor| executor.name() == "TFLite Micro").expect("an executor");
    let mut judged: BTreeMap<&str, usize> = BTreeMap::new();
    for problem in problems::all() {
        let node = problem.program.nodes.last().expect("a node");
        let Some(read) = node.inputs.first() else { continue };
        if problem.program.tensors[read.0].dtype == DType::I16 && judge.supports(&problem).is_ok() {
            *judged.entry(problem.op_name()).or_default() += 1;
        }
    }
    println!("{judged:#?}");
    let layers = [
        "Add",
        "AveragePool",
        "BatchMatMul",
        "Concat",
        "Conv2d",
        "DepthwiseConv2d",
        "FullyConnected",
        "MaxPool",
        "Maximum",
        "Minimum",
        "Mul",
        "Pad",
        "Rearrange",
        "Reduce",
        "Requantize",
        "Sub",
        "Transpose",
        "TransposeConv2d",
    ];
    for layer in layers {
        let count = judged.get(layer).copied().unwrap_or(0);
        assert!(count >= 7, "{count} problems of {layer} with inputs of 16 bits");
    }
}

#[test]
fn instructions_of_every_problem_are_predicted_on_every_kind_of_kernels() {
    let others = problems::streamed().into_iter().map(|(problem, _)| problem);
    let problems: Vec<Problem> = problems::all()
        .into_iter()
        .step_by(2)
        .chain(problems::chains())
        .chain(problems::of_large_sums())
        .chain(others)
        .collect();
    let mut missing = BTreeSet::new();
    // Those of the same kernels have the same forms in their tables, as a test of the tables says.
    for name in ["cortex-m0", "cortex-m4", "cortex-m55"] {
        let target = export::target(name).expect("a target");
        for problem in &problems {
            let program = problem.program.place_again(target.kernels, Memory::Whole);
            let program = program.expect("a valid program");
            let costs = costs(&program, target).expect("a table");
            for (functions, instructions) in costs.functions.iter().zip(&costs.nodes) {
                if instructions.is_none() {
                    missing.insert(format!("{} on {name}", functions.join(" ")));
                }
            }
        }
    }
    assert!(missing.is_empty(), "not measured: {missing:#?}");
}

#[test]
fn row_by_row_every_executor_agrees_with_the_whole_program() {
    let (problems, whole): (Vec<_>, Vec<_>) = problems::streamed().into_iter().unzip();
    assert!(
        problems.iter().filter(|problem| problem.program.streams()[0].rows.len() > 2).count() > 32
    );
    let reaching = |problem: &Problem| reaches_into_an_input(&problem.program);
    assert!(problems.iter().filter(|problem| reaching(problem)).count() > 32);
    let mut truth = executors::reference();
    let expected = truth.run(&whole.iter().collect::<Vec<_>>()).expect("the reference runs");
    let mut report = String::new();
    let mut failures = Vec::new();
    for mut executor in executors::running_programs().into_iter().filter(|e| is_chosen(e.name())) {
        if let Err(how_to_install) = executor.available() {
            eprintln!("SKIPPED {} row by row: {how_to_install}", executor.name());
            continue;
        }
        compare(executor.as_mut(), &problems, &expected, &mut report, &mut failures);
    }
    println!("{report}");
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn numbers_at_their_edges_are_refused_in_words_or_agree_on_every_executor() {
    let (problems, refusals) = problems::at_their_edges();
    assert!(!refusals.is_empty(), "the verifier refuses nothing");
    for refusal in &refusals {
        let text = refusal.to_string();
        assert!(text.contains("expected") && text.contains("found"), "{text}");
    }
    let mut truth = executors::reference();
    let expected = truth.run(&problems.iter().collect::<Vec<_>>()).expect("the reference runs");
    let mut report = format!("{} problems were refused\n", refusals.len());
    let mut failures = Vec::new();
    for mut executor in executors::running_programs().into_iter().filter(|e| is_chosen(e.name())) {
        if let Err(how_to_install) = executor.available() {
            eprintln!("SKIPPED {} at the edges: {how_to_install}", executor.name());
            continue;
        }
        compare(executor.as_mut(), &problems, &expected, &mut report, &mut failures);
    }
    println!("{report}");
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn tensorflow_lite_micro_gives_the_bytes_of_whole_programs() {
    let edges = problems::at_their_edges().0;
    let problems = problems::chains().into_iter().chain(problems::with_constants()).chain(edges);
    let problems: Vec<Problem> = problems.chain(problems::of_large_sums()).collect();
    let mut executor = executors::tensorflow_lite_micro();
    if let Err(how_to_install) = executor.available() {
        eprintln!("SKIPPED {} on whole programs: {how_to_install}", executor.name());
        return;
    }
    let mut truth = executors::reference();
    let expected = truth.run(&problems.iter().collect::<Vec<_>>()).expect("the reference runs");
    let mut report = String::new();
    let mut failures = Vec::new();
    compare(executor.as_mut(), &problems, &expected, &mut report, &mut failures);
    println!("{report}");
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn onnx_runtime_comes_close_on_whole_programs() {
    let edges = problems::at_their_edges().0;
    let problems = problems::chains().into_iter().chain(problems::with_constants()).chain(edges);
    let problems = problems.chain(problems::of_large_sums());
    let problems: Vec<Problem> = problems.chain(problems::with_states()).collect();
    let mut truth = executors::reference();
    let expected = truth.run(&problems.iter().collect::<Vec<_>>()).expect("the reference runs");
    let mut report = String::new();
    let mut failures = Vec::new();
    for mut executor in executors::onnx_runtime_on_programs().filter(|e| is_chosen(e.name())) {
        if let Err(how_to_install) = executor.available() {
            eprintln!("SKIPPED {} on whole programs: {how_to_install}", executor.name());
            return;
        }
        compare(executor.as_mut(), &problems, &expected, &mut report, &mut failures);
    }
    println!("{report}");
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn operations_of_two_values_and_sums_come_close_to_real_numbers_at_every_edge() {
    let mut compared: BTreeMap<&str, usize> = BTreeMap::new();
    for problem in problems::at_their_edges().0.iter().chain(&problems::all()) {
        let Some((expected, clamp)) = real::stated(problem) else { continue };
        let output = problem.program.nodes.last().expect("a node").output;
        let contents = problem.contents();
        let found: Vec<i32> = tensor_integers(problem.last_output(), &contents[output.0]).collect();
        assert_eq!(expected.len(), found.len(), "{}", problem.name);
        for (place, (near, &found)) in expected.iter().zip(&found).enumerate() {
            let name = &problem.name;
            assert!(near.allows(clamp, found), "{name}: {found} at {place} is not {near:?}");
        }
        *compared.entry(problem.op_name()).or_default() += found.len();
    }
    println!("{compared:?}");
}

/// Whether `BURN_PTQ_EXECUTORS`, a list with semicolons, names the executor or is not set.
fn is_chosen(executor: &str) -> bool {
    let chosen = std::env::var("BURN_PTQ_EXECUTORS");
    chosen.map_or(true, |list| list.split(';').any(|name| name == executor))
}

/// Whether an executor's part of a test run has the problem at an index; all of them have if
/// `BURN_PTQ_PROBLEMS` says how many there are.
fn falls_to(executor: &dyn Executor, problem: &Problem, index: usize) -> bool {
    match executor.third(problem) {
        Some(third) if std::env::var_os("BURN_PTQ_PROBLEMS").is_none() => index % 3 == third,
        _ => true,
    }
}

/// Whether some stream's output and one of its inputs share bytes.
fn reaches_into_an_input(program: &Placed) -> bool {
    program.streams().iter().any(|stream| {
        let output = program.range(program.nodes[stream.last()].output);
        let inputs = replaceable_inputs(program, stream);
        let mut inputs = inputs.into_iter().map(|(id, _)| program.range(id));
        inputs.any(|input| output.start < input.start && input.start < output.end)
    })
}

/// Runs the problems that `executor` supports; appends its rows of the table and its failures.
fn compare(
    executor: &mut dyn Executor,
    problems: &[Problem],
    expected: &[Vec<u8>],
    report: &mut String,
    failures: &mut Vec<String>,
) {
    let name = executor.name();
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let mut supported = Vec::new();
    for (index, (problem, expected)) in problems.iter().zip(expected).enumerate() {
        let tally = tallies.entry(problem.family()).or_default();
        tally.problems += 1;
        match executor.supports(problem) {
            Ok(()) if !falls_to(executor, problem, index) => tally.left += 1,
            Ok(()) => supported.push((problem, expected)),
            Err(reason) => {
                tally.skipped += 1;
                *reasons.entry(format!("{}: {reason}", problem.family())).or_default() += 1;
            }
        }
    }
    let run = executor.run(&supported.iter().map(|(problem, _)| *problem).collect::<Vec<_>>());
    let found = match run {
        Ok(found) if found.len() == supported.len() => found,
        Ok(found) => {
            let (asked, got) = (supported.len(), found.len());
            failures.push(format!("{name}: {got} outputs of {asked} problems"));
            return;
        }
        Err(error) => {
            failures.push(format!("{name} does not run: {error}"));
            return;
        }
    };
    for ((problem, expected), found) in supported.into_iter().zip(&found) {
        let tally = tallies.entry(problem.family()).or_default();
        match differences(&problem.program, expected, found, executor.agreement()) {
            Ok((differing, most)) => {
                tally.outputs += problem.samples() * problem.program.output_len();
                tally.differing += differing;
                tally.most = tally.most.max(most);
            }
            Err(difference) => failures.push(format!("{name}, {}: {difference}", problem.name)),
        }
    }
    for (op, tally) in &tallies {
        let compared = tally.problems - tally.skipped;
        if tally.problems >= MIN_COMPARED && (1..MIN_COMPARED).contains(&compared) {
            failures.push(format!("{name}, {op}: {compared} problems are too few to compare"));
        }
    }
    write_rows(name, &tallies, &reasons, report);
}

/// The number of elements that differ within what the agreement grants and the largest difference, or the first
/// difference that it does not grant.
fn differences(
    program: &Placed,
    expected: &[u8],
    found: &[u8],
    agreement: Agreement,
) -> Result<(usize, u32), String> {
    if expected.len() != found.len() {
        return Err(format!("{} output bytes instead of {}", found.len(), expected.len()));
    }
    let allowed = match agreement {
        Agreement::Exact => 0,
        Agreement::WithinLsb(steps) => steps,
    };
    let (mut differing, mut most) = (0, 0);
    let pairs = output_integers(program, expected).zip(output_integers(program, found));
    for (place, (expected, found)) in pairs.enumerate() {
        if expected.abs_diff(found) > allowed {
            return Err(format!("expected {expected}, found {found} at output {place}"));
        }
        differing += usize::from(expected != found);
        most = most.max(expected.abs_diff(found));
    }
    Ok((differing, most))
}

/// The elements of all outputs, one output after the other, of one sample after the other.
fn output_integers<'a>(program: &'a Placed, bytes: &'a [u8]) -> impl Iterator<Item = i32> + 'a {
    bytes.chunks(program.output_bytes()).flat_map(|sample| {
        let mut rest = sample;
        program.output_tensors().flat_map(move |tensor| {
            let (own, others) = rest.split_at(tensor.bytes());
            rest = others;
            tensor_integers(tensor, own)
        })
    })
}

fn write_rows(
    executor: &str,
    tallies: &BTreeMap<&str, Tally>,
    reasons: &BTreeMap<String, usize>,
    report: &mut String,
) {
    let _ = writeln!(
        report,
        "{:<13} {:<16} {:>8} {:>9} {:>9} {:>5} {:>8}",
        "executor", "op", "problems", "outputs", "differing", "most", "skipped"
    );
    for (op, Tally { problems, outputs, differing, most, skipped, left }) in tallies {
        let problems = problems - left;
        let _ = writeln!(
            report,
            "{executor:<13} {op:<16} {problems:>8} {outputs:>9} {differing:>9} {most:>5} {skipped:>8}"
        );
    }
    for (reason, count) in reasons {
        let _ = writeln!(report, "{executor:<13} skipped {count} of {reason}");
    }
}

#[test]
fn every_operation_has_problems_that_end_in_it() {
    for (op, generator) in problems::GENERATORS {
        let problems = problems::of_operation(op, *generator);
        assert!(problems.len() >= 32, "{op} has {} problems", problems.len());
        assert!(problems.iter().all(|problem| problem.op_name() == *op), "{op} is named wrongly");
    }
}

/// Whether a program has a constant that compilers may turn into instructions that store it.
fn copies_few_bytes(program: &Placed) -> bool {
    let few = |op: &IntOp| matches!(op, IntOp::Constant { data } if data.len() <= 16);
    program.nodes.iter().any(|node| few(&node.op))
}

#[test]
fn reported_flash_and_ram_are_those_of_the_linkers_map() {
    let by_rows = problems::streamed().into_iter().map(|(streamed, _)| streamed).step_by(40);
    let problems: Vec<Problem> = (problems::GENERATORS.iter())
        .flat_map(|(op, generator)| {
            let problems = problems::of_operation(op, *generator).into_iter();
            problems.filter(|problem| !copies_few_bytes(&problem.program)).take(1)
        })
        .chain(problems::of_several_ends().into_iter().take(6))
        .chain(by_rows)
        .collect();
    for name in ["cortex-m0", "cortex-m4", "cortex-m55", "rv32"] {
        let target = export::target(name).expect("known");
        if !available(target) {
            eprintln!("SKIPPED sizes on {name}: no cross compiler or no QEMU");
            continue;
        }
        let mut toolchain = Toolchain::new(target, "-O2").expect("a board");
        for Problem { name: problem, program, input, .. } in &problems {
            let self_test = SelfTest::new(program, std::slice::from_ref(input)).expect("it runs");
            let folder = tempfile::tempdir().expect("a folder");
            let exporter = export::exporter("c").expect("known");
            let exported =
                exporter.export(program, &self_test, target, folder.path()).expect("an export");
            let sizes = toolchain.build(&[program]).and_then(|f| f.sizes()).expect("a firmware");
            let reported = (exported.figures.flash_constant_bytes, exported.figures.ram_bytes);
            assert_eq!(reported, (sizes.constants, sizes.ram()), "{problem} on {name}");
            let portable = |node| chosen(program, node, target.kernels) == Kernels::Portable;
            if program.nodes.iter().all(portable) {
                let size = size_report(program);
                assert_eq!((size.flash_bytes, size.ram_bytes), reported, "{problem} on {name}");
            }
        }
    }
}

#[test]
fn problems_reach_every_bit_width_element_type_and_extreme() {
    let problems = problems::all();
    let weighted = || problems.iter().filter_map(|problem| problem.op().weighted());
    let weight_bits: BTreeSet<u8> = weighted().map(|w| w.weights.bits).collect();
    assert_eq!(weight_bits, (2..=8).collect());
    assert!(weighted().any(|w| w.multipliers.len() == 1 && w.bias.len() > 1), "per tensor");
    assert!(weighted().any(|w| w.multipliers.len() > 1), "per channel");
    let input = |problem: &Problem| {
        let node = problem.program.nodes.last().expect("a node");
        problem.program.tensors[node.inputs[0].0].dtype
    };
    let sums = |problem: &&Problem| {
        let is_sum = problem.op().weighted().is_some();
        is_sum && input(problem) == DType::I8 && problem.last_output().dtype == DType::I16
    };
    assert!(problems.iter().filter(sums).count() >= 8, "sums of 16 bits of 8-bit inputs");
    let products = |problem: &&Problem| {
        let is_product = matches!(problem.op(), IntOp::Mul { .. });
        is_product && input(problem) == DType::I16 && problem.last_output().dtype == DType::I8
    };
    assert!(problems.iter().filter(products).count() >= 8, "products of 8 bits of 16-bit inputs");
    let rows = |storages: &[u8], odd: bool| {
        problems.iter().any(|problem| match problem.op() {
            IntOp::FullyConnected { rows: 1, in_features, out_features, weighted } => {
                let wide = problem.last_output().dtype == DType::I16;
                let packed = storages.contains(&weighted.weights.storage) && in_features % 8 == 0;
                !wide && packed && (!odd || out_features % 2 == 1)
            }
            _ => false,
        })
    };
    assert!([2, 3, 4].iter().all(|&storage| rows(&[storage], false)), "packed rows of all widths");
    assert!(rows(&[2, 3, 4], true), "packed rows of an odd number of filters");
    for (what, exponents) in [("left", 1..=30), ("right", -31..=-1)] {
        let found =
            weighted().flat_map(|w| &w.multipliers).any(|m| exponents.contains(&m.exponent));
        assert!(found, "shifts to the {what}");
    }
    let tensors = || problems.iter().flat_map(|problem| &problem.program.tensors);
    let narrow: BTreeSet<u8> =
        tensors().filter(|tensor| tensor.dtype == DType::I8).map(|tensor| tensor.bits).collect();
    assert_eq!(narrow, (2..=8).collect());
    assert!(tensors().any(|tensor| tensor.dtype == DType::I16));
    for zero_point in [-128, 127] {
        assert!(tensors().any(|tensor| tensor.grid.zero_point == zero_point));
    }
}

#[test]
fn problems_of_several_ends_reach_every_kind_of_them() {
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for Problem { program, .. } in &problems::of_several_ends() {
        let mut count = |what, is| *found.entry(what).or_default() += usize::from(is);
        let both = |inputs: bool| {
            let of = |wide: DType| match inputs {
                true => program.input_tensors().any(|tensor| tensor.dtype == wide),
                false => program.output_tensors().any(|tensor| tensor.dtype == wide),
            };
            of(DType::I8) && of(DType::I16)
        };
        count("inputs of 8 and of 16 bits", both(true));
        count("outputs of 8 and of 16 bits", both(false));
        count("three inputs", program.inputs.len() == 3);
        count("three outputs", program.outputs.len() == 3);
        let read = |id| program.nodes.iter().any(|node| node.inputs.contains(&id));
        let outputs = || program.outputs.iter().map(|output| output.tensor);
        count("an output that is read", outputs().any(|id| !program.is_input(id) && read(id)));
        count("an output that is an input", outputs().any(|id| program.is_input(id)));
        let all: BTreeSet<_> = outputs().collect();
        count("an output twice", all.len() < program.outputs.len());
        let is_wide = |id| program.is_input(id) && program.tensors[id.0].dtype == DType::I16;
        let looks_up = |op: &IntOp| matches!(op, IntOp::Lookup8 { .. } | IntOp::Lookup16 { .. });
        let ids = program.nodes.iter().filter(|node| looks_up(&node.op));
        count("ids of 16 bits", ids.clone().any(|node| is_wide(node.inputs[0])));
        let places = program.nodes.iter().filter(|node| matches!(node.op, IntOp::TopK { .. }));
        count("places at an output", places.clone().any(|node| program.is_output(node.output)));
    }
    assert_eq!(found.len(), 9);
    assert!(found.values().all(|&count| count >= 8), "{found:?}");
}

#[test]
fn tiles_have_problems_of_every_operation_and_form() {
    let problems = problems::all();
    let in_tiles = |problem: &&Problem| {
        let node = problem.program.nodes.last().expect("a node");
        chosen(&problem.program, node, Kernels::Tiles) == Kernels::Tiles
    };
    let mut found: BTreeMap<(&str, u8), usize> = BTreeMap::new();
    let mut in_place: BTreeMap<&str, usize> = BTreeMap::new();
    for problem in problems.iter().filter(in_tiles) {
        let storage = problem.op().weighted().map_or(0, |weighted| weighted.weights.storage);
        *found.entry((problem.op_name(), storage)).or_default() += 1;
        let placed = problem.program.place_again(Kernels::Tiles, Memory::Whole);
        let placed = placed.expect("a valid program");
        let node = placed.nodes.last().expect("a node");
        let shared = placed.offset(node.inputs[0]) == placed.offset(node.output);
        *in_place.entry(problem.op_name()).or_default() += usize::from(shared);
    }
    let depthwise = [8, 4, 3, 2].map(|storage| ("DepthwiseConv2d", storage));
    let pairs = ["Conv2d", "FullyConnected"].into_iter().flat_map(|op| [(op, 8), (op, 4)]);
    let others = pairs.chain([("Add", 0)]);
    for form in depthwise.into_iter().chain(others) {
        assert!(found.get(&form).is_some_and(|&count| count >= 3), "{form:?} of {found:?}");
    }
    let left = |problem: &&Problem| {
        let node = problem.program.nodes.last().expect("a node");
        channels(&problem.program, node).is_some_and(|channels| shifts_to_the_left(&channels))
    };
    let left = problems.iter().filter(in_tiles).filter(left).count();
    assert!(left >= 3, "{left} layers have multipliers that shift to the left");
    for operation in ["Conv2d", "DepthwiseConv2d"] {
        assert!(in_place[operation] >= 4, "{operation} in place: {in_place:?}");
    }
}

#[test]
fn kernels_without_simd_have_problems_of_every_operation_and_form() {
    let problems = problems::all();
    let mut found: BTreeMap<(&str, u8, bool), usize> = BTreeMap::new();
    for problem in &problems {
        let node = problem.program.nodes.last().expect("a node");
        if chosen(&problem.program, node, Kernels::Scalar) != Kernels::Scalar {
            continue;
        }
        let (left, storage) = problem.op().weighted().map_or((false, 0), |weighted| {
            let left = weighted.multipliers.iter().any(|multiplier| multiplier.exponent > 0);
            (left, weighted.weights.storage)
        });
        *found.entry((problem.op_name(), storage, false)).or_default() += 1;
        *found.entry((problem.op_name(), 0, left)).or_default() += 1;
    }
    assert!(found.get(&("Add", 0, false)).is_some_and(|&count| count >= 6), "sums of {found:?}");
    for op in ["Conv2d", "DepthwiseConv2d", "FullyConnected"] {
        for form in [8, 4, 3, 2].map(|storage| (op, storage, false)) {
            assert!(found.get(&form).is_some_and(|&count| count >= 3), "{form:?} of {found:?}");
        }
    }
    assert!(found.contains_key(&("DepthwiseConv2d", 0, true)), "shifts to the left: {found:?}");
}

#[test]
fn sums_share_a_register_where_they_are_small_enough_and_agree_everywhere() {
    let problems = problems::of_large_sums();
    let fits = |problem: &&Problem| {
        chosen(&problem.program, &problem.program.nodes[0], Kernels::Quads) == Kernels::Quads
    };
    let fitting = problems.iter().filter(fits).count();
    assert!((4..problems.len() - 4).contains(&fitting), "{fitting} of {} fit", problems.len());
    let mut truth = executors::reference();
    let expected = truth.run(&problems.iter().collect::<Vec<_>>()).expect("the reference runs");
    let (mut report, mut failures) = (String::new(), Vec::new());
    for mut executor in executors::running_programs().into_iter().filter(|e| is_chosen(e.name())) {
        if let Err(how_to_install) = executor.available() {
            eprintln!("SKIPPED {} of large sums: {how_to_install}", executor.name());
            continue;
        }
        compare(executor.as_mut(), &problems, &expected, &mut report, &mut failures);
    }
    println!("{report}");
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn four_channels_at_a_time_have_problems_of_every_operation_and_form() {
    let problems = problems::all();
    let in_quads = |problem: &&Problem| {
        let node = problem.program.nodes.last().expect("a node");
        chosen(&problem.program, node, Kernels::Quads) == Kernels::Quads
    };
    let mut found: BTreeMap<(&str, u8), usize> = BTreeMap::new();
    for problem in problems.iter().filter(in_quads) {
        let storage = problem.op().weighted().map_or(0, |weighted| weighted.weights.storage);
        *found.entry((problem.op_name(), storage)).or_default() += 1;
    }
    for name in ["Conv2d", "DepthwiseConv2d", "FullyConnected"] {
        for form in [8, 4, 3, 2].map(|storage| (name, storage)) {
            assert!(found.get(&form).is_some_and(|&count| count >= 2), "{form:?} of {found:?}");
        }
    }
}

#[test]
fn most_outputs_lie_within_their_grids_and_vary() {
    let problems = problems::all();
    let outputs =
        executors::reference().run(&problems.iter().collect::<Vec<_>>()).expect("the reference");
    for (op, _) in problems::GENERATORS {
        let [mut problems_of_op, mut varied, mut elements, mut within] = [0; 4];
        let pairs = problems.iter().zip(&outputs).filter(|(problem, _)| problem.family() == *op);
        for (problem, output) in pairs {
            let tensor = problem.last_output();
            let values: Vec<i32> = tensor_integers(tensor, output).collect();
            problems_of_op += 1;
            varied += usize::from(values.iter().collect::<BTreeSet<_>>().len() > 3);
            // Saturated outputs agree whatever the rounding is; most shares of a softmax are zero.
            let inner = |value: &&i32| tensor.grid.min < **value && **value < tensor.grid.max;
            elements += values.len();
            within += values.iter().filter(inner).count();
        }
        assert!(2 * varied > problems_of_op, "{op}: {varied} of {problems_of_op} problems vary");
        assert!(6 * within > elements, "{op}: {within} of {elements} outputs lie within the grid");
    }
}

#[test]
fn programs_of_reduced_memory_give_the_same_outputs() {
    let mut reduced = 0;
    for problem in problems::chains().into_iter().chain(problems::of_several_ends()) {
        let mut interpreter = Interpreter::new(&problem.program, Path::Reference);
        let expected = interpreter.run(&problem.input).expect("an input that fits").to_vec();
        for kernels in [
            Kernels::Portable,
            Kernels::Scalar,
            Kernels::Dsp,
            Kernels::Tiles,
            Kernels::Mve,
            Kernels::Quads,
        ] {
            let [whole, less] = [Memory::Whole, Memory::Reduced].map(|memory| {
                problem.program.place_again(kernels, memory).expect("a valid program")
            });
            assert!(less.arena_bytes() <= whole.arena_bytes(), "{}", problem.name);
            reduced += usize::from(less.arena_bytes() < whole.arena_bytes());
            let mut interpreter = Interpreter::new(&less, Path::Fast);
            assert_eq!(interpreter.run(&problem.input).expect("the same input"), expected);
        }
    }
    assert!(reduced > 100, "{reduced} programs need less memory");
}
