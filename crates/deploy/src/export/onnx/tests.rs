//! What files hold; what ONNX Runtime makes of them, the conformance suite and `tests/exports` show.

use burn_ptq_kernels::geometry::{ConvGeometry, Window};
use burn_ptq_kernels::grid::{Grid, signed_range};
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::packing::{pack, packed_len, storage_bits};
use burn_ptq_kernels::params::Clamp;

use super::schema::{Element, Tensor};
use super::{Style, Translation, onnx_model, translate};
use crate::border::Border;
use crate::export::ExportError;
use crate::loops::Loop;
use crate::op::{DType, IntOp, Weighted, Weights};
use crate::program::{Input, IntNode, IntTensor, Output, Program, Provenance, State, TensorId};

fn tensor(name: &str, shape: [usize; 3]) -> IntTensor {
    let (min, max) = signed_range(8, false);
    let grid = Grid { scale: 0.05, zero_point: -3, min, max };
    IntTensor { name: name.into(), shape, dtype: DType::I8, bits: 8, grid }
}

/// A convolution of 3x3 on 4x4 with weights of so many bits.
fn convolution(bits: u8) -> Program {
    let scales = vec![0.01, 0.02, 0.03];
    let derive = |&scale: &f32| Multiplier::of_scales(0.05, scale, 0.05).expect("a multiplier");
    let multipliers = scales.iter().map(derive).collect();
    let values: Vec<i8> = (0..54).map(|i| (i % 4) as i8 - 2).collect();
    let storage = storage_bits(bits);
    let mut data = vec![0; packed_len(values.len(), storage)];
    pack(&values, storage, &mut data);
    let window = Window { kernel: [3; 2], stride: [1; 2], dilation: [1; 2], pad: [1; 2] };
    let geometry = ConvGeometry {
        input: [4; 2],
        output: [4; 2],
        in_channels: 2,
        out_channels: 3,
        groups: 1,
        window,
    };
    let weights = Weights { shape: vec![3, 3, 3, 2], bits, storage, data, scales };
    let clamp = Clamp { min: -128, max: 127 };
    let weighted = Weighted { weights, bias: vec![5, -6, 7], multipliers, clamp };
    Program {
        name: "net".into(),
        nodes: vec![IntNode {
            name: "conv".into(),
            op: IntOp::Conv2d { geometry, weighted },
            inputs: vec![TensorId(0)],
            output: TensorId(1),
        }],
        inputs: vec![Input::new("image", TensorId(0), Border::permuted(&[2, 4, 4], [1, 2, 0]))],
        outputs: vec![Output::new("map", TensorId(1), Border::permuted(&[3, 4, 4], [1, 2, 0]))],
        tensors: vec![tensor("x", [4, 4, 2]), tensor("y", [4, 4, 3])],
        states: Vec::new(),
        loops: Vec::new(),
        provenance: Provenance::default(),
    }
}

fn translated(program: &Program, style: Style) -> Translation {
    translate(program, style).expect("a file")
}

fn operators(translation: &Translation) -> Vec<&str> {
    translation.model.nodes.iter().map(|node| node.operator).collect()
}

fn constant<'a>(translation: &'a Translation, name: &str) -> &'a Tensor {
    let found = translation.model.constants.iter().find(|tensor| tensor.name == name);
    found.expect("a constant")
}

