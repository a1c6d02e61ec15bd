//! Programs that keep something from one call to the next: what interpreter and exports make of them.

#![allow(clippy::print_stderr, reason = "tests say what they skip")]

mod c;
#[allow(dead_code)]
#[path = "../programs/mod.rs"]
mod programs;
mod rust;
#[path = "../stateful/mod.rs"]
mod stateful;

use burn_ptq_deploy::export::{Options, SelfTest, exporter};
use burn_ptq_deploy::harness::{Harness, MLPERF_TINY};
use burn_ptq_deploy::place::Memory;
use burn_ptq_deploy::run::{Interpreter, Path, run_batch, run_sequence};
use burn_ptq_deploy::size::size_report;
use burn_ptq_deploy::target::Kernels;
use stateful::{delay_line, every_kind, placed, samples, with_and_without_reset};

#[test]
fn a_call_finds_what_the_calls_before_it_left() {
    let line = placed(delay_line(3));
    assert_eq!(line.copied_states().count(), 3);
    let samples: Vec<u8> = (10..20).collect();
    // The initial values of the third, second and first state, then the inputs.
    let expected = [3, 3, 2, 2, 1, 1, 10, 11, 12, 13];
    for path in [Path::Reference, Path::Fast] {
        assert_eq!(run_sequence(&line, path, &samples).expect("whole samples"), expected);
        let alone = run_batch(&line, path, &samples).expect("whole samples");
        assert_eq!(alone, [3; 10], "every sample of a batch stands for itself");
        let mut interpreter = Interpreter::new(&line, path);
        interpreter.run(&samples[..2]).expect("a sample");
        interpreter.reset();
        let mut run = |at: usize| interpreter.run(&samples[at..at + 2]).expect("a sample").to_vec();
        let found: Vec<u8> = (0..10).step_by(2).flat_map(&mut run).collect();
        assert_eq!(found, expected);
        // Without a reset in between.
        assert_eq!(run(0), [14, 15]);
    }
}

#[test]
fn states_of_every_kind_are_kept_on_all_kernels_and_in_less_memory() {
    let model = placed(every_kind());
    let samples = samples(&model, 12);
    let [expected, _] = with_and_without_reset(&model, &samples);
    for kernels in [Kernels::Portable, Kernels::Scalar, Kernels::Tiles, Kernels::Quads] {
        for memory in [Memory::Whole, Memory::Reduced] {
            let model = model.place_again(kernels, memory).expect("a valid program");
            let copied: Vec<_> = model.copied_states().map(|(from, _)| from).collect();
            let states = model.states.iter();
            let kinds = states.filter(|state| copied.contains(&state.output));
            let kinds: Vec<&str> = kinds.map(|state| state.name.as_str()).collect();
            assert_eq!(kinds, ["copied", "wide", "delay"]);
            assert_eq!(run_sequence(&model, Path::Fast, &samples).expect("whole"), expected);
        }
    }
}

#[test]
fn states_count_as_ram_that_is_live_all_the_time() {
    let model = placed(every_kind());
    assert_eq!(model.state_bytes(), 3 * 6 + 2 * 10);
    let report = size_report(&model);
    let held = model.state_bytes() + model.input_bytes();
    assert!(report.nodes.iter().all(|node| node.live_bytes >= held), "{report:?}");
    assert!(report.ram_bytes >= held);
}

#[test]
fn the_harness_cannot_keep_states_and_refuses_them_by_name() {
    let model = placed(every_kind());
    let error = Harness::new(MLPERF_TINY, None, None, &model).expect_err("refused");
    assert_eq!(
        error.to_string(),
        "the harness mlperf-tiny runs every sample by itself, but the program keeps the state \"copied\" \
         from one to the next; export it without a harness, with --to c or --to rust"
    );
}

#[test]
fn exports_of_programs_without_states_have_no_trace_of_them() {
    let model = placed(programs::chain());
    let self_test = SelfTest::new(&model, &[samples(&model, 1)]).expect("a sample");
    for name in ["c", "rust"] {
        let exporter = exporter(name).expect("known");
        for target in ["host", "cortex-m4"] {
            let target = burn_ptq_deploy::export::target(target).expect("known");
            let rendered = exporter.render(&model, &self_test, &Options::new(target));
            for file in rendered.expect("rendered").files {
                let shared = ["kernels/", "runtime/", "firmware/start"];
                let own = !shared.iter().any(|part| file.path.contains(part));
                let text = String::from_utf8_lossy(&file.contents).to_lowercase();
                let traced =
                    ["_reset(", "fn reset(", ".reset(", "state_bytes", "is_reset", "_copied("];
                let traced = traced.into_iter().find(|trace| own && text.contains(trace));
                assert_eq!(traced, None, "{} of {name}", file.path);
            }
        }
    }
}
