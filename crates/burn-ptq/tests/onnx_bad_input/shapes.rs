//! Extents that a file leaves open, and files without a batch axis.

use burn_ptq::import::onnx::{self, InputShape, Options};
use onnx_ir::ModelProto;

use crate::build::{bytes, int, ints, list, model, node, weights};
use crate::{assert_says, error};

/// A convolution over a sequence of 4 channels and any length.
fn any_length() -> ModelProto {
    let conv = node("Conv", &["x", "w"], &["y"], vec![]);
    let mut model = model(&[4, 1], vec![conv], vec![weights("w", &[2, 4, 3])]);
    let input = &mut model.graph.mut_or_insert_default().input[0];
    let kind = input.type_.mut_or_insert_default().mut_tensor_type();
    kind.shape.mut_or_insert_default().dim[2].set_dim_param("T".into());
    model
}

fn output_shape(options: Options) -> Vec<usize> {
    let graph = onnx::parse_with(&bytes(&any_length()), "any", &options).expect("it is fixed");
    graph.value(graph.output()).shape.clone()
}

fn shape(text: &str) -> Options {
    Options { shapes: vec![text.parse::<InputShape>().expect("a shape")], ..Options::default() }
}

#[test]
fn open_extents_are_fixed_by_a_shape_or_by_the_samples() {
    assert_eq!(output_shape(shape("x=1x4x40")), [2, 38]);
    assert_eq!(output_shape(shape("7x4x40")), [2, 38]);
    let samples =
        |sample: &[usize]| Options { sample: Some(sample.to_vec()), ..Options::default() };
    assert_eq!(output_shape(samples(&[4, 12])), [2, 10]);
    // Channels last.
    assert_eq!(output_shape(samples(&[12, 4])), [2, 10]);
    // A shape that is given wins.
    let both = Options { sample: Some(vec![4, 12]), ..shape("1x4x40") };
    assert_eq!(output_shape(both), [2, 38]);
}

#[test]
fn shapes_that_contradict_the_file_are_refused() {
    let refused = |options| {
        let error = onnx::parse_with(&bytes(&any_length()), "any", &options);
        error.expect_err("it contradicts the file").to_string()
    };
    assert_says(refused(shape("1x5x40")), &["--shape says [1, 5, 40]", "the file says [N, 4, T]"]);
    assert_says(refused(shape("4x40")), &["--shape says [4, 40]", "the batch first"]);
    assert_says(refused(shape("z=1x4x40")), &["'z'", "inputs are [\"x\"]"]);
    let samples = Options { sample: Some(vec![5, 12]), ..Options::default() };
    assert_says(refused(samples), &["--shape 'x=1x4x96'"]);
    assert_says(error(&any_length()), &["--shape 'x=1x4x96'", "calibrate with samples"]);
}

/// A model whose input is one vector of 4.
fn single_vector(op: &str) -> ModelProto {
    let nodes = vec![
        node("MatMul", &["x", "w"], &["a"], vec![]),
        node("Add", &["a", "b"], &["c"], vec![]),
        node(op, &["c"], &["y"], vec![]),
    ];
    let mut model = model(&[], nodes, vec![weights("w", &[4, 3]), weights("b", &[3])]);
    let input = &mut model.graph.mut_or_insert_default().input[0];
    let kind = input.type_.mut_or_insert_default().mut_tensor_type();
    kind.shape.mut_or_insert_default().dim[0].set_dim_value(4);
    model
}

#[test]
fn models_of_single_vectors_are_read_as_far_as_no_node_wants_a_batch() {
    let graph = onnx::parse(&bytes(&single_vector("Relu")), "vector").expect("a good model");
    graph.verify().expect("a valid graph");
    assert_eq!(graph.value(graph.input()).shape, [4]);
    assert_eq!(graph.value(graph.output()).shape, [3]);
    // Axes count without a batch axis too.
    let graph = onnx::parse(&bytes(&single_vector("Softmax")), "vector").expect("a good model");
    assert_eq!(graph.value(graph.output()).shape, [3]);
    let pool = single_vector("GlobalAveragePool");
    assert_says(error(&pool), &["its input has no batch axis", "squeeze()"]);
}

#[test]
fn a_squeeze_of_everything_drops_a_batch_of_one() {
    let squeezed = |last| {
        let pool = node("GlobalAveragePool", &["x"], &["p"], vec![]);
        let squeeze = node("Squeeze", &["p"], &["s"], vec![]);
        let mut model = model(
            &[3, 8, 8],
            vec![pool, squeeze, last],
            vec![weights("w", &[3, 2]), list("i", &[0])],
        );
        let input = &mut model.graph.mut_or_insert_default().input[0];
        let kind = input.type_.mut_or_insert_default().mut_tensor_type();
        kind.shape.mut_or_insert_default().dim[0].set_dim_value(1);
        model
    };
    let product = squeezed(node("MatMul", &["s", "w"], &["y"], vec![]));
    let graph = onnx::parse(&bytes(&product), "squeezed").expect("a good model");
    graph.verify().expect("a valid graph");
    assert_eq!(graph.value(graph.output()).shape, [2]);
    // Axis 0 is that of the channels then, and no axis is left of their mean.
    let mean = vec![ints("axes", &[0]), int("keepdims", 0)];
    let mean = squeezed(node("ReduceMean", &["s"], &["y"], mean));
    let graph = onnx::parse(&bytes(&mean), "squeezed").expect("a good model");
    assert_eq!(graph.value(graph.output()).shape, [1]);
}

#[test]
fn states_of_recurrent_layers_have_the_batch_second() {
    let order = ints("perm", &[1, 0, 2]);
    let nodes = vec![
        node("Transpose", &["x"], &["t"], vec![order]),
        node("RNN", &["t", "w", "r", "", "", "h"], &["", "y"], vec![int("hidden_size", 2)]),
    ];
    let tensors = vec![weights("w", &[1, 2, 3]), weights("r", &[1, 2, 2])];
    let mut model = model(&[5, 3], nodes, tensors);
    let graph = model.graph.mut_or_insert_default();
    let batch = graph.input[0].type_.tensor_type().shape.dim[0].clone();
    assert!(!batch.dim_param().is_empty());
    let mut state = graph.input[0].clone();
    state.name = "h".into();
    let dims = &mut state.type_.mut_or_insert_default().mut_tensor_type().shape;
    let dims = &mut dims.mut_or_insert_default().dim;
    dims[0].set_dim_value(1);
    dims[1] = batch;
    dims[2].set_dim_value(2);
    graph.input.push(state);
    let graph = onnx::parse(&bytes(&model), "states").expect("the state has a batch, too");
    let shapes: Vec<_> = graph.inputs.iter().map(|&id| &graph.value(id).shape[..]).collect();
    assert_eq!(shapes, [&[5, 3][..], &[1, 2]]);
    assert_eq!(graph.value(graph.output()).shape, [1, 2]);
}
