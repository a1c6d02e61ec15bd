//! Bad ONNX files get an error that says what is wrong and what to do, at once and in little memory.

mod build;
mod external;
mod integers;
mod messages;
mod movement;
mod recurrent;
mod shapes;

use std::path::Path;

use burn_ptq::import::onnx::{self, ImportError, Problem};
use onnx_ir::{ModelProto, NodeProto, TensorProto};
use peak_alloc::PeakAlloc;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use build::{
    bytes, elementwise_model, groups_model, image_model, int, ints, list, model, movement_model,
    node, sequence_model, string, upsampling_model, weights,
};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

fn error(model: &ModelProto) -> ImportError {
    onnx::parse(&bytes(model), "bad").expect_err("the model is bad")
}

fn problems(model: &ModelProto) -> Vec<Problem> {
    match error(model) {
        ImportError::Unsupported { problems, .. } => problems,
        other => panic!("expected problems of nodes, found: {other}"),
    }
}

/// The message of the only problem of a model of one node over samples of `[3, 8, 8]`.
fn refusal(nodes: Vec<NodeProto>, tensors: Vec<TensorProto>) -> String {
    let problems = problems(&model(&[3, 8, 8], nodes, tensors));
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems[0].to_string()
}

#[track_caller]
fn assert_says(message: impl ToString, parts: &[&str]) {
    let message = message.to_string();
    for part in parts {
        assert!(message.contains(part), "'{part}' is missing in: {message}");
    }
}

#[test]
fn the_models_that_are_spoilt_here_are_good() {
    for model in [
        image_model(),
        sequence_model(),
        elementwise_model(),
        movement_model(),
        groups_model(),
        recurrent::lstm(),
        upsampling_model(),
    ] {
        let graph = onnx::parse(&bytes(&model), "good").expect("a good model");
        graph.verify().expect("a valid graph");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = onnx::read(Path::new("no/such/model.onnx")).expect_err("there is no such file");
    assert_says(error, &["cannot read", "no/such/model.onnx"]);
}

#[test]
fn an_empty_file_is_called_empty() {
    let error = onnx::parse(&[], "empty.onnx").expect_err("it is empty");
    assert_says(error, &["'empty.onnx' is empty", "found 0 bytes"]);
}

#[test]
fn a_truncated_file_is_called_truncated() {
    let whole = bytes(&image_model());
    for len in [whole.len() - 1, whole.len() / 2, 20, 3] {
        let error = onnx::parse(&whole[..len], "cut.onnx").expect_err("it is truncated");
        assert!(matches!(error, ImportError::NotOnnx { .. }), "{len} bytes: {error}");
        assert_says(error, &["'cut.onnx'", "truncated or damaged", "copy it again"]);
    }
}

#[test]
fn random_bytes_are_not_onnx() {
    for seed in 0..100 {
        let mut noise = vec![0; 1000];
        ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut noise);
        let error = onnx::parse(&noise, "noise").expect_err("it is noise");
        assert!(matches!(error, ImportError::NotOnnx { .. }), "seed {seed}: {error}");
        assert_says(error, &["'noise' is not an ONNX file"]);
    }
}

#[test]
fn a_file_of_another_format_is_not_onnx() {
    let error = onnx::parse(b"\x89PNG\r\n\x1a\n and so on", "picture").expect_err("a picture");
    assert_says(error, &["'picture' is not an ONNX file"]);
}

#[test]
fn other_versions_are_named_with_those_that_are_supported() {
    for opset in [5, 29, -1] {
        let mut old = image_model();
        old.opset_import[0].version = opset;
        let found = format!("opset {opset}, supported are 6 to 28");
        assert_says(error(&old), &[&found, "onnx.version_converter"]);
    }
    for version in [2, 99] {
        let mut old = image_model();
        old.ir_version = version;
        let found = format!("IR version {version}, supported are 3 to 14");
        assert_says(error(&old), &[&found, "another version of the exporter"]);
    }
}

