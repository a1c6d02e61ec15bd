//! Programs that run nodes once for each step of a sequence, on every executor, whole, with streams beside their
//! loops and simplified, and what their steps cost. `BURN_PTQ_PROBLEMS=1000` makes ten times as many.

#[path = "../../crates/deploy/tests/looped/unrolled.rs"]
mod unrolled;

use std::collections::BTreeMap;

use burn_ptq_deploy::cost::costs;
use burn_ptq_deploy::export;
use burn_ptq_deploy::file::{from_bytes, to_bytes};
use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::program::{DType, IntOp};
use burn_ptq_deploy::run::{Path, run_batch, run_sequence};
use burn_ptq_deploy::size::size_report;
use burn_ptq_deploy::target::Kernels;
use burn_ptq_mcu::{Toolchain, available};

use crate::problems::{self, Problem};
use crate::states::compared;
use unrolled::unrolled;

#[test]
fn loops_agree_on_every_executor() {
    let problems = problems::with_loops();
    compared(&problems, &problems);
}

#[test]
fn loops_beside_streams_agree_on_every_executor() {
    let (problems, whole): (Vec<_>, Vec<_>) = problems::with_loops_by_rows().into_iter().unzip();
    assert!(problems.len() >= 16, "{} have streams", problems.len());
    compared(&problems, &whole);
}

#[test]
fn loops_agree_with_their_steps_one_after_the_other() {
    for Problem { name, program, input, .. } in problems::with_loops() {
        let flat = unrolled(&program).place(Kernels::Portable, Memory::Whole);
        let flat = flat.expect("a valid program");
        let [expected, found] = [&flat, &program]
            .map(|program| run_sequence(program, Path::Reference, &input).expect("whole samples"));
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn programs_with_loops_are_of_every_kind_and_depend_on_their_steps() {
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for Problem { program, input, .. } in &problems::with_loops() {
        let mut count = |what, is| *found.entry(what).or_default() += usize::from(is);
        let copied: Vec<_> =
            program.loops.iter().flat_map(|own| program.copied_carried(own)).collect();
        for carried in program.carried() {
            let tensor = &program.tensors[carried.held.0];
            let is_copied = copied.contains(&(carried.next, carried.held));
            count("copied", is_copied);
            count("in place", !is_copied);
            count("16 bits", tensor.dtype == DType::I16);
            count("fewer bits", tensor.bits < 8);
            count("an output", program.is_output(carried.next));
            let kept = program.states.iter().any(|state| state.output == carried.next);
            count("left for the next call", kept);
            let index = program.nodes.iter().position(|node| node.output == carried.next);
            let op = index.map(|index| &program.nodes[index].op);
            count("written by a layer", op.is_some_and(|op| op.weighted().is_some()));
        }
        for own in &program.loops {
            count("several carried", own.carried.len() > 1);
            count("nothing carried", own.carried.is_empty());
            count("a single step", own.steps == 1);
        }
        count("several loops", program.loops.len() > 1);
        let ends = program.loops.iter().map(|own| own.nodes().end);
        let starts = program.loops.iter().skip(1).map(|own| own.first);
        count("loops side by side", ends.zip(starts).any(|(end, start)| end == start));
        for node in &program.nodes {
            let IntOp::Step { put, reverse } = node.op else { continue };
            count("taken backward", !put && reverse);
            count("put backward", put && reverse);
        }
        if !program.states.is_empty() {
            let sequence = run_sequence(program, Path::Fast, input).expect("whole samples");
            let alone = run_batch(program, Path::Fast, input).expect("whole samples");
            count("outputs of earlier calls", sequence != alone);
        }
        // The same program with what steps carry cut off.
        let mut cut = program.program().clone();
        cut.loops.iter_mut().for_each(|own| own.carried.clear());
        if cut != *program.program() {
            let cut = cut.place(Kernels::Portable, Memory::Whole).expect("a valid program");
            let [one, other] = [program, &cut]
                .map(|program| run_sequence(program, Path::Fast, input).expect("whole samples"));
            count("outputs that depend on what is carried", one != other);
        }
    }
    println!("{found:?}");
    assert!(found.values().all(|&count| count >= 8), "{found:?}");
}

#[test]
fn simplified_programs_and_files_have_the_same_loops() {
    let mut changed = 0;
    for Problem { name, program, input, .. } in problems::with_loops() {
        let bytes = to_bytes(&program).expect("a program can be encoded");
        assert_eq!(from_bytes(&bytes).expect("a written file"), program, "{name}");
        let (simple, _) = program.program().simplified().expect("a valid program");
        changed += usize::from(&simple != program.program());
        let simple = simple.place(Kernels::Portable, Memory::Reduced).expect("a valid program");
        let [expected, found] = [(&program, Path::Reference), (&simple, Path::Fast)]
            .map(|(program, path)| run_sequence(program, path, &input).expect("whole samples"));
        assert_eq!(found, expected, "{name}");
    }
    assert!(changed >= 8, "{changed} programs are simpler");
}

#[test]
fn loops_stay_in_less_memory_and_on_all_kernels() {
    let mut reduced = 0;
    for Problem { name, program, input, .. } in problems::with_loops() {
        let expected = run_sequence(&program, Path::Reference, &input).expect("whole samples");
        for kernels in [
            Kernels::Portable,
            Kernels::Scalar,
            Kernels::Dsp,
            Kernels::Tiles,
            Kernels::Mve,
            Kernels::Quads,
        ] {
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
    assert!(reduced >= 1, "{reduced} programs need less memory");
}

#[test]
fn costs_of_programs_with_loops_are_predicted() {
    for name in ["cortex-m0", "cortex-m4", "cortex-m55", "rv32"] {
        let target = export::target(name).expect("known");
        if !available(target) {
            eprintln!("SKIPPED costs of loops on {name}: no cross compiler or no QEMU");
            continue;
        }
        let small = problems::with_loops().into_iter().map(|problem| problem.program);
        let small = small.filter(|program| size_report(program).flash_bytes < 3000).step_by(3);
        let place = |program: Placed| {
            program.place_again(target.kernels, Memory::Whole).expect("a valid program")
        };
        let programs: Vec<Placed> = small.map(place).collect();
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
        let sized = programs.iter().filter(|program| !crate::copies_few_bytes(program));
        for program in sized.step_by(6) {
            let sizes = toolchain.build(&[program]).and_then(|one| one.sizes()).expect("a map");
            let costs = costs(program, target).expect("a table");
            assert_eq!((costs.arena_bytes, costs.constant_bytes()), (sizes.ram(), sizes.constants));
            let off = costs.flash_bytes() as f64 / sizes.flash() as f64 - 1.0;
            println!("{name}: flash is {:.1} % off", 100.0 * off);
            assert!(off.abs() < 0.1, "{name}: {} of {}", costs.flash_bytes(), sizes.flash());
        }
    }
}
