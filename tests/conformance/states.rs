//! Programs that keep something from one call to the next: sequences on every executor, whole, row by row and
//! simplified, and what their copies cost.

use std::collections::BTreeMap;

use burn_ptq_deploy::cost::costs;
use burn_ptq_deploy::export::{self, TfLiteOptions, tflite_model};
use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::program::{DType, Program};
use burn_ptq_deploy::run::{Path, run_batch, run_sequence};
use burn_ptq_deploy::size::size_report;
use burn_ptq_deploy::target::Kernels;
use burn_ptq_mcu::{Toolchain, available};
use serde_json::{Value, json};

use crate::executors::{self, Executor};
use crate::problems::{self, Problem};
use crate::python::{answers, digits, oracle};
use crate::{compare, is_chosen};

/// Compares every executor with what the reference gives of `truth`.
pub(crate) fn compared(problems: &[Problem], truth: &[Problem]) {
    let truth: Vec<&Problem> = truth.iter().collect();
    let expected = executors::reference().run(&truth).expect("the reference runs");
    let (mut report, mut failures) = (String::new(), Vec::new());
    for mut executor in executors::running_programs().into_iter().filter(|e| is_chosen(e.name())) {
        if let Err(how_to_install) = executor.available() {
            eprintln!("SKIPPED {} of whole programs: {how_to_install}", executor.name());
            continue;
        }
        compare(executor.as_mut(), problems, &expected, &mut report, &mut failures);
    }
    println!("{report}");
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn sequences_agree_on_every_executor() {
    let problems = problems::with_states();
    compared(&problems, &problems);
}

#[test]
fn sequences_agree_on_every_executor_row_by_row() {
    let (problems, whole): (Vec<_>, Vec<_>) = problems::with_states_by_rows().into_iter().unzip();
    assert!(problems.len() >= 32, "{} run by rows", problems.len());
    let by_rows = |problem: &Problem| {
        let streams = problem.program.streams().iter();
        let mut written = streams.map(|stream| problem.program.nodes[stream.last()].output);
        written.any(|id| problem.program.states.iter().any(|state| state.output == id))
    };
    assert!(problems.iter().filter(|problem| by_rows(problem)).count() >= 8);
    compared(&problems, &whole);
}

#[test]
fn streams_agree_on_every_executor() {
    let problems = problems::frame_by_frame();
    compared(&problems, &problems);
}

#[test]
fn programs_with_states_are_of_every_kind_and_depend_on_them() {
    let problems = problems::with_states();
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for Problem { program, input, .. } in &problems {
        let mut count = |what, is| *found.entry(what).or_default() += usize::from(is);
        let copied: Vec<_> = program.copied_states().map(|(from, _)| from).collect();
        for state in &program.states {
            let tensor = &program.tensors[state.input.0];
            count("copied", copied.contains(&state.output));
            count("in place", !copied.contains(&state.output));
            count("an input", program.is_input(state.output));
            count("an output", program.is_output(state.output));
            count("16 bits", tensor.dtype == DType::I16);
            count("fewer bits", tensor.bits < 8);
            count("initially not zero", state.initial != tensor.grid.zero_point);
        }
        let sequence = run_sequence(program, Path::Fast, input).expect("whole samples");
        let alone = run_batch(program, Path::Fast, input).expect("whole samples");
        count("other outputs than without", sequence != alone);
        let (first, rest) = input.split_at(program.input_bytes());
        let turned = [rest, first].concat();
        let other = run_sequence(program, Path::Fast, &turned).expect("whole samples");
        let last = sequence.len() - program.output_bytes();
        let kept = other[..last] != sequence[program.output_bytes()..];
        count("outputs that the first sample changes", kept);
    }
    println!("{found:?}");
    assert!(found.values().all(|&count| count >= 16), "{found:?}");
}

#[test]
fn simplified_programs_keep_what_they_kept() {
    let mut changed = 0;
    for Problem { name, program, input, .. } in problems::with_states() {
        let (simple, _) = program.program().simplified().expect("a valid program");
        changed += usize::from(&simple != program.program());
        let simple = simple.place(Kernels::Portable, Memory::Reduced).expect("a valid program");
        let [expected, found] = [(&program, Path::Reference), (&simple, Path::Fast)]
            .map(|(program, path)| run_sequence(program, path, &input).expect("whole samples"));
        assert_eq!(found, expected, "{name}");
    }
    assert!(changed >= 8, "{changed} programs are simpler");
}

/// Programs of which many fit an image.
fn small() -> Vec<Placed> {
    let programs = problems::with_states().into_iter().map(|problem| problem.program);
    programs.filter(|program| size_report(program).flash_bytes < 1500).step_by(3).collect()
}

#[test]
fn costs_of_programs_with_states_are_predicted() {
    for name in ["cortex-m0", "cortex-m4", "cortex-m55", "rv32"] {
        let target = export::target(name).expect("known");
        if !available(target) {
            eprintln!("SKIPPED costs of states on {name}: no cross compiler or no QEMU");
            continue;
        }
        let place = |program: Placed| {
            program.place_again(target.kernels, Memory::Whole).expect("a valid program")
        };
        let programs: Vec<Placed> = small().into_iter().map(place).collect();
        let mut toolchain = Toolchain::new(target, "-O2").expect("a board");
        let all: Vec<&Placed> = programs.iter().collect();
        let inputs: Vec<Vec<u8>> =
            programs.iter().map(|program| vec![7; 2 * program.input_bytes()]).collect();
        let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
        let firmware = toolchain.build(&all).expect("a firmware");
        let runs = firmware.run(&inputs).expect("it runs");
        let (mut predicted, mut counted) = (0.0, 0.0);
        for (program, run) in programs.iter().zip(&runs) {
            predicted +=
                costs(program, target).and_then(|costs| costs.instructions()).expect("measured");
            counted += run.instructions() as f64;
        }
        let off = predicted / counted - 1.0;
        println!("{name}: {} programs, instructions are {:.1} % off", programs.len(), 100.0 * off);
        assert!(off.abs() < 0.1, "{name}: {predicted:.0} instructions, {counted} counted");
        for program in programs.iter().step_by(8) {
            let sizes = toolchain.build(&[program]).and_then(|one| one.sizes()).expect("a map");
            let costs = costs(program, target).expect("a table");
            assert_eq!((costs.arena_bytes, costs.constant_bytes()), (sizes.ram(), sizes.constants));
            let off = costs.flash_bytes() as f64 / sizes.flash() as f64 - 1.0;
            println!("{name}: flash is {:.1} % off", 100.0 * off);
            assert!(off.abs() < 0.1, "{name}: {} of {}", costs.flash_bytes(), sizes.flash());
        }
    }
}

#[test]
fn sequences_stay_in_less_memory_and_on_all_kernels() {
    let mut reduced = 0;
    for Problem { name, program, input, .. } in problems::with_states() {
        let expected = run_sequence(&program, Path::Reference, &input).expect("whole samples");
        for kernels in [Kernels::Portable, Kernels::Scalar, Kernels::Tiles, Kernels::Quads] {
            let [whole, less] = [Memory::Whole, Memory::Reduced]
                .map(|memory| program.place_again(kernels, memory).expect("a valid program"));
            assert!(less.arena_bytes() <= whole.arena_bytes(), "{name}");
            reduced += usize::from(less.arena_bytes() < whole.arena_bytes());
            for placed in [whole, less] {
                let found = run_sequence(&placed, Path::Fast, &input).expect("whole samples");
                assert_eq!(found, expected, "{name} on {kernels:?}");
            }
        }
    }
    assert!(reduced >= 8, "{reduced} programs need less memory");
}

#[test]
fn tensorflow_lite_micro_keeps_what_programs_keep() {
    let chosen = TfLiteOptions { divisors_are_not_zero: true, ..TfLiteOptions::default() };
    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    let mut files = Vec::new();
    let problems = problems::with_states();
    for problem in &problems {
        let program = problem.program.program();
        match tflite_model(program, chosen) {
            Ok(file) => files.push((problem, file)),
            Err(error) => {
                let text = error.to_string();
                let reason = text.split_once("as it is: ").map_or(&*text, |(_, reason)| reason);
                *refused.entry(reason.to_owned()).or_default() += 1;
            }
        }
    }
    println!("{} of {} programs in files; refused: {refused:#?}", files.len(), problems.len());
    assert!(files.len() >= 64, "{} files", files.len());
    // What is read from the file is the same again.
    for (Problem { name, program, input, .. }, file) in &files {
        let imported = Program::from_tflite(file).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(imported.states.len(), program.states.len(), "{name}");
        let imported = imported.place(Kernels::Portable, Memory::Whole).expect("a valid program");
        let [expected, found] = [program, &imported]
            .map(|program| run_sequence(program, Path::Fast, input).expect("whole samples"));
        assert_eq!(found, expected, "{name}");
    }
    if let Err(how_to_install) = oracle() {
        eprintln!("SKIPPED TFLite Micro on states: {how_to_install}");
        return;
    }
    let requests: Vec<Value> = files
        .iter()
        .map(|(Problem { program, input, .. }, file)| {
            let samples: Vec<Vec<String>> = input
                .chunks(program.input_bytes())
                .map(|sample| {
                    let mut rest = sample;
                    let ends = program.input_tensors().map(|tensor| {
                        let (own, others) = rest.split_at(tensor.bytes());
                        rest = others;
                        digits(own)
                    });
                    ends.collect()
                })
                .collect();
            json!({ "model": digits(file), "samples": samples })
        })
        .collect();
    let answers = answers("tflm.py", &requests.iter().collect::<Vec<_>>()).expect("answers");
    let (mut bytes, mut failures) = (0, Vec::new());
    for ((Problem { name, program, input, .. }, _), answer) in files.iter().zip(&answers) {
        let expected = run_sequence(program, Path::Reference, input).expect("whole samples");
        let Some(samples) = answer["outputs"].as_array() else {
            failures.push(format!("{name}: {answer}"));
            continue;
        };
        let found: String = samples
            .iter()
            .flat_map(|s| s.as_array().into_iter().flatten())
            .filter_map(Value::as_str)
            .collect();
        bytes += expected.len();
        if found != digits(&expected) {
            failures.push(format!("{name}: other bytes"));
        }
    }
    println!(
        "TFLite Micro: {} programs, {bytes} bytes, {} programs differ",
        files.len(),
        failures.len()
    );
    assert!(failures.is_empty(), "{failures:#?}");
}