#[test]
fn all_unsupported_nodes_are_listed_at_once() {
    let mut custom = node("Fancy", &["b"], &["c"], vec![]);
    custom.domain = "com.example".into();
    let mut unnamed = node("GridSample", &["x", "x"], &["e"], vec![]);
    unnamed.name.clear();
    let nodes = vec![
        node("LRN", &["x"], &["a"], vec![]),
        node("Relu", &["a"], &["b"], vec![]),
        custom,
        unnamed,
        node("Add", &["c", "e"], &["y"], vec![]),
    ];
    let model = model(&[3, 8, 8], nodes, vec![]);
    let found = problems(&model);
    let names: Vec<(&str, &str)> = found.iter().map(|p| (p.node.as_str(), p.op.as_str())).collect();
    assert_eq!(names, [("LRN_a", "LRN"), ("Fancy_c", "com.example.Fancy"), ("e", "GridSample")]);
    let hints = ["batch normalization", "cut the model before it", "no integer kernel"];
    for (problem, hint) in found.iter().zip(hints) {
        assert_says(problem, &["not supported", hint]);
    }
    assert_says(error(&model), &["3 parts of the model", "'LRN_a' (LRN)", "'e' (GridSample)"]);
}

#[test]
fn unsupported_nodes_that_the_output_does_not_need_are_no_problem() {
    let nodes =
        vec![node("Relu", &["x"], &["y"], vec![]), node("TopK", &["x"], &["k", "i"], vec![])];
    let graph = onnx::parse(&bytes(&model(&[4], nodes, vec![])), "good").expect("a good model");
    assert_eq!(graph.nodes.len(), 1);
}

#[test]
fn nodes_in_any_order_are_sorted_and_cycles_are_refused() {
    let mut shuffled = image_model();
    shuffled.graph.mut_or_insert_default().node.reverse();
    let graph = onnx::parse(&bytes(&shuffled), "shuffled").expect("a good model");
    graph.verify().expect("a valid graph");

    let cycle =
        vec![node("Add", &["x", "y"], &["a"], vec![]), node("Relu", &["a"], &["y"], vec![])];
    assert_says(refusal(cycle, vec![]), &["depends on its own output"]);
}

#[test]
fn constants_that_cannot_be_read_are_named() {
    let conv = || vec![node("Conv", &["x", "w"], &["y"], vec![])];
    let mut external = weights("w", &[2, 3, 3, 3]);
    external.external_data.push(Default::default());
    assert_says(
        refusal(conv(), vec![external]),
        &["'w' (initializer)", "external data", "read from memory", "read the model by its path"],
    );
    let mut strings = weights("w", &[2, 3, 3, 3]);
    strings.data_type = 8;
    assert_says(refusal(conv(), vec![strings]), &["'w' (initializer)", "STRING"]);
    for dims in [&[2, 3, 3, 4][..], &[-2, 3, 3, 3], &[1 << 62, 1 << 62], &[1 << 40], &[], &[0]] {
        let mut wrong = weights("w", &[2, 3, 3, 3]);
        wrong.dims = dims.to_vec();
        assert_says(refusal(conv(), vec![wrong]), &["'w' (initializer)", "disagree"]);
    }
    let mut odd = list("w", &[1, 2]);
    odd.raw_data = vec![0; 15].into();
    assert_says(refusal(conv(), vec![odd]), &["elements of 8 bytes, found 15"]);
    let mut nan = weights("w", &[2, 3, 3, 3]);
    nan.float_data[7] = f32::NAN;
    assert_says(refusal(conv(), vec![nan]), &["'Conv_y' (Conv)", "NaN"]);
    assert_says(refusal(conv(), vec![]), &["reads 'w', which nothing writes"]);
}

