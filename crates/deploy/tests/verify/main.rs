//! The verifier accepts small valid programs and names what is wrong once one thing is broken.

#[allow(dead_code)]
#[path = "../looped/mod.rs"]
mod looped;
mod loops;
#[allow(dead_code)]
#[path = "../programs/mod.rs"]
mod programs;
#[allow(dead_code)]
#[path = "../stateful/mod.rs"]
mod stateful;
mod states;
mod streams;

use burn_ptq_deploy::place::{Placed, Region};
use burn_ptq_deploy::program::{
    Border, Broadcast, Input, IntOp, MoveAxis, Output, Program, TensorId, Weighted,
};
use burn_ptq_deploy::target::Kernels;
use burn_ptq_deploy::verify::{LISTED, verify};
use burn_ptq_kernels::geometry::{ConvGeometry, PoolGeometry, Window};
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::{Clamp, GateFunction, GateParams};
use programs::*;

#[test]
fn valid_programs_of_every_operation_pass() {
    for parts in valid_parts() {
        let name = parts.program.nodes[0].op.name();
        if let Err(error) = parts.placed() {
            panic!("{name}: {error}");
        }
    }
}

/// Breaks `model` with `change` and expects an error that contains `message`.
#[track_caller]
fn breaks(mut model: Program, message: &str, change: impl FnOnce(&mut Program)) {
    change(&mut model);
    let error = verify(&model).expect_err("the broken program must be refused").to_string();
    assert!(error.contains(message), "expected `{message}` in `{error}`");
}

/// The same for the places of a program whose tensors lie side by side.
#[track_caller]
fn misplaces(program: Program, message: &str, change: impl FnOnce(&mut Parts)) {
    let mut parts = side_by_side(program);
    change(&mut parts);
    let error = parts.placed().expect_err("the placement must be refused").to_string();
    assert!(error.contains(message), "expected `{message}` in `{error}`");
}

/// The operation of the last node.
fn op(model: &mut Program) -> &mut IntOp {
    &mut model.nodes.last_mut().expect("a node").op
}

fn conv_geometry(model: &mut Program) -> &mut ConvGeometry {
    match op(model) {
        IntOp::Conv2d { geometry, .. } => geometry,
        other => panic!("{} is not a convolution", other.name()),
    }
}

fn pool_geometry(model: &mut Program) -> &mut PoolGeometry {
    match op(model) {
        IntOp::AveragePool { geometry, .. } | IntOp::MaxPool { geometry, .. } => geometry,
        other => panic!("{} is not a pool", other.name()),
    }
}

fn weights_of(model: &mut Program) -> &mut Weighted {
    match op(model) {
        IntOp::Conv2d { weighted, .. }
        | IntOp::DepthwiseConv2d { weighted, .. }
        | IntOp::TransposeConv2d { weighted, .. }
        | IntOp::FullyConnected { weighted, .. } => weighted,
        other => panic!("{} has no weights", other.name()),
    }
}

#[test]
fn a_tensor_needs_elements_and_a_size_that_cannot_overflow() {
    let message = "tensor `x`: expected 1 to 268435456 bytes of elements, found shape";
    breaks(table8(), message, |m| m.tensors[0].shape = [0, 1, 8]);
    breaks(table8(), message, |m| m.tensors[0].shape = [usize::MAX, usize::MAX, 2]);
    breaks(table8(), message, |m| m.tensors[0].shape = [1 << 31, 1, 1]);
    breaks(table16(), message, |m| m.tensors[0].shape = [1 << 28, 1, 1]);
}

#[test]
fn bits_agree_with_the_element_type() {
    let message = "tensor `y`: expected 2 to 8 bits in I8, 16 bits in I16, or 2 to 4 bits in I4";
    for bits in [0, 1, 9, 16, 255] {
        breaks(table8(), message, |m| m.tensors[1].bits = bits);
    }
    breaks(table16(), message, |m| m.tensors[1].bits = 8);
}

#[test]
fn grids_are_sound() {
    for scale in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        breaks(table8(), "expected a positive finite scale", |m| m.tensors[0].grid.scale = scale);
    }
    let message = "tensor `x`: expected -128 <= min <= zero point <= max <= 127";
    breaks(table8(), message, |m| m.tensors[0].grid.zero_point = 128);
    breaks(table8(), message, |m| m.tensors[0].grid.min = -129);
    breaks(table8(), message, |m| m.tensors[0].grid.max = 128);
    breaks(table8(), message, |m| m.tensors[0].grid.min = i32::MIN);
    breaks(table8(), "expected -8 <= min", |m| m.tensors[0].bits = 4);
    breaks(table16(), "zero point 0 in 16 bits, found zero point 1", |m| {
        m.tensors[0].grid.zero_point = 1;
    });
}

#[test]
fn ids_are_in_range() {
    let id = TensorId(99);
    let found = "tensor id below 2, found id 99";
    breaks(table8(), &format!("model: expected the input's {found}"), |m| m.inputs[0].tensor = id);
    breaks(table8(), &format!("model: expected the output's {found}"), |m| {
        m.outputs[0].tensor = id
    });
    let node = "node `node` (Table8): expected the";
    breaks(table8(), &format!("{node} input's {found}"), |m| m.nodes[0].inputs[0] = id);
    breaks(table8(), &format!("{node} output's {found}"), |m| m.nodes[0].output = id);
}