#[test]
fn a_convolution_stands_between_integers_and_keeps_its_names() {
    let file = translated(&convolution(8), Style::Qdq);
    let (quantize, dequantize) = ("QuantizeLinear", "DequantizeLinear");
    // Of the input, the weights and the biases.
    let expected = [quantize, dequantize, dequantize, dequantize, "Conv", quantize, dequantize];
    assert_eq!(operators(&file), expected);
    let conv = &file.model.nodes[4];
    assert_eq!((conv.name.as_str(), conv.outputs[0].as_str()), ("conv", "y"));
    assert_eq!(file.model.inputs[0].name, "image");
    assert_eq!(file.model.outputs[0].name, "map");
    assert_eq!(constant(&file, "conv_weight").shape, [3, 2, 3, 3]);
    // Weight [0, y 0, x 1, i 0] is the program's third.
    assert_eq!(constant(&file, "conv_weight").data[1] as i8, 0);
    assert_eq!(constant(&file, "conv_weight_zero_point").shape, [3]);
    assert_eq!(constant(&file, "conv_bias").element, Element::Int32);
    let bias_scales = &constant(&file, "conv_bias_scale").data;
    assert_eq!(bias_scales[..4], (0.05_f32 * 0.01).to_le_bytes());
}

#[test]
fn weights_take_the_fewest_bits_that_the_operators_read() {
    let stored = |bits| {
        let file = translated(&convolution(bits), Style::Qdq);
        let weight = constant(&file, "conv_weight");
        let cast = operators(&file).contains(&"Cast");
        (weight.element, weight.data.len(), file.model.opset, cast)
    };
    assert_eq!(stored(2), (Element::Int2, 14, 25, true));
    assert_eq!(stored(3), (Element::Int4, 27, 21, false));
    assert_eq!(stored(4), (Element::Int4, 27, 21, false));
    assert_eq!(stored(5), (Element::Int8, 54, 21, false));
}

#[test]
fn operators_on_integers_can_be_asked_for() {
    let file = translated(&convolution(4), Style::QOperator);
    assert_eq!(operators(&file), ["QuantizeLinear", "QLinearConv", "DequantizeLinear"]);
    assert_eq!(constant(&file, "conv_weight").element, Element::Int8);
    assert_eq!(file.model.nodes[1].name, "conv");
}

#[test]
fn states_are_further_inputs_and_outputs() {
    let mut program = convolution(8);
    program.tensors.push(tensor("held", [1, 1, 4]));
    let (input, output) = (TensorId(2), TensorId(2));
    program.states.push(State { name: "cell".into(), input, output, initial: -3 });
    let file = translated(&program, Style::Qdq);
    let names = |ends: &[super::End]| ends.iter().map(|end| end.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&file.model.inputs), ["image", "cell"]);
    assert_eq!(names(&file.model.outputs), ["map", "cell_next"]);
}

#[test]
fn loops_and_scales_beyond_floats_are_refused_by_name() {
    let mut program = convolution(8);
    program.loops.push(Loop { first: 0, count: 1, steps: 5, carried: Vec::new() });
    let error = onnx_model(&program, false).expect_err("a loop");
    assert!(matches!(&error, ExportError::Loops { node, steps: 5, .. } if node == "conv"));
    let mut program = convolution(8);
    program.tensors[1].grid.scale = 1e30;
    let error = onnx_model(&program, false).expect_err("a scale").to_string();
    assert!(error.contains("\"conv\"") && error.contains("1e-12 and 1e12"), "{error}");
}

#[test]
fn names_that_are_taken_get_numbers() {
    let mut program = convolution(8);
    // As the output, and as the input.
    program.tensors[1].name = "map".into();
    program.outputs[0].name = "image".into();
    let file = translated(&program, Style::Qdq);
    let mut seen = std::collections::HashSet::new();
    let outputs = file.model.nodes.iter().flat_map(|node| &node.outputs);
    let inputs = file.model.inputs.iter().map(|end| &end.name);
    let constants = file.model.constants.iter().map(|tensor| &tensor.name);
    for name in outputs.chain(inputs).chain(constants) {
        assert!(seen.insert(name), "{name} is written twice");
    }
    assert_eq!(file.model.outputs[0].name, "image_2");
}

#[test]
fn the_same_program_gives_the_same_bytes() {
    let bytes = || onnx_model(&convolution(3), false).expect("a file");
    assert_eq!(bytes(), bytes());
}