#[test]
fn models_need_inputs_and_outputs_that_are_computed() {
    let mut two = model(&[4], vec![node("Relu", &["x"], &["y"], vec![])], vec![]);
    let graph = two.graph.mut_or_insert_default();
    let mut second = graph.input[0].clone();
    second.name = "mask".into();
    graph.input.push(second);
    onnx::parse(&bytes(&two), "unread").expect("nothing reads the second input");
    two.graph.mut_or_insert_default().node[0] = node("Add", &["x", "mask"], &["y"], vec![]);
    let graph = onnx::parse(&bytes(&two), "two").expect("inputs may be several");
    let names = |ids: &[burn_ptq::graph::ValueId]| -> Vec<String> {
        ids.iter().map(|&id| graph.value(id).name.clone()).collect()
    };
    assert_eq!(
        (names(&graph.inputs), names(&graph.outputs)),
        (vec!["x".into(), "mask".into()], vec!["y".into()])
    );

    let mut none = image_model();
    none.graph.mut_or_insert_default().output.clear();
    assert_says(error(&none), &["expected an output, found none"]);

    let mut unwritten = image_model();
    unwritten.graph.mut_or_insert_default().output[0].name = "nowhere".into();
    assert_says(error(&unwritten), &["'nowhere'", "nothing writes"]);
}

#[test]
fn inputs_have_fixed_float_samples() {
    let spoilt = |spoil: fn(&mut ModelProto)| {
        let mut model = image_model();
        spoil(&mut model);
        error(&model)
    };
    fn kind(model: &mut ModelProto) -> &mut onnx_ir::ValueInfoProto {
        &mut model.graph.mut_or_insert_default().input[0]
    }
    let symbolic = spoilt(|m| {
        let kind = kind(m).type_.mut_or_insert_default().mut_tensor_type();
        kind.shape.mut_or_insert_default().dim[2].set_dim_param("height".into());
    });
    assert_says(
        symbolic,
        &[
            "'x' (input)",
            "found [N, 3, height, 16]",
            "--shape 'x=1x3x96x16'",
            "calibrate with samples",
        ],
    );
    let huge = spoilt(|m| {
        let kind = kind(m).type_.mut_or_insert_default().mut_tensor_type();
        kind.shape.mut_or_insert_default().dim[2].set_dim_value(1 << 40);
    });
    assert_says(huge, &["'x' (input)", "elements", "models for microcontrollers are smaller"]);
    let integers = spoilt(|m| {
        kind(m).type_.mut_or_insert_default().mut_tensor_type().elem_type = 2;
    });
    assert_says(integers, &["computes with integers", "cast them to floats"]);
    let strings = spoilt(|m| {
        kind(m).type_.mut_or_insert_default().mut_tensor_type().elem_type = 8;
    });
    assert_says(strings, &["expected a tensor of numbers, found STRING"]);
    let flat = spoilt(|m| {
        let kind = kind(m).type_.mut_or_insert_default().mut_tensor_type();
        kind.shape.mut_or_insert_default().dim.truncate(1);
    });
    assert_says(flat, &["expected fixed extents behind the batch, found [N]"]);
    let unshaped = spoilt(|m| kind(m).type_.clear());
    assert_says(unshaped, &["'x' (input)", "UNDEFINED"]);
}

#[test]
fn shapes_that_do_not_fit_are_told_with_node_expected_and_found() {
    let conv = node("Conv", &["x", "w"], &["y"], vec![]);
    assert_says(
        refusal(vec![conv.clone()], vec![weights("w", &[2, 4, 3, 3])]),
        &["'Conv_y' (Conv)", "wants 4 input channels, found 3", "check the shapes"],
    );
    assert_says(
        refusal(vec![conv], vec![weights("w", &[2, 3, 9, 9])]),
        &["reaches over 9 elements", "has 8", "check the input's size"],
    );
    let gemm = node("Gemm", &["x", "w"], &["y"], vec![]);
    assert_says(
        refusal(vec![gemm], vec![weights("w", &[192, 2])]),
        &["samples of one axis, found [3, 8, 8]"],
    );
    let reshape = node("Reshape", &["x", "s"], &["y"], vec![]);
    assert_says(
        refusal(vec![reshape], vec![list("s", &[-1, 128])]),
        &["[3, 8, 8] to [-1, 128]", "the first extent must be the batch"],
    );
}

