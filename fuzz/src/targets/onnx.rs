//! ONNX models. What is imported is verified, prepared and, if it is small, executed.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use burn_ptq::graph::{FloatModel, Graph, ValueId, dims3};
use burn_ptq::import::onnx;
use burn_ptq::prepare;
use onnx_ir::{Message, ModelProto};

use crate::mutate::{Random, damage};
use crate::{Target, damaged};

#[path = "../../../crates/burn-ptq/tests/onnx_bad_input/build.rs"]
#[allow(missing_docs, dead_code)]
pub mod build;

/// Graphs with at most this many multiply-accumulates are executed.
const MAX_MACS: usize = 1 << 22;

/// Graphs with at most this many elements in all values are executed.
const MAX_ELEMENTS: usize = 1 << 18;

/// See the module.
pub const TARGET: Target = Target { name: "onnx", seeds, mutate, run };

fn seeds() -> Vec<Vec<u8>> {
    let built = [
        build::image_model(),
        build::sequence_model(),
        build::elementwise_model(),
        build::movement_model(),
        build::groups_model(),
        build::upsampling_model(),
    ];
    let mut files = built.map(|model| build::bytes(&model)).to_vec();
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/cli/demo/model.onnx");
    files.push(std::fs::read(demo).expect("the demo's model is in the repository"));
    files
}

/// Every second file is damaged at the level of bytes, the others at that of fields.
pub(super) fn mutate(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    if random.below(2) == 0 {
        return damaged(random, seeds, damage);
    }
    let mut pick = || ModelProto::parse_from_bytes(&seeds[random.below(seeds.len())]);
    let (Ok(mut model), Ok(other)) = (pick(), pick()) else {
        return damaged(random, seeds, damage);
    };
    change(random, &mut model, &other);
    build::bytes(&model)
}

fn run(input: &[u8]) -> bool {
    let Ok(imported) = onnx::parse(input, "fuzz") else { return false };
    imported.verify().expect("an imported graph is valid");
    let prepared = prepare(imported.clone()).expect("it can be prepared");
    prepared.verify().expect("a prepared graph is valid");
    execute(imported);
    execute(prepared);
    true
}

/// Runs one sample of zeros.
fn execute(graph: Graph) {
    let elements: usize = graph.values.iter().map(|v| v.len()).sum();
    if graph.macs() > MAX_MACS || elements > MAX_ELEMENTS {
        return;
    }
    let device = Device::flex();
    let dims = |ids: &[ValueId]| -> Vec<[usize; 3]> {
        ids.iter().map(|&id| dims3(&graph.value(id).shape)).collect()
    };
    let zeros = |[a, b, c]: [usize; 3]| Tensor::<4>::zeros([1, a, b, c], &device);
    let inputs = dims(&graph.inputs).into_iter().map(zeros).collect();
    let expected = dims(&graph.outputs);
    let outputs = FloatModel::new(Arc::new(graph), &device).forward_all(inputs);
    assert_eq!(outputs.len(), expected.len());
    for (output, expected) in outputs.into_iter().zip(expected) {
        assert_eq!(output.dims()[1..], expected);
    }
}

/// A number at the edges of what attributes hold.
fn edge(random: &mut Random) -> i64 {
    match random.below(4) {
        0 => random.edge() as i64,
        _ => random.below(9) as i64 - 3,
    }
}

/// One of a list.
fn pick<'a, T>(random: &mut Random, list: &'a mut [T]) -> Option<&'a mut T> {
    let place = random.below(list.len());
    list.get_mut(place)
}

/// Changes one to four fields of a model and keeps it well-formed.
fn change(random: &mut Random, model: &mut ModelProto, other: &ModelProto) {
    if let Some(opset) = model.opset_import.first_mut() {
        opset.version = 7 + random.below(18) as i64;
    }
    let graph = model.graph.mut_or_insert_default();
    for _ in 0..=random.below(4) {
        let mut nodes = other.graph.node.clone();
        let (Some(stranger), Some(node)) =
            (pick(random, &mut nodes), pick(random, &mut graph.node))
        else {
            return;
        };
        match random.below(8) {
            0 => node.op_type = stranger.op_type.clone(),
            1 => node.attribute = stranger.attribute.clone(),
            2 => {
                let name = stranger.input.first().cloned().unwrap_or_default();
                if let Some(input) = pick(random, &mut node.input) {
                    *input = name;
                }
            }
            3 | 4 => {
                if let Some(attribute) = pick(random, &mut node.attribute) {
                    attribute.i = edge(random);
                    if let Some(value) = pick(random, &mut attribute.ints) {
                        *value = edge(random);
                    }
                }
            }
            5 => {
                if let Some(tensor) = pick(random, &mut graph.initializer) {
                    let values: Vec<i64> =
                        (0..tensor.raw_data.len() / 8).map(|_| edge(random)).collect();
                    tensor.raw_data =
                        values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>().into();
                }
            }
            6 => {
                // Another shape over as many elements, or over other elements.
                if let Some(tensor) = pick(random, &mut graph.initializer) {
                    let place = random.below(tensor.dims.len() + 1);
                    tensor.dims.insert(place, 1 + random.below(2) as i64);
                    let elements = tensor.dims.iter().product::<i64>().clamp(0, 1 << 16) as usize;
                    tensor.float_data.resize(elements, 0.5);
                }
            }
            _ => {
                let Some(input) = graph.input.first_mut() else { return };
                let kind = input.type_.mut_or_insert_default().mut_tensor_type();
                let dims = &mut kind.shape.mut_or_insert_default().dim;
                if let Some(dim) = pick(random, dims) {
                    dim.set_dim_value(edge(random));
                }
            }
        }
    }
}
