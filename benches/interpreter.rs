//! How many samples a second the interpreter runs on one core, with each set of instructions.
//!
//! Takes `.bptq` files as arguments, or those that `BURN_PTQ_PROGRAMS` names, separated by commas; without any, it
//! has nothing to time. Samples are random bytes. Nothing is timed before its outputs were compared with the
//! reference kernels'.

#![allow(clippy::print_stdout, reason = "a benchmark prints")]

use std::path::Path;
use std::time::{Duration, Instant};

use burn_ptq_deploy::file;
use burn_ptq_deploy::place::Placed;
use burn_ptq_deploy::run::{Instructions, Interpreter, Path as Kernels};

fn main() {
    let named = std::env::var("BURN_PTQ_PROGRAMS").unwrap_or_default();
    let arguments = std::env::args().skip(1).filter(|argument| argument.ends_with(".bptq"));
    let files: Vec<String> = named
        .split(',')
        .filter(|name| !name.is_empty())
        .map(String::from)
        .chain(arguments)
        .collect();
    if files.is_empty() {
        println!("no programs: name .bptq files");
    }
    for name in files {
        let program = file::read(Path::new(&name)).expect("a .bptq file");
        let inputs = samples(&program, 16);
        let mut plain = Interpreter::new(&program, Kernels::Reference);
        let expected: Vec<Vec<u8>> =
            inputs.iter().map(|input| plain.run(input).expect("a sample").to_vec()).collect();
        let slow = rate(&mut plain, &inputs);
        println!("{name}: reference {slow:.0} samples/s");
        for own in Instructions::available() {
            let mut interpreter = Interpreter::new(&program, Kernels::With(own));
            for (input, expected) in inputs.iter().zip(&expected) {
                assert_eq!(interpreter.run(input).expect("a sample"), expected, "{}", own.name());
            }
            let quick = rate(&mut interpreter, &inputs);
            println!("  {}: {quick:.0} samples/s, {:.0} times", own.name(), quick / slow);
        }
    }
}

/// The same bytes in every run, of which none is likelier than others.
fn samples(program: &Placed, count: usize) -> Vec<Vec<u8>> {
    let mut state = 1_u64;
    let mut byte = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..count).map(|_| (0..program.input_bytes()).map(|_| byte()).collect()).collect()
}

/// Samples a second by the fastest of many: other processes may hold the core during some.
fn rate(interpreter: &mut Interpreter, inputs: &[Vec<u8>]) -> f64 {
    let mut best = Duration::MAX;
    let begun = Instant::now();
    for input in inputs.iter().cycle() {
        let clock = Instant::now();
        interpreter.run(input).expect("a sample");
        best = best.min(clock.elapsed());
        if begun.elapsed() > Duration::from_millis(1500) {
            break;
        }
    }
    1.0 / best.as_secs_f64()
}