#[test]
fn operations_have_their_number_of_inputs() {
    breaks(add(), "(Add): expected 2 inputs, found 1", |m| m.nodes[1].inputs.truncate(1));
    breaks(table8(), "expected 1 input, found 0", |m| m.nodes[0].inputs.clear());
    breaks(concat(), "expected 2 inputs, found 1", |m| m.nodes[1].inputs.truncate(1));
    breaks(concat(), "expected 1 input, found 0", |m| {
        m.nodes[1].inputs.clear();
        *op(m) = IntOp::Concat { outer: 1, chunks: vec![] };
    });
}

#[test]
fn tensors_are_written_once_and_before_they_are_read() {
    breaks(chain(), "expected input `y` written by an earlier node", |m| m.nodes.swap(0, 1));
    breaks(chain(), "an output that no earlier node writes, found `y`", |m| {
        m.nodes[1].output = TensorId(1);
    });
    breaks(chain(), "the model's inputs are written by the caller alone, found `x`", |m| {
        m.nodes[1].output = TensorId(0);
    });
    breaks(chain(), "tensor `orphan`: expected a node that writes it, found none", |m| {
        m.tensors.push(tensor("orphan", [1, 1, 1]));
    });
}

#[test]
fn inputs_and_outputs_have_names_and_inputs_tensors_of_their_own() {
    breaks(table8(), "expected 1 to 64 inputs, found 0", |m| m.inputs.clear());
    breaks(table8(), "expected 1 to 64 outputs, found 0", |m| m.outputs.clear());
    breaks(table8(), "expected 1 to 64 outputs, found 65", |m| {
        m.outputs = vec![m.outputs[0].clone(); 65];
    });
    breaks(table8(), "inputs with names of their own, found two called `x`", |m| {
        m.inputs.push(m.inputs[0].clone());
    });
    breaks(table8(), "inputs of tensors of their own, found tensor 0 twice", |m| {
        let again = Input { name: "again".into(), ..m.inputs[0].clone() };
        m.inputs.push(again);
    });
    // One activation may be several outputs, an input among them.
    let mut model = table8();
    for (name, tensor) in [("again", TensorId(1)), ("passed", TensorId(0))] {
        model.outputs.push(Output { name: name.into(), tensor, ..model.outputs[0].clone() });
    }
    verify(&model).unwrap();
}

#[test]
fn a_preprocessing_fits_the_input() {
    let model = conv;
    breaks(model(), "the input scale is 0", |m| m.inputs[0].preprocessing.scale = 0.0);
    breaks(model(), "the input std holds [-1.0]", |m| m.inputs[0].preprocessing.std = vec![-1.0]);
    breaks(model(), "the input mean has 7 values", |m| {
        m.inputs[0].preprocessing.mean = vec![0.5; 7]
    });
    breaks(model(), "channels lie along axis", |m| {
        m.inputs[0].preprocessing.channel_axis = usize::MAX
    });
}

#[test]
fn borders_lead_to_the_tensors() {
    breaks(pad(), "as many elements as the source's input sample of [3, 3]", |m| {
        m.inputs[0].border.source_shape = vec![3, 3];
    });
    breaks(pad(), "as many elements as the border's input sample of [3, 3]", |m| {
        m.inputs[0].border.extents = vec![3, 3];
    });
    breaks(pad(), "as many elements as the border's output sample", |m| {
        m.outputs[0].border.extents = vec![usize::MAX, 2, 2];
    });
    breaks(pad(), "a permutation of the 3 axes at the output, found [0, 1, 1]", |m| {
        m.outputs[0].border.axes = vec![0, 1, 1];
    });
    breaks(pad(), "a permutation of the 3 axes at the input, found [0, 1]", |m| {
        m.inputs[0].border.axes = vec![0, 1];
    });
    breaks(pad(), "at most 8 axes of the source's input sample, found 9", |m| {
        m.inputs[0].border.source_shape = vec![1; 9];
    });
    breaks(pad(), "at most 8 axes of the border's input sample, found 9", |m| {
        m.inputs[0].border.extents = vec![1; 9];
    });
}

#[test]
fn element_types_are_those_that_the_operation_knows() {
    breaks(table16(), "(Table8): expected an input of I8, found I16", |m| {
        *op(m) = IntOp::Table8 { table: vec![0; 256] };
    });
    breaks(table8(), "(Table16): expected an input of I16, found I8", |m| {
        *op(m) = IntOp::Table16 { table: vec![0; 513] };
    });
    let i16_input = |m: &mut Program| m.tensors[0] = tensor16("x", m.tensors[0].shape);
    breaks(softmax(), "expected an input of I8, found I16", i16_input);
    breaks(log_softmax(), "expected an input of I8, found I16", i16_input);
    breaks(conv(), "inputs and output of one element type, found I16 and I8", i16_input);
    breaks(pool(true), "inputs and output of one element type, found I16 and I8", i16_input);
    // A sum of 8-bit inputs may have 16 bits, a product of 16-bit ones 8, but not the other way.
    breaks(fully_connected(), "of one element type, found I16 and I8", i16_input);
    breaks(narrow_product(), "of one element type, found I8 and I16", |m| {
        let y = m.tensors[1].shape;
        m.tensors = vec![tensor("x", y), tensor16("y", y)];
    });
    breaks(narrow_product(), "of one element type, found I8 and I8", |m| {
        m.tensors.push(tensor("b", [1, 2, 3]));
        m.inputs.push(Input::new("b", TensorId(2), m.inputs[0].border.clone()));
        m.nodes[0].inputs[1] = TensorId(2);
    });
    breaks(gate(GateFunction::Tanh), "(Gate): expected an input of I16, found I8", |m| {
        m.tensors[0] = tensor("x", [1, 1, 8]);
    });
}

