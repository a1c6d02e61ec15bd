//! Streams that would read or write what they must not are refused.

use burn_ptq_deploy::model::{IntModel, IntOp, Stream, TensorId};
use burn_ptq_deploy::plan::plan;
use burn_ptq_deploy::stream::{RowProgram, replaceable_inputs};
use burn_ptq_deploy::verify::verify;

use crate::programs::streamed;

/// What the verifier says of the program after `change`.
fn refusal(change: impl FnOnce(&mut IntModel)) -> String {
    let mut model = streamed();
    change(&mut model);
    verify(&model).expect_err("the stream is broken").to_string()
}

#[test]
fn memory_holds_the_rows_that_windows_cover_and_the_output_reaches_into_the_input() {
    let model = streamed();
    let row = model.tensors[0].row_bytes();
    let program = RowProgram::new(&model, &model.streams[0]).expect("valid");
    assert_eq!(program.capacities(), [3, 3, 8]);
    // When row y is written, the first pool goes on to row y + 3, which reads from row y + 2 on.
    let reach = [(TensorId(0), 0)];
    assert_eq!(replaceable_inputs(&model, &model.streams[0]), reach);
    assert_eq!(model.arena_bytes, 8 * row + (3 * row).next_multiple_of(8) + 3 * row);
}

#[test]
fn streams_are_runs_of_nodes_in_order() {
    let error = refusal(|model| model.streams[0].rows.push(8));
    assert!(error.contains("a stream of nodes from 0 to before 3, found 0..4"), "{error}");
    let error = refusal(|model| model.streams[0].rows.clear());
    assert!(error.contains("found 0..0"), "{error}");
    let error = refusal(|model| {
        let stream = Stream { first: 2, rows: vec![8] };
        model.streams.push(stream);
    });
    assert!(error.contains("a stream of nodes from 3"), "{error}");
    refusal(|model| model.streams[0].first = usize::MAX);
}

#[test]
fn memory_must_hold_the_rows_that_windows_cover() {
    let error = refusal(|model| model.streams[0].rows[1] = 2);
    assert!(error.contains("`pool2` (MaxPool): expected 3 to 8 rows"), "{error}");
    let error = refusal(|model| model.streams[0].rows[2] = 7);
    assert!(error.contains("8 to 8 rows"), "{error}");
    let error = refusal(|model| model.streams[0].rows[0] = 9);
    assert!(error.contains("found 9"), "{error}");
}

#[test]
fn only_the_last_output_leaves_a_stream() {
    let error = refusal(|model| model.output = TensorId(2));
    assert!(error.contains("an output that only nodes of its stream read"), "{error}");
    let error = refusal(|model| {
        model.streams[0].rows = vec![3, 8];
        model.nodes[2].inputs = vec![TensorId(1)];
    });
    assert!(error.contains("`node` (MaxPool)") && error.contains("another reader"), "{error}");
}

#[test]
fn operations_without_rows_are_refused() {
    let error = refusal(|model| {
        model.nodes[1].op = IntOp::Transpose { input: [8, 5, 2], axes: [0, 1, 2] };
    });
    assert!(error.contains("an operation that runs row by row, found Transpose"), "{error}");
    let error = refusal(|model| {
        for id in 1..3 {
            model.tensors[id].shape = [4, 10, 2];
        }
    });
    assert!(error.contains("in a stream"), "{error}");
}

#[test]
fn regions_of_a_stream_are_live_together() {
    for id in 1..3 {
        let error = refusal(|model| model.tensors[id].offset = model.tensors[3].offset);
        assert!(error.contains("free"), "{error}");
    }
    let error = refusal(|model| model.tensors[1].offset = model.tensors[2].offset);
    assert!(error.contains("free"), "{error}");
}

#[test]
fn an_output_may_not_reach_further_than_the_rows_that_are_still_needed() {
    // One pool by itself: row y is written when row y - 1 is still needed.
    let mut model = streamed();
    model.streams = vec![Stream { first: 0, rows: vec![8] }];
    plan(&mut model);
    verify(&model).expect("a valid stream");
    let row = model.tensors[0].row_bytes();
    assert_eq!(replaceable_inputs(&model, &model.streams[0]), [(TensorId(0), 2 * row)]);
    let output = model.tensors[1].offset;
    assert_eq!(model.tensors[0].offset - output, (2 * row).next_multiple_of(8));
    model.tensors[0].offset -= row;
    let error = verify(&model).expect_err("a row too far").to_string();
    assert!(error.contains("free"), "{error}");
}