#[test]
fn what_mixes_the_samples_of_a_batch_is_refused() {
    let cases = [
        node("Concat", &["x", "x"], &["y"], vec![int("axis", 0)]),
        node("Softmax", &["x"], &["y"], vec![int("axis", 0)]),
        node("Squeeze", &["x", "zero"], &["y"], vec![]),
        node("ReduceMean", &["x"], &["y"], vec![]),
    ];
    for case in cases {
        let message = refusal(vec![case], vec![list("zero", &[0])]);
        assert!(message.contains("batch"), "{message}");
    }
}

#[test]
fn attributes_out_of_range_are_refused() {
    let pool = |attribute: onnx_ir::AttributeProto| {
        let mut attributes = vec![ints("kernel_shape", &[2, 2])];
        attributes.retain(|a| a.name != attribute.name);
        attributes.push(attribute);
        refusal(vec![node("MaxPool", &["x"], &["y"], attributes)], vec![])
    };
    assert_says(pool(ints("kernel_shape", &[-3, 2])), &["'kernel_shape'", "[-3, 2]"]);
    assert_says(pool(ints("kernel_shape", &[2, 2, 2])), &["'kernel_shape'", "expected 2 numbers"]);
    assert_says(pool(ints("kernel_shape", &[i64::MAX, 1])), &["'kernel_shape'"]);
    assert_says(pool(ints("strides", &[0, 1])), &["'strides'", "[0, 1]"]);
    assert_says(pool(ints("pads", &[0, -1, 0, 0])), &["'pads'"]);
    assert_says(pool(ints("pads", &[1 << 20, 1, 0, 0])), &["'pads'", "to 65535"]);
    for (pads, window) in [
        ([8, 0, 0, 0], "window 0 along height"),
        ([0, 0, 2, 0], "window 8 along height"),
        ([0, 0, 0, 2], "window 8 along width"),
    ] {
        let parts = [window, "only padding", "check its kernel_shape, strides and pads"];
        assert_says(pool(ints("pads", &pads)), &parts);
    }
    assert_says(pool(int("strides", 2)), &["'strides'", "expected type INTS"]);
    let group = node("Conv", &["x", "w"], &["y"], vec![int("group", -1)]);
    assert_says(refusal(vec![group], vec![weights("w", &[2, 3, 1, 1])]), &["'group'"]);
}

#[test]
fn convolutions_that_begin_behind_their_input_are_refused() {
    let conv = |pads: [i64; 4]| {
        let conv = node("Conv", &["x", "w"], &["y"], vec![ints("pads", &pads)]);
        model(&[3, 8, 8], vec![conv], vec![weights("w", &[2, 3, 2, 2])])
    };
    for (pads, axis, behind) in [
        ([0, 0, 2, 0], "height", "starts 0 elements behind the input of 8"),
        ([0, 0, 0, 5], "width", "starts 3 elements behind the input of 8"),
        ([1, 0, 4, 0], "height", "starts 2 elements behind the input of 8"),
    ] {
        let found = problems(&conv(pads));
        let [problem] = &found[..] else { panic!("one problem: {found:?}") };
        assert_says(problem, &["'Conv_y' (Conv)", axis, behind, "check its kernel_shape"]);
    }
    // Those that integer kernels can run, though their last windows hold padding alone.
    for pads in [[0, 0, 1, 0], [2, 2, 2, 2], [1, 0, 2, 0]] {
        let graph = onnx::parse(&bytes(&conv(pads)), "padded").expect("a good model");
        assert_eq!(graph.nodes.len(), 1);
    }
}

