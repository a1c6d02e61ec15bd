//! Streams that would read or write what they must not are refused.

use burn_ptq_deploy::place::Stream;
use burn_ptq_deploy::place::plan::plan;
use burn_ptq_deploy::place::rows::replaceable_inputs;
use burn_ptq_deploy::program::{IntOp, TensorId};
use burn_ptq_deploy::target::Kernels;

use crate::programs::{Parts, streamed};

/// What the verifier says of the program after `change`.
fn refusal(change: impl FnOnce(&mut Parts)) -> String {
    let mut parts = streamed();
    change(&mut parts);
    parts.placed().expect_err("the stream is broken").to_string()
}

#[test]
fn memory_holds_the_rows_that_windows_cover_and_the_output_reaches_into_the_input() {
    let model = streamed().placed().expect("valid");
    let row = model.tensors[0].row_bytes();
    let (stream, rows) = model.row_programs().next().expect("one stream");
    assert_eq!(rows.capacities(), [3, 3, 8]);
    // When row y is written, the first pool continues to row y + 3, which reads from row y + 2 on.
    let reach = [(TensorId(0), 0)];
    assert_eq!(replaceable_inputs(&model, stream), reach);
    assert_eq!(model.arena_bytes(), 8 * row + (3 * row).next_multiple_of(8) + 3 * row);
}

#[test]
fn streams_are_runs_of_nodes_in_order() {
    let error = refusal(|parts| parts.placement.streams[0].rows.push(8));
    assert!(error.contains("a stream of nodes from 0 to before 3, found 0..4"), "{error}");
    let error = refusal(|parts| parts.placement.streams[0].rows.clear());
    assert!(error.contains("found 0..0"), "{error}");
    let error = refusal(|parts| {
        let stream = Stream { first: 2, rows: vec![8] };
        parts.placement.streams.push(stream);
    });
    assert!(error.contains("a stream of nodes from 3"), "{error}");
    refusal(|parts| parts.placement.streams[0].first = usize::MAX);
}

#[test]
fn memory_must_hold_the_rows_that_windows_cover() {
    let error = refusal(|parts| parts.placement.streams[0].rows[1] = 2);
    assert!(error.contains("`pool2` (MaxPool): expected 3 to 8 rows"), "{error}");
    let error = refusal(|parts| parts.placement.streams[0].rows[2] = 7);
    assert!(error.contains("8 to 8 rows"), "{error}");
    let error = refusal(|parts| parts.placement.streams[0].rows[0] = 9);
    assert!(error.contains("found 9"), "{error}");
}

#[test]
fn only_the_last_output_leaves_a_stream() {
    let error = refusal(|parts| parts.program.outputs[0].tensor = TensorId(2));
    assert!(error.contains("an output that only nodes of its stream read"), "{error}");
    let error = refusal(|parts| {
        parts.placement.streams[0].rows = vec![3, 8];
        parts.program.nodes[2].inputs = vec![TensorId(1)];
    });
    assert!(error.contains("`node` (MaxPool)") && error.contains("another reader"), "{error}");
}

#[test]
fn operations_without_rows_are_refused() {
    let error = refusal(|parts| {
        parts.program.nodes[1].op = IntOp::Transpose { input: [8, 5, 2], axes: [0, 1, 2] };
    });
    assert!(error.contains("an operation that runs row by row, found Transpose"), "{error}");
    let error = refusal(|parts| {
        for id in 1..3 {
            parts.program.tensors[id].shape = [4, 10, 2];
        }
    });
    assert!(error.contains("in a stream"), "{error}");
}

#[test]
fn regions_of_a_stream_are_live_together() {
    for id in 1..3 {
        let error = refusal(|parts| parts.placement.offsets[id] = parts.placement.offsets[3]);
        assert!(error.contains("free"), "{error}");
    }
    let error = refusal(|parts| parts.placement.offsets[1] = parts.placement.offsets[2]);
    assert!(error.contains("free"), "{error}");
}

#[test]
fn an_output_may_not_reach_further_than_the_rows_that_are_still_needed() {
    // One pool by itself: row y is written when row y - 1 is still needed.
    let mut parts = streamed();
    let stream = Stream { first: 0, rows: vec![8] };
    parts.placement = plan(&parts.program, vec![stream.clone()], Kernels::Portable);
    parts.clone().placed().expect("a valid stream");
    let row = parts.program.tensors[0].row_bytes();
    assert_eq!(replaceable_inputs(&parts.program, &stream), [(TensorId(0), 2 * row)]);
    let [input, output] = [0, 1].map(|id| parts.placement.offsets[id]);
    assert_eq!(input - output, (2 * row).next_multiple_of(8));
    parts.placement.offsets[0] -= row;
    let error = parts.placed().expect_err("a row too far").to_string();
    assert!(error.contains("free"), "{error}");
}
