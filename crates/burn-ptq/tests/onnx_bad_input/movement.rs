//! Slices, gathers and the like with bounds that fit no sample, or that are made to cost memory.

use burn_ptq::import::onnx;
use onnx_ir::{AttributeProto, NodeProto, TensorProto};

use crate::build::{bytes, float, int, ints, list, model, node};
use crate::{ALLOCATOR, assert_says, refusal};

/// The constant inputs of a node.
type Integers<'a> = &'a [&'a [i64]];

/// The message for one node that reads `x`, samples of `[3, 8, 8]`, and lists of integers.
fn refused(op: &str, lists: &[&[i64]], attributes: Vec<AttributeProto>) -> String {
    let (nodes, tensors) = with_lists(op, lists, attributes);
    refusal(nodes, tensors)
}

fn with_lists(
    op: &str,
    lists: &[&[i64]],
    attributes: Vec<AttributeProto>,
) -> (Vec<NodeProto>, Vec<TensorProto>) {
    let names: Vec<String> = (0..lists.len()).map(|i| format!("l{i}")).collect();
    let mut inputs = vec!["x"];
    // A list without elements is an input that is left out.
    inputs.extend(names.iter().zip(lists).map(|(n, l)| if l.is_empty() { "" } else { n.as_str() }));
    let nodes = vec![node(op, &inputs, &["y"], attributes)];
    (nodes, names.iter().zip(lists).map(|(name, values)| list(name, values)).collect())
}

#[test]
fn movements_that_leave_no_elements_or_mix_samples_are_refused() {
    let along = |axis: usize| vec![int("axis", axis as i64)];
    let block = |block: i64| vec![int("blocksize", block)];
    let cases: &[(&str, Integers, Vec<AttributeProto>, &str)] = &[
        ("Slice", &[&[4], &[4], &[2]], vec![], "samples of [3, 0, 8], without an element"),
        ("Slice", &[&[0], &[2], &[0]], vec![], "slices the batch axis"),
        ("Slice", &[&[0, 0], &[2, 2], &[2, 2]], vec![], "names an axis twice"),
        ("Slice", &[&[0], &[2], &[2], &[0]], vec![], "step 0"),
        ("Slice", &[&[0], &[2, 3]], vec![], "differ in length"),
        ("Split", &[], vec![], "splits the batch axis"),
        ("Split", &[&[1, 2]], along(1), "do not give 3 steps to 1 outputs"),
        ("Split", &[&[i64::MAX]], along(1), "do not give 3 steps"),
        ("Gather", &[&[0]], vec![], "gathers along the batch axis"),
        ("Gather", &[&[3]], along(1), "expected an axis of 3, found 3"),
        ("Tile", &[&[2, 1, 1, 1]], vec![], "repeats the batch axis"),
        ("Tile", &[&[1, 0, 1 << 60, 1]], vec![], "without an element"),
        ("Tile", &[&[1, 1, -1, 1]], vec![], "a number of repeats for each of 4 axes"),
        ("Expand", &[&[1, 3, 8, 9]], vec![], "axis 3 of samples of [3, 8, 8] does not expand to 9"),
        ("Expand", &[&[5, 3, 8, 8]], vec![], "repeats the batch axis"),
        ("DepthToSpace", &[], block(2), "not a multiple of the 4 places"),
        ("DepthToSpace", &[], block(0), "expected 1 to 192, found 0"),
        ("DepthToSpace", &[], block(i64::MAX), "expected 1 to 192"),
        ("SpaceToDepth", &[], block(3), "do not divide an image of 8 by 8"),
        ("Pad", &[&[1, 0, 0, 0, 0, 0, 0, 0]], vec![], "pads the batch axis"),
        ("Pad", &[&[0, 0, -8, 0, 0, 0, 0, 0]], vec![], "samples of [3, 0, 8]"),
        ("Pad", &[&[0, -3, 0, 0, 0, 3, 0, 0]], vec![], "without an element"),
        ("Resize", &[&[], &[], &[1, 3, 0, 8]], vec![], "no elements"),
        ("Resize", &[], vec![], "neither scales nor sizes"),
    ];
    for (op, lists, attributes, reason) in cases {
        assert_says(refused(op, lists, attributes.clone()), &[op, reason]);
    }
}

#[test]
fn parts_of_a_split_are_not_negative() {
    for parts in [[-2, 5], [5, -2], [-1, 4]] {
        let nodes = vec![
            node("Split", &["x", "parts"], &["a", "b"], vec![int("axis", 1)]),
            node("Concat", &["a", "b"], &["y"], vec![int("axis", 1)]),
        ];
        assert_says(refusal(nodes, vec![list("parts", &parts)]), &["do not give 3 steps"]);
    }
}

#[test]
fn movements_do_not_cost_more_than_values_may_have() {
    let huge = i64::MAX;
    let mode = AttributeProto {
        s: b"reflect".to_vec().into(),
        type_: onnx_ir::AttributeType::STRING.into(),
        ..float("mode", 0.0)
    };
    let cases: &[(&str, Integers, Vec<AttributeProto>)] = &[
        ("Tile", &[&[1, 1 << 20, 1 << 20, 1 << 20]], vec![]),
        ("Tile", &[&[1, huge, huge, huge]], vec![]),
        ("Pad", &[&[0, 0, 0, 0, 0, huge, huge, huge]], vec![]),
        ("Pad", &[&[0, 0, huge, 0, 0, 0, huge, 0]], vec![mode.clone()]),
        ("Pad", &[&[0, -2, 0, 0, 0, 1 << 40, 0, 0]], vec![mode]),
        ("Resize", &[&[], &[], &[1, 1 << 22, 1 << 22, 1 << 22]], vec![]),
        ("Gather", &[&[0; 5000]], vec![int("axis", 1)]),
    ];
    for (op, lists, attributes) in cases {
        assert_says(refused(op, lists, attributes.clone()), &[op]);
    }
    // One axis after the other, each as long as a value may be.
    let nodes = vec![
        node("Reshape", &["x", "s"], &["a"], vec![]),
        node("Expand", &["a", "e"], &["y"], vec![]),
    ];
    let tensors = vec![list("s", &[0, 1, 1, 1, 1, 192]), list("e", &[1 << 22; 6])];
    assert_says(refusal(nodes, tensors), &["Expand"]);
    let upsample = vec![node("Upsample", &["x"], &["y"], vec![ints("scales", &[1, 1, 2, 2])])];
    assert_says(refusal(upsample, vec![]), &["Upsample", "scales"]);
    assert!(ALLOCATOR.peak_usage_as_gb() < 1.0);
}

#[test]
fn slices_of_everything_cost_no_node() {
    let bounds: &[&[i64]] = &[&[0, -8], &[i64::MAX, 8], &[0, 2], &[1, 1]];
    let (mut nodes, tensors) = with_lists("Slice", bounds, vec![]);
    nodes[0].output[0] = "s".into();
    nodes.push(node("Relu", &["s"], &["y"], vec![]));
    let graph =
        onnx::parse(&bytes(&model(&[3, 8, 8], nodes, tensors)), "all").expect("a good model");
    assert_eq!(graph.nodes.len(), 1);
}