#[test]
fn gates_have_factors_and_grids_of_their_own() {
    type Change = fn(&mut GateParams);
    let changes: [Change; 4] = [
        |params| params.multiplier = 0,
        |params| params.multiplier = i32::MIN,
        |params| params.multiplier = GateParams::MAX_MULTIPLIER + 1,
        |params| params.shift = 19,
    ];
    for change in changes {
        let message = "expected a multiplier of 1 to 49152 and a shift of at most 18, found";
        breaks(gate(GateFunction::Sigmoid), message, |m| match op(m) {
            IntOp::Gate { params } => change(params),
            _ => unreachable!(),
        });
    }
    breaks(gate(GateFunction::Tanh), "an output of [8] elements", |m| {
        m.tensors[1].shape = [1, 1, 9];
        m.outputs[0].border = Border::plain(&[9]);
    });
    let message = "expected output scale 2^-15, range -32767 to 32767, found Grid";
    breaks(gate(GateFunction::Tanh), message, |m| m.tensors[1].grid.scale *= 2.0);
    breaks(gate(GateFunction::Tanh), message, |m| m.tensors[1].grid.max = 32766);
    breaks(gate(GateFunction::Sigmoid), message, |m| m.tensors[1].grid.min = 0);
}

#[test]
fn products_in_fewer_bits_do_not_repeat() {
    breaks(narrow_product(), "inputs of equal shapes for a product of another element type", |m| {
        match op(m) {
            IntOp::Mul { broadcast, .. } => {
                *broadcast = Broadcast::Shapes { a: [1, 2, 3], b: [1, 2, 3] };
            }
            _ => unreachable!(),
        }
    });
    breaks(narrow_product(), "values whose rescaling fits 32 bits", |m| match op(m) {
        IntOp::Mul { multiplier, .. } => multiplier.exponent = 1,
        _ => unreachable!(),
    });
    breaks(wide_sums(), "output bounds within the grid's -32768 to 32767", |m| {
        weights_of(m).clamp.max = 40000;
    });
}

