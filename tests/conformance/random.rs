//! Random layers by proptest, on microcontrollers and under the sanitizers.
//!
//! `cargo xtask mcu random` runs more of them than a test run does, by these variables.

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use burn_ptq_deploy::run::tensor_integers;

use crate::executors::{self, Executor};
use crate::problems::Problem;
use crate::problems::layers::{Case, cases};

/// How many cases there are; 100 if it is not set.
const CASES: &str = "BURN_PTQ_RANDOM_CASES";
/// The seed.
const SEED: &str = "BURN_PTQ_RANDOM_SEED";
/// The targets, separated by commas.
const TARGETS: &str = "BURN_PTQ_RANDOM_TARGETS";

fn variable<T: std::str::FromStr>(name: &str, default: T) -> T {
    let Ok(text) = std::env::var(name) else { return default };
    text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, which is not a number"))
}

fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { failure_persistence: None, max_shrink_time: 60_000, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

#[test]
fn random_layers_agree_on_microcontrollers_and_under_sanitizers() {
    let (count, seed) = (variable(CASES, 100_usize), variable(SEED, 1_u64));
    let targets = std::env::var(TARGETS).unwrap_or_else(|_| "cortex-m4,cortex-m55".into());
    let mut runner = runner(seed);
    let (mut trees, mut problems) = (Vec::new(), Vec::new());
    while problems.len() < count {
        let tree = cases().new_tree(&mut runner).expect("a case");
        if let Some(problem) = tree.current().problem() {
            problems.push(problem);
            trees.push(tree);
        }
    }
    let expected = outputs(&mut executors::reference(), &problems).expect("the reference runs");
    println!("{count} random layers, seed {seed}");
    let cores = executors::cores(&targets).into_iter().chain(executors::clang_cores());
    let all = executors::sanitized().into_iter().chain(cores);
    for mut executor in all {
        if let Err(how_to_install) = executor.available() {
            eprintln!("SKIPPED {} with random layers: {how_to_install}", executor.name());
            continue;
        }
        let found = outputs(executor.as_mut(), &problems).expect("it runs");
        report(executor.name(), &problems, &expected, &found);
        let differs = expected.iter().zip(&found).position(|(expected, found)| expected != found);
        if let Some(index) = differs {
            // Says which, made as small as it can be.
            let executor = RefCell::new(executor);
            let check = |case| agrees(&mut **executor.borrow_mut(), &case);
            let error = runner.run_one(trees.swap_remove(index), check).expect_err("it differed");
            panic!("{}, case {index}: {error}", executor.borrow().name());
        }
    }
}

fn outputs(executor: &mut dyn Executor, problems: &[Problem]) -> Result<Vec<Vec<u8>>, String> {
    executor.run(&problems.iter().collect::<Vec<_>>())
}

/// Whether a case, if it is a valid program, gives the reference's bytes.
fn agrees(executor: &mut dyn Executor, case: &Case) -> Result<(), TestCaseError> {
    let Some(problem) = case.problem() else { return Ok(()) };
    let problem = [problem];
    let run =
        |executor: &mut dyn Executor| outputs(executor, &problem).map_err(TestCaseError::fail);
    let (expected, found) = (run(&mut executors::reference())?, run(executor)?);
    prop_assert_eq!(expected, found);
    Ok(())
}

/// Prints, for each operation, how many layers and bytes were compared, and how many bytes differ.
fn report(name: &str, problems: &[Problem], expected: &[Vec<u8>], found: &[Vec<u8>]) {
    let mut rows: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for ((problem, expected), found) in problems.iter().zip(expected).zip(found) {
        assert_eq!(expected.len(), found.len(), "{name}: {}", problem.op_name());
        let differing = expected.iter().zip(found).filter(|(a, b)| a != b).count();
        for key in [problem.op_name(), "all"] {
            let row = rows.entry(key).or_default();
            row[0] += 1;
            row[1] += expected.len();
            row[2] += differing;
        }
    }
    println!("{name:<13} {:<16} {:>6} {:>9} {:>9}", "op", "layers", "bytes", "differing");
    for (op, [layers, bytes, differing]) in rows {
        println!("{name:<13} {op:<16} {layers:>6} {bytes:>9} {differing:>9}");
    }
}

#[test]
fn random_layers_reach_every_corner() {
    let mut runner = runner(1);
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    let mut valid = 0;
    for _ in 0..600 {
        let case = cases().new_tree(&mut runner).expect("a case").current();
        let Some(problem) = case.problem() else { continue };
        valid += 1;
        let problem = [problem];
        let model = &problem[0].program;
        let input = model.tensors[model.inputs[0].tensor.0].grid;
        let mut count = |what, is| *found.entry(what).or_default() += usize::from(is);
        count("zero points at the least", input.zero_point == input.min);
        count("zero points at the largest", input.zero_point == input.max);
        let Some(weighted) = problem[0].op().weighted() else { continue };
        count("large accumulators", weighted.bias.iter().any(|b| b.unsigned_abs() > 1 << 30));
        count("accumulators about half of that", {
            weighted.bias.iter().any(|b| (1 << 29..=1 << 30).contains(&b.unsigned_abs()))
        });
        let exponents = || weighted.multipliers.iter().map(|m| m.exponent);
        count("left shifts", exponents().any(|exponent| exponent > 0));
        count("3 bits", weighted.weights.bits == 3);
        let outputs = outputs(&mut executors::reference(), &problem).expect("the reference runs");
        let inner = |output: i32| weighted.clamp.min < output && output < weighted.clamp.max;
        let output = &model.tensors[model.outputs[0].tensor.0];
        count("outputs within", tensor_integers(output, &outputs[0]).any(inner));
    }
    assert!(valid > 360, "{valid} are valid");
    assert!(found.values().all(|&count| count > 10), "{found:?}");
}
