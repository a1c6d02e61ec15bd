//! What files hold; what interpreters make of them, the conformance suite and `tests/exports` show.

use burn_ptq_kernels::geometry::{ConvGeometry, Window};
use burn_ptq_kernels::grid::Grid;
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::packing::{pack, packed_len, storage_bits};
use burn_ptq_kernels::params::Clamp;

use super::flatbuffer::tests::Reader;
use super::{TfLiteOptions, tflite_model};
use crate::border::Border;
use crate::export::ExportError;
use crate::op::{DType, IntOp, Weighted, Weights};
use crate::program::{Input, IntNode, IntTensor, Output, Program, Provenance, TensorId};

const CHANNELS: usize = 3;

fn tensor(name: &str, shape: [usize; 3], bits: u8, scale: f32) -> IntTensor {
    let (min, max) = burn_ptq_kernels::grid::signed_range(bits, false);
    let grid = Grid { scale, zero_point: -3, min, max };
    IntTensor { name: name.into(), shape, dtype: DType::I8, bits, grid }
}

/// A convolution of 3x3 on 4x4, padded by one on all sides, with weights of so many bits.
fn convolution(weight_bits: u8, output_bits: u8) -> Program {
    let (input, output) =
        (tensor("x", [4, 4, 2], 8, 0.05), tensor("y", [4, 4, 3], output_bits, 0.1));
    let scales: Vec<f32> = vec![0.01, 0.02, 0.03];
    let multipliers: Vec<Multiplier> = scales
        .iter()
        .map(|&scale| Multiplier::of_scales(0.05, scale, 0.1).expect("a multiplier"))
        .map(|multiplier| if output_bits < 8 { multiplier.rounding_once() } else { multiplier })
        .collect();
    let values: Vec<i8> = (0..54).map(|i| (i % 4) as i8 - 2).collect();
    let storage = storage_bits(weight_bits);
    let mut data = vec![0; packed_len(values.len(), storage)];
    pack(&values, storage, &mut data);
    let window = Window { kernel: [3; 2], stride: [1; 2], dilation: [1; 2], pad: [1; 2] };
    let geometry = ConvGeometry {
        input: [4; 2],
        output: [4; 2],
        in_channels: 2,
        out_channels: CHANNELS,
        groups: 1,
        window,
    };
    let weights = Weights { shape: vec![3, 3, 3, 2], bits: weight_bits, storage, data, scales };
    let clamp = Clamp { min: output.grid.min, max: output.grid.max };
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
        tensors: vec![input, output],
        states: Vec::new(),
        loops: Vec::new(),
        provenance: Provenance { version: "1.2.3".into(), seed: 9, ..Provenance::default() },
    }
}

fn bytes(program: &Program) -> Vec<u8> {
    tflite_model(program, TfLiteOptions::default()).expect("a file")
}

/// The only graph of a file.
fn graph(file: &[u8]) -> Reader<'_> {
    Reader::root(file).tables(2)[0]
}

#[test]
fn a_file_holds_the_program_where_the_schema_says() {
    let file = bytes(&convolution(8, 8));
    assert_eq!(&file[4..8], b"TFL3");
    let model = Reader::root(&file);
    assert_eq!(model.int(0), Some(3), "the version of the schema");
    let code = model.tables(1)[0];
    assert_eq!((code.byte(0), code.int(2), code.int(3)), (Some(3), Some(3), Some(3)), "CONV_2D");
    let graph = graph(&file);
    assert_eq!((graph.numbers(1, 4), graph.numbers(2, 4)), (vec![0], vec![3]));
    let operator = graph.tables(3)[0];
    assert_eq!((operator.int(0), operator.byte(3)), (Some(0), Some(1)), "Conv2DOptions");
    assert_eq!((operator.numbers(1, 4), operator.numbers(2, 4)), (vec![0, 1, 2], vec![3]));
    let options = operator.table(4).expect("options");
    let numbers = [1, 2, 4, 5].map(|id| options.int(id));
    assert_eq!(numbers, [Some(1); 4], "strides and dilations");
    assert_eq!((options.byte(0), options.byte(3)), (Some(0), Some(0)), "SAME, no activation");
    let tensors = graph.tables(0);
    let shapes: Vec<Vec<i64>> = tensors.iter().map(|tensor| tensor.numbers(0, 4)).collect();
    assert_eq!(shapes, [vec![1, 4, 4, 2], vec![3, 3, 3, 2], vec![3], vec![1, 4, 4, 3]]);
    let kinds: Vec<Option<u8>> = tensors.iter().map(|tensor| tensor.byte(1)).collect();
    assert_eq!(kinds, [Some(9), Some(9), Some(2), Some(9)], "int8, and int32 for biases");
    let grid = tensors[1].table(4).expect("a quantization");
    let scales: Vec<f32> =
        grid.numbers(2, 4).iter().map(|&bits| f32::from_bits(bits as u32)).collect();
    assert_eq!((scales, grid.numbers(3, 8)), (vec![0.01, 0.02, 0.03], vec![0; 3]));
    assert_eq!(tensors[3].table(4).map(|grid| grid.numbers(3, 8)), Some(vec![-3]));
    let biases = model.tables(4)[tensors[2].int(2).expect("a buffer") as usize];
    let biases: Vec<i32> = biases
        .data(0)
        .expect("data")
        .chunks(4)
        .map(|bytes| i32::from_le_bytes(bytes.try_into().expect("four")))
        .collect();
    assert_eq!(biases, [5, -6, 7]);
}