#[test]
fn geometry_agrees_with_the_lengths_of_tensors() {
    breaks(conv(), "an input of [4, 6, 4] elements, found `x`", |m| {
        conv_geometry(m).input[1] = 6;
    });
    breaks(conv(), "an output of [4, 4, 6] elements, found `y`", |m| {
        conv_geometry(m).output[1] = 4;
    });
    breaks(conv(), "an input of [18446744073709551615, 5, 4]", |m| {
        conv_geometry(m).input[0] = usize::MAX;
    });
    breaks(depthwise(), "an output of [4, 4, 9] elements", |m| match op(m) {
        IntOp::DepthwiseConv2d { geometry, .. } => geometry.multiplier = 3,
        _ => unreachable!(),
    });
    breaks(depthwise(), "expected at least one channel, found 3 channels times 0", |m| {
        match op(m) {
            IntOp::DepthwiseConv2d { geometry, .. } => geometry.multiplier = 0,
            _ => unreachable!(),
        }
    });
    breaks(transpose_conv(), "an input of [4, 2, 4] elements", |m| match op(m) {
        IntOp::TransposeConv2d { geometry, .. } => geometry.input[0] = 4,
        _ => unreachable!(),
    });
    breaks(transpose_conv(), "an output of [6, 5, 6] elements", |m| match op(m) {
        IntOp::TransposeConv2d { geometry, .. } => geometry.output[1] = 5,
        _ => unreachable!(),
    });
    breaks(transpose_conv(), "expected groups that divide", |m| match op(m) {
        IntOp::TransposeConv2d { geometry, .. } => geometry.groups = 4,
        _ => unreachable!(),
    });
    breaks(transpose_conv(), "expected stride of 1 to 65535, found [0, 2]", |m| match op(m) {
        IntOp::TransposeConv2d { geometry, .. } => geometry.window.stride[0] = 0,
        _ => unreachable!(),
    });
    breaks(transpose_conv(), "expected weights of shape [6, 2, 3, 2]", |m| match op(m) {
        IntOp::TransposeConv2d { geometry, .. } => geometry.window.kernel[0] = 2,
        _ => unreachable!(),
    });
    breaks(fully_connected(), "an input of [3, 6] elements", |m| match op(m) {
        IntOp::FullyConnected { rows, .. } => *rows = 3,
        _ => unreachable!(),
    });
    breaks(pool(false), "an input of [5, 5, 3] elements", |m| pool_geometry(m).channels = 3);
    breaks(softmax(), "an input of [3, 4] elements", |m| match op(m) {
        IntOp::Softmax { rows, .. } => *rows = 3,
        _ => unreachable!(),
    });
    breaks(concat(), "an input of [4, 4] elements, found `a`", |m| match op(m) {
        IntOp::Concat { chunks, .. } => chunks[0] = 4,
        _ => unreachable!(),
    });
    breaks(concat(), "an output of [4, 6] elements, found `y`", |m| {
        m.tensors[2].shape = [2, 2, 4];
        m.outputs[0].border = border([2, 2, 4]);
    });
    breaks(pad(), "an output of [18446744073709551615, 5, 2] elements", |m| match op(m) {
        IntOp::Pad { before, .. } => before[0] = usize::MAX,
        _ => unreachable!(),
    });
    breaks(transpose(), "an input of [2, 3, 5] elements", |m| match op(m) {
        IntOp::Transpose { input, .. } => input[2] = 5,
        _ => unreachable!(),
    });
    breaks(transpose(), "a permutation of the axes 0, 1, 2, found [2, 0, 3]", |m| match op(m) {
        IntOp::Transpose { axes, .. } => axes[2] = 3,
        _ => unreachable!(),
    });
    let reads = "strides that stay inside the 30 elements of its first input";
    breaks(batch_matmul(), reads, |m| match op(m) {
        IntOp::BatchMatMul { geometry, .. } => geometry.a[1] = 6,
        _ => unreachable!(),
    });
    let once = "strides that reach every element of its output once";
    breaks(batch_matmul(), once, |m| match op(m) {
        IntOp::BatchMatMul { geometry, .. } => geometry.output = [9, 2, 1],
        _ => unreachable!(),
    });
    breaks(batch_matmul(), "1 to 30 products in a sum, found 0", |m| match op(m) {
        IntOp::BatchMatMul { geometry, .. } => geometry.inner = 0,
        _ => unreachable!(),
    });
    breaks(reduce(), "an input of [2, 6, 3] elements", |m| match op(m) {
        IntOp::Reduce { reduced, .. } => *reduced = 6,
        _ => unreachable!(),
    });
    breaks(reduce(), "values whose rescaling fits 32 bits", |m| match op(m) {
        IntOp::Reduce { multiplier, .. } => multiplier.exponent = 25,
        _ => unreachable!(),
    });
    breaks(normalize(), "steps that reach every element once", |m| match op(m) {
        IntOp::Normalize { geometry, .. } => geometry.steps = [7, 0, 1],
        _ => unreachable!(),
    });
    breaks(normalize(), "variations of 62 bits", |m| match op(m) {
        IntOp::Normalize { params, .. } => params.epsilon = 1 << 62,
        _ => unreachable!(),
    });
    breaks(normalize(), "quotients of 26 bits", |m| match op(m) {
        IntOp::Normalize { params, .. } => {
            params.fraction = 0;
            params.multiplier.exponent = 30;
        }
        _ => unreachable!(),
    });
    breaks(normalize(), "more than 7 scales, and no more than elements, found 7", |m| {
        match op(m) {
            IntOp::Normalize { affine: Some(affine), .. } => affine.scales.truncate(7),
            _ => unreachable!(),
        }
    });
    breaks(top_k(), "at most 8 elements of rows", |m| {
        m.tensors[1].shape = [1, 3, 9];
        m.outputs[0].border = border([1, 3, 9]);
        match op(m) {
            IntOp::TopK { k, .. } => *k = 9,
            _ => unreachable!(),
        }
    });
    breaks(top_k(), "places on a grid of scale 1", |m| m.tensors[1].grid.scale = 2.0);
    breaks(lookup8(), "whole rows of 3 elements, found 20 elements", |m| match op(m) {
        IntOp::Lookup8 { width, .. } => *width = 3,
        _ => unreachable!(),
    });
    breaks(lookup16(), "whole rows of 0 elements", |m| match op(m) {
        IntOp::Lookup16 { width, .. } => *width = 0,
        _ => unreachable!(),
    });
    breaks(lookup16(), "ids on a grid of scale 1, found scale 2", |m| {
        m.tensors[0].grid.scale = 2.0
    });
    breaks(rearrange(), "an output of [2, 4, 4, 3] elements", |m| match op(m) {
        IntOp::Rearrange { axes, .. } => axes[3] = MoveAxis::Even { count: 3, step: 0 },
        _ => unreachable!(),
    });
    breaks(rearrange(), "1 to 6 axes, found 7", |m| match op(m) {
        IntOp::Rearrange { axes, .. } => {
            axes.extend(vec![MoveAxis::Even { count: 1, step: 0 }; 3]);
        }
        _ => unreachable!(),
    });
    breaks(rearrange(), "places in an input of 36 elements, found places from -1 to 34", |m| {
        match op(m) {
            IntOp::Rearrange { first, .. } => *first = 23,
            _ => unreachable!(),
        }
    });
    breaks(rearrange(), "found places from 0 to 36", |m| match op(m) {
        IntOp::Rearrange { axes, .. } => axes[1] = MoveAxis::Listed(vec![0, 9, 4, 4]),
        _ => unreachable!(),
    });
    breaks(rearrange(), "found places from -9223372036854775784 to 35", |m| match op(m) {
        IntOp::Rearrange { axes, .. } => axes[0] = MoveAxis::Even { count: 2, step: isize::MIN },
        _ => unreachable!(),
    });
    breaks(rearrange(), "the output's grid", |m| m.tensors[1].grid.scale = 0.1);
    breaks(resize_linear(), "an output of [3, 5, 4] elements", |m| match op(m) {
        IntOp::ResizeLinear { rows, .. } => rows.truncate(3),
        _ => unreachable!(),
    });
    breaks(resize_linear(), "column positions of at most that of the last, 2048", |m| {
        match op(m) {
            IntOp::ResizeLinear { columns, .. } => columns[1] = 2049,
            _ => unreachable!(),
        }
    });
    breaks(requantize(), "an output of [8] elements", |m| {
        m.tensors[1].shape = [2, 2, 1];
        m.outputs[0].border = border([2, 2, 1]);
    });
}