#[test]
fn integers_that_no_float_holds_are_named_where_a_network_computes_with_them() {
    let add = || {
        vec![
            node("Cast", &["c"], &["f"], vec![int("to", 1)]),
            node("Add", &["x", "f"], &["y"], vec![]),
        ]
    };
    for (value, rounded) in [(16_777_217, "16777216"), (i64::MAX, "9223372036854775808")] {
        let message = refusal(add(), vec![list("c", &[value])]);
        assert_says(message, &[&value.to_string(), rounded, "store the constant as floats"]);
    }
    for value in [16_777_216, -16_777_218, i64::MIN] {
        let tensors = vec![list("c", &[value])];
        onnx::parse(&bytes(&model(&[3, 8, 8], add(), tensors)), "exact").expect("a good model");
    }
    // Where they are places and no numbers, they may be as large as they like.
    let nodes = vec![
        node("Slice", &["w", "zero", "end"], &["s"], vec![]),
        node("Add", &["x", "s"], &["y"], vec![]),
    ];
    let tensors = vec![weights("w", &[8]), list("zero", &[0]), list("end", &[i64::MAX])];
    onnx::parse(&bytes(&model(&[3, 8, 8], nodes, tensors)), "slice").expect("a good model");
}

#[test]
fn a_second_output_is_refused_only_where_it_is_used() {
    let kernel = || vec![ints("kernel_shape", &[2, 2])];
    let used = vec![
        node("MaxPool", &["x"], &["m", "i"], kernel()),
        node("Cast", &["i"], &["c"], vec![int("to", 1)]),
        node("Add", &["m", "c"], &["y"], vec![]),
    ];
    assert_says(refusal(used, vec![]), &["'MaxPool_m'", "output 'i' is used"]);
    let unused = vec![node("MaxPool", &["x"], &["y", "i"], kernel())];
    onnx::parse(&bytes(&model(&[3, 8, 8], unused, vec![])), "good").expect("a good model");
}

#[test]
fn training_models_are_refused() {
    let parameters = || ["s", "b", "m", "v"].map(|n| weights(n, &[3])).to_vec();
    let inputs = ["x", "s", "b", "m", "v"];
    let norm = |outputs: &[&str], attributes| {
        let mut model = model(
            &[3, 8, 8],
            vec![node("BatchNormalization", &inputs, outputs, attributes)],
            parameters(),
        );
        model.opset_import[0].version = 15;
        model
    };
    let training = norm(&["y"], vec![int("training_mode", 1)]);
    assert_says(error(&training), &["training mode", "model.eval()"]);
    let mut old = norm(&["y", "mean", "var", "sm", "sv"], vec![]);
    old.opset_import[0].version = 9;
    assert_says(error(&old), &["training mode", "model.eval()"]);
}

