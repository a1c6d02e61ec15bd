//! Recurrent layers as the quantizer lowers them, on every executor: both forms of GRU, LSTM and RNN, forward, backward
//! and in both directions, stacked, over 32 steps and more, with states carried over calls and resets between recordings.
//!
//! `BURN_PTQ_PROBLEMS=1000` compares as many, all of them on every executor.

use std::collections::BTreeMap;

use burn_ptq_deploy::export;
use burn_ptq_deploy::place::Memory;
use burn_ptq_deploy::program::IntOp;
use burn_ptq_deploy::run::{Path, run_sequence, run_sequences};
use burn_ptq_deploy::target::Kernels;
use burn_ptq_mcu::{Toolchain, available};

use crate::problems::draw::Draw;
use crate::problems::recurrent::{self, Cell, Direction, Net};
use crate::problems::{self, Problem};
use crate::states::compared;

#[test]
fn recurrent_layers_agree_on_every_executor() {
    let problems: Vec<Problem> =
        problems::of_recurrent_layers().into_iter().map(|(_, problem)| problem).collect();
    compared(&problems, &problems);
}

#[test]
fn recurrent_layers_are_of_every_kind_and_depend_on_calls_and_resets() {
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for (net, problem) in problems::recurrent_layers(150) {
        let mut count = |what: &str, is| *found.entry(what.into()).or_default() += usize::from(is);
        assert!(net.steps >= 32);
        for cell in [Cell::GruAfter, Cell::GruBefore, Cell::Lstm, Cell::Rnn] {
            count(&format!("{cell:?}"), net.cells.contains(&cell));
            for direction in [Direction::Forward, Direction::Reverse, Direction::Both] {
                let has = net.cells.iter().zip(&net.directions).any(|p| p == (&cell, &direction));
                count(&format!("{cell:?} {direction:?}"), has);
            }
        }
        count("stacked", net.cells.len() > 1);
        count("three layers", net.cells.len() > 2);
        count("16 bits", net.wide);
        count("initial values", !net.keeps);
        count(&format!("weights of {} bits", net.bits), true);
        let Problem { program, input, recordings, .. } = &problem;
        let outputs = run_sequences(program, Path::Fast, input, *recordings).expect("samples");
        let varied = outputs
            .chunks(program.output_bytes())
            .any(|call| call != outputs[..call.len()].as_ref());
        count("other outputs in other calls", varied);
        if net.keeps {
            let one = run_sequence(program, Path::Fast, input).expect("samples");
            count("outputs that a reset changes", one != outputs);
            let calls = input.len() / program.input_bytes();
            let alone = run_sequences(program, Path::Fast, input, calls).expect("samples");
            count("outputs that the call before changes", alone != outputs);
        }
    }
    println!("{found:#?}");
    assert_eq!(found.len(), 4 + 12 + 4 + 5 + 3);
    assert!(found.values().all(|&count| count >= 6), "{found:?}");
}

#[test]
fn recurrent_layers_stay_in_less_memory_on_all_kernels_and_simplified() {
    for (_, Problem { name, program, input, recordings }) in problems::recurrent_layers(40) {
        let expected =
            run_sequences(&program, Path::Reference, &input, recordings).expect("samples");
        let (simple, _) = program.program().simplified().expect("a valid program");
        for kernels in [Kernels::Portable, Kernels::Scalar, Kernels::Tiles, Kernels::Quads] {
            for whole in [program.program(), &simple] {
                let placed = whole.clone().place(kernels, Memory::Reduced).expect("valid");
                let found = run_sequences(&placed, Path::Fast, &input, recordings);
                assert_eq!(found.expect("samples"), expected, "{name} on {kernels:?}");
            }
        }
    }
}

/// Instructions for each multiply-accumulate of layers that gates sum, and for each element of the sums.
const MOST: [(&str, f64, f64); 2] = [("cortex-m4", 2.0, 22.0), ("cortex-m55", 2.0, 16.0)];

#[test]
fn sums_of_gates_take_few_instructions() {
    for (name, per_product, per_element) in MOST {
        let target = export::target(name).expect("known");
        if !available(target) {
            eprintln!("SKIPPED instructions of gates on {name}: no cross compiler or no QEMU");
            continue;
        }
        let mut draw = Draw::new(5);
        let problems = [8, 4].map(|bits| {
            let net = Net {
                cells: vec![Cell::GruAfter],
                directions: vec![Direction::Forward],
                steps: 32,
                bits,
                wide: false,
                keeps: true,
                features: 12,
                hidden: vec![32],
            };
            let mut made = (0..20).filter_map(|_| recurrent::program(&mut draw, &net));
            made.next().expect("a valid program")
        });
        let placed = problems.each_ref().map(|problem| {
            let placed = problem.program.place_again(target.kernels, Memory::Whole);
            placed.expect("a valid program")
        });
        let mut toolchain = Toolchain::new(target, "-O2").expect("a board");
        let firmware = toolchain.build(&[&placed[0], &placed[1]]).expect("a firmware");
        let inputs = problems.each_ref().map(|problem| problem.input.as_slice());
        for (run, program) in firmware.run(&inputs).expect("it runs").iter().zip(&placed) {
            let mut totals: BTreeMap<&str, [f64; 2]> = BTreeMap::new();
            for (index, node) in program.nodes.iter().enumerate() {
                let work = match &node.op {
                    IntOp::FullyConnected { .. } => node.op.macs(),
                    _ => program.tensors[node.output.0].len(),
                };
                let [instructions, all] = totals.entry(node.op.name()).or_default();
                *instructions += run.node_instructions[index] as f64 / run.samples as f64;
                *all += (work * program.runs(index)) as f64;
            }
            let each = |name: &str| totals.get(name).map_or(0.0, |[found, all]| found / all);
            println!("{name}: {} instructions a step", run.instructions() / 32);
            totals.keys().for_each(|name| println!("  {name}: {:.1}", each(name)));
            assert!(each("FullyConnected") <= per_product && each("Add") <= per_element, "{name}");
        }
    }
}