#[test]
fn second_inputs_agree_with_the_broadcast() {
    let with = |kind| {
        move |m: &mut Program| match op(m) {
            IntOp::Add { broadcast, .. } | IntOp::Mul { broadcast, .. } => *broadcast = kind,
            _ => unreachable!(),
        }
    };
    let message = "a second input of 3 elements for broadcast Channels, found `b`";
    breaks(add(), message, with(Broadcast::Channels));
    breaks(mul(), "a second input of 1 elements for broadcast Scalar", with(Broadcast::Scalar));
    breaks(add(), "an output of [12] elements", |m| {
        m.tensors[2].shape = [1, 1, 4];
        m.outputs[0].border = border([1, 1, 4]);
    });
}

#[test]
fn groups_divide_channels() {
    for groups in [0, 3, 4] {
        let message =
            format!("groups that divide the input's and the output's channels, found {groups}");
        breaks(conv(), &message, |m| conv_geometry(m).groups = groups);
    }
}

#[test]
fn windows_are_sound() {
    for value in [0, 1 << 16] {
        let message = "of 1 to 65535, found";
        breaks(conv(), message, |m| conv_geometry(m).window.kernel[0] = value);
        breaks(conv(), message, |m| conv_geometry(m).window.stride[1] = value);
        breaks(conv(), message, |m| conv_geometry(m).window.dilation[0] = value);
    }
    breaks(conv(), "pad of 0 to 65535", |m| conv_geometry(m).window.pad[0] = 1 << 16);
    breaks(conv(), "along axis 1 that start within extent 5 padded by 1 on both sides", |m| {
        conv_geometry(m).window.stride[1] = 2;
    });
    breaks(conv(), "along axis 0 that start within extent 4 padded by 40000", |m| {
        let window = &mut conv_geometry(m).window;
        window.pad[0] = 40_000;
        window.dilation[0] = 65_535;
        window.kernel[0] = 65_535;
    });
}

#[test]
fn the_sum_of_a_pools_window_fits_32_bits() {
    breaks(pool(true), "a window whose sum fits 32 bits", |m| {
        pool_geometry(m).window.kernel = [60_000, 60_000];
    });
}

#[test]
fn every_window_of_a_pool_holds_an_element() {
    let message = "an element that is not padding in every window along axis 0";
    for average in [true, false] {
        breaks(pool(average), message, |m| pool_geometry(m).window.pad[0] = 3);
        // Taps at -3 and 5 step over the five rows.
        breaks(pool(average), message, |m| {
            let window = &mut pool_geometry(m).window;
            (window.pad[0], window.kernel[0], window.dilation[0]) = (3, 2, 8);
        });
        breaks(pool(average), "in every window along axis 1", |m| {
            let window = &mut pool_geometry(m).window;
            (window.pad[1], window.stride[1], window.kernel[1]) = (1, 1, 2);
            let geometry = pool_geometry(m);
            geometry.output[0] = 1;
            geometry.output[1] = 7;
            geometry.input[0] = 1;
            m.tensors[0].shape = [1, 5, 2];
            m.tensors[1].shape = [1, 7, 2];
            m.inputs[0].border = border([1, 5, 2]);
            m.outputs[0].border = border([1, 7, 2]);
        });
    }
}

#[test]
fn weights_are_packed_as_their_bits_say() {
    breaks(conv(), "weights of shape [6, 3, 3, 2], found [6, 3, 2, 3]", |m| {
        weights_of(m).weights.shape = vec![6, 3, 2, 3];
    });
    for bits in [0, 1, 9] {
        breaks(conv(), "weights of 2 to 8 bits", |m| weights_of(m).weights.bits = bits);
    }
    for storage in [0, 2, 3, 8] {
        breaks(conv(), "in the 2, 3, 4 or 8 bits that store them, found 4 bits in", |m| {
            weights_of(m).weights.storage = storage;
        });
    }
    breaks(conv(), "packed weights of shape [6, 3, 3, 2] at 4 bits, found 53 bytes", |m| {
        weights_of(m).weights.data.pop();
    });
    breaks(conv(), "packed weights of shape [6, 3, 3, 2] at 3 bits, found 54 bytes", |m| {
        let weights = &mut weights_of(m).weights;
        (weights.bits, weights.storage) = (3, 3);
    });
    breaks(conv(), "weights of -16 to 15 (5 bits), found 113 at 1", |m| {
        let weights = &mut weights_of(m).weights;
        (weights.bits, weights.storage, weights.data) = (5, 8, vec![1; 108]);
        weights.data[1] = 0x71;
    });
    breaks(fully_connected(), "weights of -127 to 127 (8 bits), found -128 at 29", |m| {
        let weights = &mut weights_of(m).weights;
        (weights.bits, weights.storage, weights.data) = (8, 8, vec![1; 30]);
        weights.data[29] = 0x80;
    });
}

#[test]
fn counts_of_biases_multipliers_and_scales_agree_with_the_channels() {
    for model in [conv(), depthwise()] {
        breaks(model.clone(), "6 biases, one per output channel, found 5", |m| {
            weights_of(m).bias.pop();
        });
        let message = "one multiplier for all or for each of 6 output channels, found 5";
        breaks(model.clone(), message, |m| weights_of(m).multipliers.truncate(5));
        let message = "one weight scale for all or for each of 6 output channels, found 0";
        breaks(model.clone(), message, |m| weights_of(m).weights.scales.clear());
        breaks(model, "positive finite weight scales, found NaN", |m| {
            weights_of(m).weights.scales[5] = f32::NAN;
        });
    }
    let mut single = conv();
    weights_of(&mut single).multipliers.truncate(1);
    weights_of(&mut single).weights.scales.truncate(1);
    assert_eq!(verify(&single), Ok(()));
}