#[test]
fn hostile_sizes_cost_neither_memory_nor_time() {
    let relu = || node("Relu", &["x"], &["y"], vec![]);
    let add = |constant: NodeProto| vec![constant, node("Add", &["x", "c"], &["y"], vec![])];
    let mut doubling = vec![node("Concat", &["w", "w"], &["d0"], vec![int("axis", 0)])];
    for i in 0..60 {
        let (from, to) = (format!("d{i}"), format!("d{}", i + 1));
        doubling.push(node("Concat", &[&from, &from], &[&to], vec![int("axis", 0)]));
    }
    doubling.push(node("Add", &["x", "d60"], &["y"], vec![]));
    let mut sigmoids = vec![node("Sigmoid", &["x"], &["s0"], vec![])];
    for i in 1..8000 {
        sigmoids.push(node("Sigmoid", &[&format!("s{}", i - 1)], &[&format!("s{i}")], vec![]));
    }
    sigmoids.push(node("Relu", &["s7999"], &["y"], vec![]));
    let wide = list("s", &[0, 0, 0, 0, 0, 0, 0, 1 << 24]);
    let widest = list("s", &[0, 0, 0, 0, 0, 0, 0, i64::MAX]);
    let pad = || vec![node("Pad", &["x", "s"], &["y"], vec![])];
    let pools = |count: usize| {
        let attributes = || vec![ints("kernel_shape", &[1, 1]), ints("pads", &[0; 4])];
        let mut nodes = Vec::new();
        for i in 0..count {
            let from = if i == 0 { "x".to_string() } else { format!("p{i}") };
            nodes.push(node("MaxPool", &[&from], &[&format!("p{}", i + 1)], attributes()));
        }
        nodes.push(node("Relu", &[&format!("p{count}")], &["y"], vec![]));
        nodes
    };
    let shape = || list("s", &[1 << 20, 1 << 20, 1 << 20]);
    let long = || list("s", &[1 << 30]);
    let constants = "256 MiB that a model's constants may take";
    let cases = vec![
        (add(node("ConstantOfShape", &["s"], &["c"], vec![])), vec![shape()], constants),
        (add(node("ConstantOfShape", &["s"], &["c"], vec![])), vec![long()], constants),
        (
            add(node("Expand", &["w", "s"], &["c"], vec![])),
            vec![weights("w", &[1]), long()],
            constants,
        ),
        (doubling, vec![weights("w", &[64])], constants),
        (vec![relu(); 100_000], vec![], "more fields than any model for a microcontroller"),
        (sigmoids, vec![], "more than 2048 nodes that compute"),
        (pad(), vec![wide], "more than 4194304 elements"),
        (pad(), vec![widest], "more than 4194304 elements"),
    ];
    for (case, (nodes, tensors, reason)) in cases.into_iter().enumerate() {
        let model = bytes(&model(&[3, 8, 8], nodes, tensors));
        let error = onnx::parse(&model, "hostile").expect_err("a hostile model");
        assert_says(error, &["'hostile'", reason]);
        assert!(ALLOCATOR.peak_usage_as_gb() < 1.0, "case {case}");
    }
    let long_pools = bytes(&model(&[1, 1 << 22, 1], pools(200), vec![]));
    let error = onnx::parse(&long_pools, "hostile").expect_err("a hostile model");
    assert_says(error, &["the pools visit more than"]);
}

#[test]
fn upsampling_that_has_no_integer_kernel_is_refused_in_words() {
    let resize = |attributes| {
        let nodes = vec![node("Resize", &["x", "", "", "s"], &["y"], attributes)];
        refusal(nodes, vec![list("s", &[1, 3, 16, 16])])
    };
    assert_says(resize(vec![string("mode", "cubic")]), &["(Resize)", "mode 'cubic'", "'linear'"]);
    let smooth = vec![string("mode", "linear"), int("antialias", 1)];
    assert_says(resize(smooth), &["(Resize)", "'antialias'", "average by a pool"]);
    let pool = vec![ints("kernel_shape", &[2, 2]), int("p", 17)];
    let pool = refusal(vec![node("LpPool", &["x"], &["y"], pool)], vec![]);
    assert_says(pool, &["(LpPool)", "expected 1 to 16, found 17"]);
    let transposed = |dims: &[i64], attributes| {
        let nodes = vec![node("ConvTranspose", &["x", "w"], &["y"], attributes)];
        refusal(nodes, vec![weights("w", dims)])
    };
    assert_says(
        transposed(&[4, 2, 3, 3], vec![]),
        &["(ConvTranspose)", "[3, output channels / groups, height, width]", "found [4, 2, 3, 3]"],
    );
    assert_says(
        transposed(&[3, 2, 3, 3], vec![int("group", 2)]),
        &["a divisor of the 3 input channels, found 2"],
    );
    assert_says(
        transposed(&[3, 2, 1, 1], vec![ints("pads", &[4, 0, 4, 0])]),
        &["nothing is left of 8 outputs along axis 0"],
    );
}