#[test]
fn the_first_buffer_is_empty_and_all_others_are_aligned() {
    let file = bytes(&convolution(4, 8));
    let buffers = Reader::root(&file).tables(4);
    assert_eq!(buffers[0].vector(0), None);
    assert!(buffers.len() > 3);
    for buffer in &buffers[1..] {
        let (at, count) = buffer.vector(0).expect("data");
        assert!(at % 16 == 0 && count > 0, "{count} bytes at {at}");
    }
}

#[test]
fn ends_have_their_names_and_the_file_says_where_it_came_from() {
    let file = bytes(&convolution(8, 8));
    let model = Reader::root(&file);
    let signature = model.tables(7)[0];
    assert_eq!(signature.text(2), Some("serving_default"));
    let end = |id: usize| {
        let end = signature.tables(id)[0];
        (end.text(0), end.int(1))
    };
    assert_eq!((end(0), end(1)), ((Some("image"), Some(0)), (Some("map"), Some(3))));
    let metadata = model.tables(6)[0];
    assert_eq!(metadata.text(0), Some("burn-ptq"));
    let buffer = model.tables(4)[metadata.int(1).expect("a buffer") as usize];
    let text = std::str::from_utf8(buffer.data(0).expect("a text")).expect("UTF-8");
    assert!(text.contains("burn-ptq 1.2.3, seed 9"), "{text}");
}

#[test]
fn weights_of_few_bits_take_half_a_byte_each() {
    for (bits, kind, count) in [(2, 17, 27), (3, 17, 27), (4, 17, 27), (5, 9, 54), (8, 9, 54)] {
        let file = bytes(&convolution(bits, 8));
        let filter = graph(&file).tables(0)[1];
        let buffer = Reader::root(&file).tables(4)[filter.int(2).expect("a buffer") as usize];
        assert_eq!(filter.byte(1), Some(kind), "{bits} bits");
        let data = buffer.data(0).expect("weights");
        assert_eq!(data.len(), count, "{bits} bits");
        // -2, -1, 0, 1: the first in the low bits.
        let expected: &[u8] = if kind == 17 { &[0xFE, 0x10] } else { &[0xFE, 0xFF, 0, 1] };
        assert_eq!(&data[..expected.len()], expected, "{bits} bits");
    }
}

#[test]
fn whole_bytes_can_be_asked_for() {
    let chosen = TfLiteOptions { whole_bytes: true, ..TfLiteOptions::default() };
    let file = tflite_model(&convolution(4, 8), chosen).expect("a file");
    assert_eq!(graph(&file).tables(0)[1].byte(1), Some(9));
    assert_eq!(file, tflite_model(&convolution(8, 8), chosen).expect("a file"));
}

#[test]
fn the_same_program_gives_the_same_bytes() {
    assert_eq!(bytes(&convolution(4, 8)), bytes(&convolution(4, 8)));
}

fn refusal(program: &Program) -> String {
    let error = tflite_model(program, TfLiteOptions::default()).expect_err("a refusal");
    assert!(matches!(&error, ExportError::Inexpressible { .. }), "{error:?}");
    error.to_string()
}

#[test]
fn outputs_of_few_bits_are_refused_by_the_name_of_the_node() {
    let text = refusal(&convolution(8, 4));
    assert!(text.contains("\"conv\" (Conv2d)") && text.contains("fewer than 8 bits"), "{text}");
    assert!(text.contains("--layer 'NAME:activations=8'"), "{text}");
}

#[test]
fn a_multiplier_that_no_scale_gives_is_refused_and_one_that_a_near_scale_gives_is_found() {
    let mut program = convolution(8, 8);
    let change = |program: &mut Program, multiplier: Multiplier| {
        let IntOp::Conv2d { weighted, .. } = &mut program.nodes[0].op else { unreachable!() };
        weighted.multipliers[1] = multiplier;
    };
    let near = f32::from_bits(0.02_f32.to_bits() + 1);
    change(&mut program, Multiplier::of_scales(0.05, near, 0.1).expect("a multiplier"));
    let file = bytes(&program);
    let scales = graph(&file).tables(0)[1].table(4).expect("a quantization").numbers(2, 4);
    assert_eq!(scales[1], i64::from(near.to_bits()));
    let own = Multiplier::of_scales(0.05, 0.02, 0.1).expect("a multiplier");
    change(&mut program, Multiplier { quantized: own.quantized + 1, ..own });
    assert!(refusal(&program).contains("multipliers"));
}

#[test]
fn bounds_that_no_activation_gives_become_operators() {
    let mut program = convolution(8, 8);
    let IntOp::Conv2d { weighted, .. } = &mut program.nodes[0].op else { unreachable!() };
    weighted.clamp = Clamp { min: -7, max: 50 };
    let file = bytes(&program);
    let codes: Vec<Option<i32>> =
        Reader::root(&file).tables(1).iter().map(|code| code.int(3)).collect();
    assert_eq!(codes, [Some(3), Some(55), Some(57)], "CONV_2D, MAXIMUM, MINIMUM");
}