#[test]
fn multipliers_are_normalised() {
    let message = "multipliers of 2^30 to 2^31 - 1 with exponents of -31 to 30, or smaller ones with \
                   exponent 0, found";
    let bad = [
        (1 << 29, 1),
        (1 << 29, -1),
        (-1, 0),
        (i32::MIN, 0),
        (1 << 30, -32),
        (1 << 30, 31),
        (0, 1),
    ];
    for (quantized, exponent) in bad {
        let multiplier = Multiplier { quantized, exponent };
        breaks(conv(), message, |m| weights_of(m).multipliers[3] = multiplier);
        breaks(mul(), message, |m| match op(m) {
            IntOp::Mul { multiplier: field, .. } => *field = multiplier,
            _ => unreachable!(),
        });
        breaks(add(), message, |m| match op(m) {
            IntOp::Add { params, .. } => params.b = multiplier,
            _ => unreachable!(),
        });
        breaks(add(), message, |m| match op(m) {
            IntOp::Add { params, .. } => params.output = multiplier,
            _ => unreachable!(),
        });
        breaks(softmax(), message, |m| match op(m) {
            IntOp::Softmax { input_multiplier, .. } => *input_multiplier = multiplier,
            _ => unreachable!(),
        });
    }
    breaks(conv16(), "multiplier exponents below 15 in 16 bits, found 15", |m| {
        weights_of(m).multipliers[0] = Multiplier { quantized: 1 << 30, exponent: 15 };
    });
}

#[test]
fn accumulators_fit_their_bits() {
    // 18 taps of at most 7, each times an input of at most 128 + 3 from the zero point.
    let taps = (9 * (7 + 1)) * 131;
    breaks(conv(), "accumulators of 32 bits in output channel 2", |m| {
        weights_of(m).bias[2] = i32::MAX - taps + 1;
    });
    let mut largest = conv();
    weights_of(&mut largest).weights.data.fill(0x77);
    weights_of(&mut largest).bias[2] = -(i32::MAX - 18 * 7 * 131);
    assert_eq!(verify(&largest), Ok(()));
    breaks(largest, "accumulators of 32 bits in output channel 2", |m| {
        weights_of(m).bias[2] -= 1;
    });
    breaks(conv(), "accumulators of 32 bits in output channel 0", |m| {
        weights_of(m).bias[0] = i32::MIN;
    });
    breaks(conv(), "values whose rescaling fits 32 bits, found values of up to", |m| {
        weights_of(m).multipliers[1] = Multiplier { quantized: 1 << 30, exponent: 20 };
    });
    breaks(conv16(), "accumulators that fit 32 bits rescaled, in output channel 1", |m| {
        weights_of(m).multipliers[1] = Multiplier { quantized: 1 << 30, exponent: 14 };
    });
    breaks(requantize(), "values whose rescaling fits 32 bits", |m| match op(m) {
        IntOp::Requantize { multiplier, .. } => multiplier.exponent = 30,
        _ => unreachable!(),
    });
    breaks(mul(), "values whose rescaling fits 32 bits", |m| match op(m) {
        IntOp::Mul { multiplier, .. } => multiplier.exponent = 17,
        _ => unreachable!(),
    });
    breaks(add(), "inputs whose rescaling fits 32 bits", |m| match op(m) {
        IntOp::Add { params, .. } => params.a.exponent = 5,
        _ => unreachable!(),
    });
    breaks(add(), "values whose rescaling fits 32 bits", |m| match op(m) {
        IntOp::Add { params, .. } => params.output.exponent = 5,
        _ => unreachable!(),
    });
    breaks(add(), "a left shift of 20 for I8, found 15", |m| match op(m) {
        IntOp::Add { params, .. } => params.left_shift = 15,
        _ => unreachable!(),
    });
    breaks(pool(true), "a window whose sum fits 32 bits", |m| {
        let geometry = pool_geometry(m);
        geometry.window.kernel = [65_535; 2];
    });
}

#[test]
fn softmax_parameters_are_sound() {
    let message = "differences above diff_min <= 0 whose left shift fits 32 bits";
    let change = |diff: i32, exponent: i32| {
        move |m: &mut Program| match op(m) {
            IntOp::Softmax { diff_min, input_multiplier, .. } => {
                *diff_min = diff;
                input_multiplier.exponent = exponent;
            }
            _ => unreachable!(),
        }
    };
    breaks(softmax(), message, change(1, 22));
    breaks(softmax(), message, change(-620, 24));
    breaks(softmax(), message, change(i32::MIN, 24));
    breaks(softmax(), message, change(-620, -1));
    breaks(softmax(), "rows of less than 4096 elements, found 4096", |m| {
        m.tensors[0].shape = [1, 1, 4096];
        m.tensors[1].shape = [1, 1, 4096];
        m.inputs[0].border = border([1, 1, 4096]);
        m.outputs[0].border = border([1, 1, 4096]);
        match op(m) {
            IntOp::Softmax { rows, depth, .. } => (*rows, *depth) = (1, 4096),
            _ => unreachable!(),
        }
    });
    let grid = "expected output scale 0.00390625, zero point -128, range -128 to 127";
    breaks(softmax(), grid, |m| m.tensors[1].grid.zero_point = 0);
    breaks(softmax(), grid, |m| m.tensors[1].grid.scale = 0.1);
    let grid = "expected output scale 0.0625, zero point 127, range -128 to 127";
    breaks(log_softmax(), grid, |m| m.tensors[1].grid.zero_point = 0);
    for scale in [16.5 / 256.0, 8.0 / 256.0] {
        breaks(log_softmax(), grid, |m| m.tensors[1].grid.scale = scale);
    }
    let mut wide = log_softmax();
    wide.tensors[1].grid.scale = 64.0 / 256.0;
    verify(&wide).expect("twice the range, twice");
    breaks(log_softmax(), "expected 256 exponentials, found 255", |m| match op(m) {
        IntOp::LogSoftmax { exponentials, .. } => exponentials.truncate(255),
        _ => unreachable!(),
    });
    breaks(log_softmax(), "values whose rescaling fits 32 bits", |m| match op(m) {
        IntOp::LogSoftmax { input_multiplier, .. } => input_multiplier.exponent = 12,
        _ => unreachable!(),
    });
    for (index, value) in [(0, 0), (7, u32::MAX)] {
        breaks(log_softmax(), "exponentials of at most the first, 1048576", |m| match op(m) {
            IntOp::LogSoftmax { exponentials, .. } => exponentials[index] = value,
            _ => unreachable!(),
        });
    }
}

