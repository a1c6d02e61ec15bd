//! Programs that run nodes once for each step of a sequence: what interpreter and exports make of them.

#![allow(clippy::print_stderr, reason = "tests say what they skip")]

mod exports;
#[path = "../looped/mod.rs"]
mod looped;
#[allow(dead_code)]
#[path = "../programs/mod.rs"]
mod programs;
#[allow(dead_code)]
#[path = "../stateful/mod.rs"]
mod stateful;

use burn_ptq_deploy::export::{Options, SelfTest, exporter};
use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::program::IntOp;
use burn_ptq_deploy::run::{Interpreter, Path, run_sequence};
use burn_ptq_deploy::streaming::Streaming;
use burn_ptq_deploy::target::{HOST, Kernels};
use burn_ptq_kernels::params::AddParams;
use burn_ptq_kernels::reference;
use looped::unrolled::unrolled;
use looped::{CARRIED, Loops, STEPS, every_kind};
use programs::{INT8, coarse, running_sum};
use stateful::{placed, samples};

#[test]
fn a_loop_computes_what_a_loop_over_its_steps_does() {
    let params = AddParams::new(0.1, 0.1, 0.1, false).expect("representable");
    for (steps, reverse) in [(1, false), (1, true), (6, false), (6, true), (300, true)] {
        let model = placed(running_sum(steps, reverse));
        let input = samples(&model, 1);
        let x: Vec<i8> = input.iter().map(|&byte| byte as i8).collect();
        let (mut y, mut held) = (vec![0_i8; 2 * steps], [5_i8; 2]);
        for step in 0..steps {
            let at = 2 * if reverse { steps - 1 - step } else { step };
            let mut next = [0; 2];
            reference::add(&params, [3; 3], INT8, &held, &x[at..at + 2], &mut next);
            y[at..at + 2].copy_from_slice(&next);
            held = next;
        }
        let expected: Vec<u8> = y.iter().chain(&held).map(|&value| value as u8).collect();
        for path in [Path::Reference, Path::Fast] {
            let found = run_sequence(&model, path, &input).expect("a sample");
            assert_eq!(found, expected, "{steps} steps, reverse: {reverse}");
        }
    }
}

#[test]
fn loops_of_every_kind_agree_with_their_steps_one_after_the_other() {
    let model = placed(every_kind());
    let flat = placed(unrolled(&model));
    assert!(flat.nodes.len() > model.nodes.len() + 20);
    let samples = samples(&model, 12);
    let expected = run_sequence(&flat, Path::Reference, &samples).expect("whole samples");
    for kernels in [Kernels::Portable, Kernels::Scalar, Kernels::Tiles, Kernels::Quads] {
        for memory in [Memory::Whole, Memory::Reduced] {
            let model = model.place_again(kernels, memory).expect("a valid program");
            for path in [Path::Reference, Path::Fast] {
                let found = run_sequence(&model, path, &samples).expect("whole samples");
                assert_eq!(found, expected, "{kernels:?}, {memory:?}, {path:?}");
            }
        }
    }
}

/// What is copied at the end of a step, by the names of [`CARRIED`].
fn copied(model: &Placed) -> Vec<&'static str> {
    let copied: Vec<_> = model.loops.iter().flat_map(|own| model.copied_carried(own)).collect();
    let carried = model.carried().zip(CARRIED);
    let names = carried.filter(|(own, _)| copied.contains(&(own.next, own.held)));
    names.map(|(_, name)| name).collect()
}

#[test]
fn what_no_node_reads_any_more_is_written_over_and_the_rest_copied() {
    let model = placed(every_kind());
    assert_eq!(copied(&model), ["wide, copied", "read later, copied"]);
    // A layer may write over what it does not read.
    let carried = model.loops[0].carried[4];
    assert_eq!(model.offset(carried.held), model.offset(carried.next));
}

#[test]
fn a_sequence_leaves_memory_with_the_loop_that_takes_it() {
    let steps = 200;
    let mut net = Loops::new();
    let mut sequence = net.net.input(coarse("x", [steps, 1, 2]));
    for turn in ["a", "b", "c", "d"] {
        let held = net.constant(coarse(&format!("{turn}.held"), [1, 1, 2]), 1);
        net.begin();
        let part = net.take(sequence, false, coarse(&format!("{turn}.part"), [1, 1, 2]));
        let next = net.net.add([held, part], coarse(&format!("{turn}.next"), [1, 1, 2]));
        sequence = net.put(next, true, coarse(&format!("{turn}.y"), [steps, 1, 2]));
        net.end(steps, &[[held, next]]);
    }
    net.net.output(sequence);
    let model = placed(net.net.0);
    // Two of them are there at a time, and not five.
    assert!(model.arena_bytes() <= 2 * 2 * steps + 32, "{} bytes", model.arena_bytes());
    let flat = placed(unrolled(&model));
    let samples = samples(&model, 1);
    let [expected, found] = [&flat, &model]
        .map(|model| run_sequence(model, Path::Reference, &samples).expect("a sample"));
    assert_eq!(found, expected);
}

