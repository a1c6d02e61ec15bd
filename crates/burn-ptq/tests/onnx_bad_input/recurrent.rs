//! Recurrent layers that cannot be imported.

use onnx_ir::{AttributeProto, AttributeType, ModelProto};

use crate::build::{float, int, list, model, node, string, weights};
use crate::{assert_says, error};

const STEPS: i64 = 6;

/// `op` over a sequence of so many steps of 3 features, with 2 units, `gates` of them, and further inputs.
fn layer(
    op: &str,
    steps: i64,
    gates: i64,
    further: &[&str],
    attributes: Vec<AttributeProto>,
) -> ModelProto {
    let inputs: Vec<&str> = ["t", "w", "r", "b"].iter().chain(further).copied().collect();
    let order = AttributeProto {
        name: "perm".into(),
        type_: AttributeType::INTS.into(),
        ints: vec![1, 0, 2],
        ..Default::default()
    };
    let nodes = vec![
        node("Transpose", &["x"], &["t"], vec![order]),
        node(op, &inputs, &["s", "y"], [vec![int("hidden_size", 2)], attributes].concat()),
    ];
    let tensors = vec![
        weights("w", &[1, 2 * gates, 3]),
        weights("r", &[1, 2 * gates, 2]),
        weights("b", &[1, 4 * gates]),
        weights("p", &[1, 6]),
        weights("h", &[1, 1, 5]),
        list("lengths", &[4]),
    ];
    model(&[steps, 3], nodes, tensors)
}

/// A model that is as it should be.
pub(crate) fn lstm() -> ModelProto {
    layer("LSTM", STEPS, 4, &[], vec![])
}

fn strings(name: &str, values: &[&str]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        type_: AttributeType::STRINGS.into(),
        strings: values.iter().map(|v| v.as_bytes().to_vec().into()).collect(),
        ..Default::default()
    }
}

#[test]
fn what_layers_of_other_kinds_do_is_said() {
    let refused = |op, gates, further: &[&str], attributes| {
        error(&layer(op, STEPS, gates, further, attributes))
    };
    let peepholes = refused("LSTM", 4, &["", "", "", "p"], vec![]);
    assert_says(peepholes, &["LSTM", "it has peepholes", "train the layer without peepholes"]);
    let clipped = refused("GRU", 3, &[], vec![float("clip", 1.0)]);
    assert_says(clipped, &["it clips sums", "without clip"]);
    let coupled = refused("LSTM", 4, &[], vec![int("input_forget", 1)]);
    assert_says(coupled, &["input_forget = 1", "forget gate of its own"]);
    let unusual = refused("GRU", 3, &[], vec![strings("activations", &["Relu", "Tanh"])]);
    assert_says(unusual, &["[\"Relu\", \"Tanh\"]", "[\"Sigmoid\", \"Tanh\"]"]);
    let lengths = refused("RNN", 1, &["lengths"], vec![]);
    assert_says(lengths, &["sequence_lens has 4", "6 steps"]);
    let direction = refused("RNN", 1, &[], vec![string("direction", "upwards")]);
    assert_says(direction, &["there is no direction", "upwards"]);
}

#[test]
fn shapes_that_do_not_fit_are_said() {
    let gates = error(&layer("GRU", STEPS, 4, &[], vec![]));
    assert_says(gates, &["GRU", "expected", "[1, 8, 3]"]);
    let initial = error(&layer("GRU", STEPS, 3, &["", "h"], vec![]));
    assert_says(initial, &["expected initial_h of [1, batch, 2], found [1, 1, 5]"]);
}

#[test]
fn sequences_without_end_are_refused() {
    let long = error(&layer("LSTM", 100_000, 4, &[], vec![]));
    assert_says(long, &["100000 steps", "shorter sequences", "--state"]);
}