#[test]
fn bounds_lie_within_the_outputs_grid() {
    let message = "output bounds within the grid's -100 to 100, found";
    for model in [conv(), fully_connected(), add(), mul()] {
        breaks(model, message, |m| {
            let grid = &mut m.tensors[m.outputs[0].tensor.0].grid;
            (grid.min, grid.max) = (-100, 100);
        });
    }
    for mut model in [pool(true), pool(false)] {
        for tensor in &mut model.tensors {
            (tensor.grid.min, tensor.grid.max) = (-100, 100);
        }
        breaks(model, message, |_| ());
    }
    breaks(conv(), "output bounds within the grid's -128 to 127, found 5 to 4", |m| {
        weights_of(m).clamp = Clamp { min: 5, max: 4 };
    });
    breaks(table8(), "within the grid's 0 to 127, found -1 to -1", |m| {
        m.tensors[1].grid.min = 0;
        *op(m) = IntOp::Table8 { table: vec![-1; 256] };
    });
    breaks(pad(), "within the grid's -128 to 127, found 200 to 200", |m| match op(m) {
        IntOp::Pad { value, .. } => *value = 200,
        _ => unreachable!(),
    });
}

#[test]
fn tables_are_complete() {
    breaks(table8(), "expected a table of 256 entries, found 255", |m| {
        *op(m) = IntOp::Table8 { table: vec![0; 255] };
    });
    breaks(table16(), "expected a table of 513 entries, found 512", |m| {
        *op(m) = IntOp::Table16 { table: vec![0; 512] };
    });
}

#[test]
fn operations_that_move_values_keep_the_grid() {
    for model in [pool(true), pool(false), concat(), pad(), transpose()] {
        breaks(model, "the output's grid Grid { scale: 0.06", |m| {
            let output = m.outputs[0].tensor.0;
            m.tensors[output].grid.scale = 0.06;
        });
    }
}

#[test]
fn everything_lies_inside_a_bounded_arena() {
    misplaces(table8(), "model: expected an arena of at most 268435456 bytes", |m| {
        m.placement.arena_bytes = (1 << 28) + 1;
    });
    misplaces(table8(), "tensor `y`: expected bytes inside the arena of 15, found 8 from 8", |m| {
        m.placement.scratch[0] = Region::default();
        m.placement.arena_bytes = 15;
    });
    misplaces(
        table8(),
        "expected bytes inside the arena of 272, found 8 from 18446744073709551615",
        |m| {
            m.placement.offsets[1] = usize::MAX;
        },
    );
    misplaces(table8(), "node `node` (Table8): expected bytes inside the arena of 271", |m| {
        m.placement.arena_bytes -= 1;
    });
    misplaces(table16(), "tensor `x`: expected an offset that is a multiple of 2, found 1", |m| {
        m.placement.offsets[0] = 1;
    });
    misplaces(table8(), "scratch at a multiple of 8, found 20", |m| {
        m.placement.scratch[0].offset = 20
    });
    misplaces(conv(), "expected at least 54 bytes of scratch, found 0", |m| {
        m.placement.scratch[0] = Region::default();
    });
}

#[test]
fn there_is_a_place_for_every_tensor_and_node() {
    misplaces(table8(), "model: expected a place for each of 2 tensors, found 1", |m| {
        m.placement.offsets.pop();
    });
    misplaces(table8(), "model: expected a place for each of 1 operations, found 2", |m| {
        m.placement.scratch.push(Region::default());
    });
}

#[test]
fn scratch_is_that_of_the_kernels() {
    let parts = side_by_side(conv());
    let mve = Placed::new(parts.program.clone(), parts.placement.clone(), Kernels::Mve);
    mve.expect("256 bytes of scratch are enough for any kernel");
    let mut parts = parts;
    parts.placement.scratch[0].bytes = 54;
    let mve = Placed::new(parts.program.clone(), parts.placement.clone(), Kernels::Mve);
    let error = mve.expect_err("vectors need more").to_string();
    assert!(error.contains("bytes of scratch, found 54"), "{error}");
    parts.placed().expect("the portable kernels need no more");
}

#[test]
fn live_regions_share_no_byte() {
    let message = "tensor `y`: expected bytes 7..15 free, found tensor `x` live in 0..8";
    misplaces(chain(), message, |m| m.placement.offsets[1] = 7);
    misplaces(
        chain(),
        "tensor `z`: expected bytes 1..9 free, found tensor `y` live in 0..8",
        |m| {
            m.placement.offsets[1] = 0;
            m.placement.offsets[2] = 1;
        },
    );
    let message =
        "node `node` (Table8): expected bytes 8..264 free, found tensor `y` live in 8..16";
    misplaces(table8(), message, |m| m.placement.scratch[0].offset = 8);
    // `x` is still needed by the second node when `b` is written.
    misplaces(add(), "tensor `b`: expected bytes 0..12 free, found tensor `a`", |m| {
        m.placement.offsets[1] = 0;
    });
}