#[test]
fn what_writes_what_it_reads_is_passed_over_beside_a_loop_and_stays_in_it() {
    let own = |name: &str| coarse(name, [1, 1, 2]);
    let same = || IntOp::Table8 { table: (-128..=127).collect() };
    let mut net = Loops::new();
    let x = net.net.input(coarse("x", [3, 1, 2]));
    let w = net.net.input(own("w"));
    let before = net.net.node(same(), &[x], coarse("before", [3, 1, 2]));
    let held = net.net.node(same(), &[w], own("held"));
    // What steps change is not what it was.
    let first = net.net.node(same(), &[held], own("first"));
    net.begin();
    let part = net.take(before, false, own("part"));
    let now = net.net.node(same(), &[held], own("now"));
    let sum = net.net.add([held, part], own("sum"));
    let next = net.net.node(same(), &[sum], own("next"));
    net.end(3, &[[held, next]]);
    let after = net.net.node(same(), &[next], own("after"));
    let total = net.net.add([first, after], own("total"));
    let all = net.net.add([now, total], own("all"));
    net.net.output(all);
    let program = net.net.0;
    let (simple, saved) = program.simplified().expect("a valid program");
    assert_eq!(saved.dropped, ["before", "after"]);
    assert_eq!((simple.loops[0].first, simple.loops[0].count), (2, 4));
    let samples = samples(&program, 20);
    let [expected, found, flat] = [program.clone(), simple, unrolled(&program)].map(|program| {
        run_sequence(&placed(program), Path::Reference, &samples).expect("whole samples")
    });
    assert_eq!((&found, &flat), (&expected, &expected));
}

#[test]
fn a_sequence_that_steps_put_can_be_what_the_next_call_finds() {
    let (own, all) = (|name: &str| coarse(name, [1, 1, 2]), [3, 1, 2]);
    for read_later in [false, true] {
        let mut net = Loops::new();
        let x = net.net.input(coarse("x", all));
        let kept = net.net.tensor(coarse("kept", all));
        let sum = net.net.add([kept, x], coarse("sum", all));
        let held = net.constant(own("held"), 1);
        net.begin();
        let part = net.take(if read_later { kept } else { sum }, true, own("part"));
        let next = net.net.add([held, part], own("next"));
        let y = net.put(next, false, coarse("y", all));
        net.end(3, &[[held, next]]);
        let z = net.net.add([y, sum], coarse("z", all));
        net.net.output(z);
        net.net.state("kept", [kept, y], 4);
        let model = placed(net.net.0);
        // Each step writes over a part of what the first node has read, unless a later step reads it.
        assert_eq!(model.copied_states().count(), usize::from(read_later));
        let flat = placed(unrolled(&model));
        let samples = samples(&model, 20);
        let [expected, found] = [&flat, &model]
            .map(|model| run_sequence(model, Path::Reference, &samples).expect("whole samples"));
        assert_eq!(found, expected);
    }
}

#[test]
fn observers_see_every_step_and_the_part_that_it_puts() {
    let model = placed(running_sum(3, true));
    let input = samples(&model, 1);
    let mut interpreter = Interpreter::new(&model, Path::Reference);
    let mut seen = Vec::new();
    let output = interpreter.run_observed(&input, |node, bytes| seen.push((node, bytes.to_vec())));
    let output = output.expect("a sample").to_vec();
    let nodes: Vec<usize> = seen.iter().map(|(node, _)| *node).collect();
    assert_eq!(nodes, [0, 1, 2, 3, 1, 2, 3, 1, 2, 3]);
    let put: Vec<&[u8]> = seen.iter().filter(|s| s.0 == 3).map(|s| &s.1[..]).collect();
    assert_eq!([put[2], put[1], put[0]].concat(), output[..6]);
}

#[test]
fn what_cannot_run_loops_refuses_them_by_name() {
    let model = placed(running_sum(4, false));
    let self_test = SelfTest::new(&model, &[samples(&model, 1)]).expect("a sample");
    let exporter = exporter("tflite").expect("known");
    let error = exporter.render(&model, &self_test, &Options::new(&HOST)).expect_err("refused");
    assert_eq!(
        error.to_string(),
        "TensorFlow Lite cannot run the node \"part\" and those after it once for each of 4 steps; export \
         with --to c or --to rust, which can"
    );
    let error = model.streamed(&Streaming::default()).expect_err("refused");
    assert_eq!(
        error.to_string(),
        "node `part` runs once for each step of a sequence of 4, which a stream does not end: export the \
         network of a single step, and keep with --state what it leaves for the next one"
    );
}

#[test]
fn macs_count_in_every_step() {
    let program = every_kind();
    assert_eq!(program.macs(), STEPS * 9);
    let report = burn_ptq_deploy::size::size_report(&placed(program));
    assert_eq!(report.macs, STEPS * 9);
}
