//! Inputs of integers: ids of rows, and numbers that are cast to floats.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use burn_ptq::graph::{FloatModel, Graph, Integers};
use burn_ptq::import::onnx;
use onnx_ir::ModelProto;

use super::build::{bytes, int, model, node, weights};
use super::{assert_says, error};

/// The model with an input of this type.
fn typed(mut model: ModelProto, kind: i32) -> ModelProto {
    let input = &mut model.graph.mut_or_insert_default().input[0];
    input.type_.mut_or_insert_default().mut_tensor_type().elem_type = kind;
    model
}

fn graph(model: &ModelProto) -> Graph {
    onnx::parse(&bytes(model), "integers").expect("a model that is read")
}

fn run(graph: Graph, input: &[f32], dims: [usize; 4]) -> Vec<f32> {
    let device = Device::flex();
    let input = Tensor::<1>::from_floats(input, &device).reshape::<4, _>(dims);
    let output = FloatModel::new(Arc::new(graph), &device).forward(input);
    output.into_data().try_to_vec().expect("floats")
}

const INT64: i32 = 7;
const UINT8: i32 = 2;

#[test]
fn rows_are_looked_up_by_ids_of_which_negative_ones_count_from_the_end() {
    let mut rows = weights("rows", &[3, 2]);
    rows.float_data = (0..6).map(|x| x as f32).collect();
    let nodes = vec![
        node("Cast", &["x"], &["ids"], vec![int("to", 6)]),
        node("Gather", &["rows", "ids"], &["y"], vec![]),
    ];
    let model = typed(model(&[4], nodes, vec![rows]), INT64);
    let graph = graph(&model);
    assert_eq!(graph.value(graph.output()).shape, [4, 2]);
    let found = run(graph, &[0.0, 2.0, -1.0, -3.0], [1, 4, 1, 1]);
    assert_eq!(found, [0.0, 1.0, 4.0, 5.0, 4.0, 5.0, 0.0, 1.0]);
}

#[test]
fn bytes_are_computed_with_once_they_are_cast() {
    let nodes = vec![
        node("Cast", &["x"], &["real"], vec![int("to", 1)]),
        node("Relu", &["real"], &["y"], vec![]),
    ];
    let cast = graph(&typed(model(&[3], nodes, vec![]), UINT8));
    assert_eq!(cast.integers, [Some(Integers { min: 0, max: 255 })]);
    assert_eq!(run(cast, &[0.0, 7.0, 255.0], [1, 3, 1, 1]), [0.0, 7.0, 255.0]);
    let nodes = vec![node("Relu", &["x"], &["y"], vec![])];
    let uncast = typed(model(&[3], nodes, vec![]), UINT8);
    assert_says(error(&uncast), &["computes with integers", "cast them to floats"]);
}