#[test]
fn bytes_are_free_again_once_nothing_reads_them() {
    let mut parts = side_by_side(chain());
    parts.placement.offsets[2] = 0;
    parts.placed().expect("x is dead when z is written");
}

#[test]
fn element_wise_operations_may_replace_their_first_input_only() {
    let replacing = || {
        let mut parts = side_by_side(add());
        parts.placement.offsets[2] = parts.placement.offsets[0];
        parts
    };
    replacing().placed().expect("the sum may replace its first input");
    let refusal = |parts: Parts| parts.placed().expect_err("refused").to_string();
    let mut second = replacing();
    second.placement.offsets[2] = second.placement.offsets[1];
    let error = refusal(second);
    assert!(error.contains("tensor `y`: expected bytes 16..28 free, found tensor `b`"), "{error}");
    let mut both = replacing();
    both.program.nodes[1].inputs = vec![TensorId(0), TensorId(0)];
    let error = refusal(both);
    assert!(error.contains("tensor `y`: expected bytes 0..12 free, found tensor `a`"), "{error}");
    misplaces(transpose(), "tensor `y`: expected bytes 0..24 free, found tensor `x`", |m| {
        m.placement.offsets[1] = 0;
    });
    misplaces(requantize(), "tensor `y`: expected bytes 0..16 free, found tensor `x`", |m| {
        m.placement.offsets[1] = 0;
    });
}

#[test]
fn work_is_bounded() {
    // 2^26 outputs, each the largest of 2^24 elements.
    let message = "node `node` (MaxPool): expected an inference of at most 1000000000000 steps";
    breaks(pool(false), message, |m| {
        let side = 8192;
        let window = Window { kernel: [4001; 2], stride: [1; 2], dilation: [1; 2], pad: [2000; 2] };
        let shape = [side, side, 1];
        for tensor in &mut m.tensors {
            tensor.shape = shape;
        }
        m.inputs[0].border = border(shape);
        m.outputs[0].border = border(shape);
        *pool_geometry(m) =
            PoolGeometry { input: [side; 2], output: [side; 2], channels: 1, window };
    });
    breaks(table8(), "model: expected at most 16384 operations, found 16385", |m| {
        m.nodes = vec![m.nodes[0].clone(); 16385];
    });
}

#[test]
fn names_are_shown_in_one_line() {
    breaks(table8(), r"tensor `\u{1b}[2J\nx`: expected", |m| {
        m.tensors[0].name = "\u{1b}[2J\nx".into();
        m.tensors[0].shape = [0; 3];
    });
}

#[test]
fn a_name_as_long_as_a_file_is_cut_short_wherever_it_is_shown() {
    let mut model = add();
    for tensor in &mut model.tensors {
        tensor.name = "\u{1b}".repeat(1 << 20);
    }
    model.nodes[0].name = "n".repeat(1 << 20);
    model.nodes[0].inputs[0] = TensorId(model.tensors.len() - 1);
    let text = verify(&model).expect_err("a broken program").to_string();
    assert!(text.contains("written by an earlier node") && text.len() < 4096, "{}", text.len());
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn every_violation_is_reported() {
    let mut model = add();
    model.tensors[1].grid.scale = 0.0;
    model.tensors[1].bits = 9;
    model.nodes[0].inputs.push(TensorId(0));
    model.inputs[0].preprocessing.scale = 0.0;
    let error = verify(&model).expect_err("a broken program");
    let subjects: Vec<String> =
        error.violations().iter().map(|violation| violation.subject.to_string()).collect();
    // Of the tensor the first; of the sum none, since one of its tensors is invalid.
    assert_eq!(subjects, ["tensor `b`", "model", "node `copy1` (Table8)"]);
    let text = error.to_string();
    assert!(text.starts_with("3 violations\n  tensor `b`: expected 2 to 8 bits"), "{text}");
    assert_eq!(text.lines().count(), 4, "{text}");
}

#[test]
fn violations_of_the_memory_are_reported_together() {
    let mut parts = side_by_side(add());
    parts.placement.offsets.fill(0);
    let error = parts.clone().placed().expect_err("everything lies in one place");
    // The sum may replace its first input, which the second one may not.
    assert!(error.to_string().starts_with("tensor `b`: expected bytes 0..12 free"), "{error}");
    parts.placement.offsets.fill(1 << 30);
    parts.placement.scratch[1].offset = 4;
    let error = parts.placed().expect_err("everything lies outside");
    assert_eq!(error.count(), 4, "{error}");
}

#[test]
fn of_many_violations_the_first_are_listed_and_the_others_counted() {
    let mut model = table8();
    let node = model.nodes[0].clone();
    model.nodes.extend((0..30).map(|_| node.clone()));
    let error = verify(&model).expect_err("one output written 31 times");
    assert_eq!((error.count(), error.violations().len()), (30, LISTED));
    let text = error.to_string();
    assert!(text.starts_with("30 violations\n") && text.ends_with("\n  and 10 more"), "{text}");
    model.nodes.truncate(2);
    let text = verify(&model).expect_err("one output written twice").to_string();
    assert!(text.starts_with("node `node` (Table8): expected an output"), "{text}");
}
