//! Recurrent layers as the quantizer lowers them, on every executor: both forms of GRU, LSTM and RNN, forward, backward
//! and in both directions, stacked, over 32 steps and more, with states carried over calls and resets between recordings.
//!
//! `BURN_PTQ_PROBLEMS=1000` compares as many, all of them on every executor.

use std::collections::BTreeMap;

use burn_ptq_deploy::place::Memory;
use burn_ptq_deploy::run::{Path, run_sequence, run_sequences};
use burn_ptq_deploy::target::Kernels;

use crate::problems::recurrent::{Cell, Direction};
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
