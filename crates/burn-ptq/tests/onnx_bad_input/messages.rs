//! All causes in one go, one line each, in words that hold.

use burn_ptq::import::onnx;

use crate::build::{bytes, int, model, node, weights};
use crate::{assert_says, error, problems, refusal};

#[test]
fn what_stands_behind_a_refused_node_is_told_too() {
    // `Hardmax` keeps its input's shape.
    let nodes = vec![
        node("Hardmax", &["x"], &["a"], vec![]),
        node("Softmax", &["a"], &["b"], vec![int("axis", 0)]),
        node("Relu", &["b"], &["y"], vec![]),
    ];
    let found = problems(&model(&[3, 8, 8], nodes, vec![]));
    let operators: Vec<&str> = found.iter().map(|p| p.op.as_str()).collect();
    assert_eq!(operators, ["Hardmax", "Softmax"]);

    // The file says what shape others have.
    let nodes = vec![
        node("GridSample", &["x", "w"], &["a"], vec![]),
        node("Conv", &["a", "w"], &["y"], vec![]),
    ];
    let mut upsampled = model(&[3, 8, 8], nodes, vec![weights("w", &[3, 2, 3, 3])]);
    assert_eq!(problems(&upsampled).len(), 1);
    let graph = upsampled.graph.mut_or_insert_default();
    let mut stated = graph.input[0].clone();
    stated.name = "a".into();
    graph.value_info.push(stated);
    let found = problems(&upsampled);
    assert_eq!(found.len(), 2, "{found:?}");
    assert_says(&found[1], &["'Conv_y' (Conv)", "wants 2 input channels, found 3"]);
}

#[test]
fn problems_of_all_inputs_and_outputs_are_told_at_once() {
    let nodes = vec![
        node("Hardmax", &["x"], &["y"], vec![]),
        node("Softmax", &["second"], &["z"], vec![int("axis", 0)]),
    ];
    let mut both = model(&[4], nodes, vec![]);
    let graph = both.graph.mut_or_insert_default();
    for (values, name) in [(&mut graph.input, "second"), (&mut graph.output, "z")] {
        let mut another = values[0].clone();
        another.name = name.into();
        values.push(another);
    }
    assert_says(error(&both), &["2 parts", "(Hardmax)", "over the batch axis"]);
}

#[test]
fn a_quantized_model_is_called_so_in_one_line() {
    let mut nodes = Vec::new();
    let mut before = "x".to_string();
    for i in 0..120 {
        let (integer, real) = (format!("q{i}"), format!("d{i}"));
        let scale = format!("s{i}");
        nodes.push(node("DynamicQuantizeLinear", &[&before], &[&integer, &scale], vec![]));
        nodes.push(node("ConvInteger", &[&integer, "w"], &[&real], vec![]));
        before = real;
    }
    nodes.push(node("Relu", &[&before], &["y"], vec![]));
    let text = error(&model(&[4], nodes, vec![weights("w", &[1, 1, 1])])).to_string();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert_says(
        text,
        &[
            "120 DynamicQuantizeLinear ('DynamicQuantizeLinear_q0', 'DynamicQuantizeLinear_q1', ",
            "120 ConvInteger",
            "quantized dynamically",
            "give the float model",
        ],
    );
}

#[test]
fn files_that_keep_to_the_standard_are_not_called_broken() {
    let bound = node("Clip", &["x", "w"], &["y"], vec![]);
    let per_channel = refusal(vec![bound], vec![weights("w", &[3, 1, 1])]);
    assert_says(&per_channel, &["one element, found the shape [3, 1, 1]", "one number"]);
    let three = node("Sub", &["x", "w", "w"], &["y"], vec![]);
    let three = refusal(vec![three], vec![weights("w", &[])]);
    assert_says(&three, &["expected 2 inputs, found 3"]);
    for message in [per_channel, three] {
        assert!(!message.contains("standard"), "{message}");
    }
}

#[test]
fn only_what_is_the_same_idea_is_suggested() {
    for op in ["Slic", "Sun", "Rel", "ReduceMax", "Split"] {
        let message = refusal(vec![node(op, &["x"], &["y"], vec![])], vec![]);
        assert!(!message.contains("nearest"), "{message}");
    }
    let hardest = refusal(vec![node("Hardmax", &["x"], &["y"], vec![])], vec![]);
    assert_says(hardest, &["train with Relu"]);
}

#[test]
fn models_without_standard_operators_are_models() {
    let mut regression = node("LinearRegressor", &["x"], &["y"], vec![]);
    regression.domain = "ai.onnx.ml".into();
    let mut classical = model(&[4], vec![regression], vec![]);
    classical.opset_import[0].domain = "ai.onnx.ml".into();
    classical.opset_import[0].version = 3;
    assert_says(error(&classical), &["(ai.onnx.ml.LinearRegressor)", "only neural networks"]);
}

#[test]
fn what_is_not_attention_over_all_keys_is_refused_in_words() {
    let cached = node("Attention", &["x", "x", "x", "", "w", "w"], &["y"], vec![]);
    let cached = refusal(vec![cached], vec![weights("w", &[1, 3, 8, 8])]);
    assert_says(cached, &["past_key", "over the whole sequence"]);
    let masked = node("Attention", &["x", "x", "x", "x"], &["y"], vec![]);
    assert_says(refusal(vec![masked], vec![]), &["attn_mask is computed", "a fixed mask"]);
    let turned = node("Attention", &["x", "x", "w"], &["y"], vec![]);
    let turned = refusal(vec![turned], vec![weights("w", &[1, 3, 8, 8])]);
    assert_says(turned, &["input 2 is a constant"]);
}

#[test]
fn choices_of_numbers_that_no_grid_holds_are_refused() {
    let nodes = || {
        vec![
            node("Greater", &["x", "x"], &["t"], vec![]),
            node("Where", &["t", "w", "x"], &["y"], vec![]),
        ]
    };
    let mut far = weights("w", &[1]);
    far.float_data = vec![-1e9];
    assert_says(refusal(nodes(), vec![far]), &["-1000000000", "near the values"]);
}

#[test]
fn names_of_classes_are_refused_with_what_to_do() {
    let mut named = node("ArrayFeatureExtractor", &["w", "x"], &["y"], vec![]);
    named.domain = "ai.onnx.ml".into();
    assert_says(refusal(vec![named], vec![weights("w", &[3])]), &["the output of probabilities"]);
}

#[test]
fn names_that_stand_twice_are_refused() {
    let conv = || vec![node("Conv", &["x", "w"], &["y"], vec![])];
    let twice = vec![weights("w", &[2, 3, 3, 3]), weights("w", &[2, 3, 3, 3])];
    assert_says(refusal(conv(), twice), &["'w' (initializer)", "have this name"]);
}

#[test]
fn newer_operator_sets_are_read() {
    for opset in [25, 26, 27, 28] {
        let mut newest = model(&[4], vec![node("Relu", &["x"], &["y"], vec![])], vec![]);
        newest.opset_import[0].version = opset;
        onnx::parse(&bytes(&newest), "new").expect("its operators have not changed");
    }
}
