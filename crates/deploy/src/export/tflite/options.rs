//! Options of the operators, each in the order of its table.

use super::flatbuffer::{Table, Value};
use crate::tflite::places::{conv, depthwise, options, pool, window};
use crate::tflite::schema::{Activation, Element, Padding};

fn int(number: usize) -> Value {
    Value::Int(number as i32)
}

fn flag(flag: bool) -> Value {
    Value::Byte(u8::from(flag))
}

pub(super) fn none() -> Table {
    Table::new()
}

/// What options of all windows begin with.
fn strided(padding: Padding, stride: [usize; 2]) -> Table {
    Table::new()
        .with(window::PADDING, Value::Byte(padding as u8))
        .with(window::STRIDE_W, int(stride[1]))
        .with(window::STRIDE_H, int(stride[0]))
}

pub(super) fn conv(
    padding: Padding,
    stride: [usize; 2],
    dilation: [usize; 2],
    activation: Activation,
) -> Table {
    transpose_conv(padding, stride, activation)
        .with(conv::DILATION_W, int(dilation[1]))
        .with(conv::DILATION_H, int(dilation[0]))
}

pub(super) fn depthwise(
    padding: Padding,
    stride: [usize; 2],
    dilation: [usize; 2],
    multiplier: usize,
    activation: Activation,
) -> Table {
    strided(padding, stride)
        .with(depthwise::MULTIPLIER, int(multiplier))
        .with(depthwise::ACTIVATION, Value::Byte(activation as u8))
        .with(depthwise::DILATION_W, int(dilation[1]))
        .with(depthwise::DILATION_H, int(dilation[0]))
}

pub(super) fn transpose_conv(
    padding: Padding,
    stride: [usize; 2],
    activation: Activation,
) -> Table {
    strided(padding, stride).with(conv::ACTIVATION, Value::Byte(activation as u8))
}

pub(super) fn pool(
    padding: Padding,
    stride: [usize; 2],
    filter: [usize; 2],
    activation: Activation,
) -> Table {
    strided(padding, stride)
        .with(pool::FILTER_W, int(filter[1]))
        .with(pool::FILTER_H, int(filter[0]))
        .with(pool::ACTIVATION, Value::Byte(activation as u8))
}

/// Of operators whose options begin with the fused activation.
pub(super) fn fused(activation: Activation) -> Table {
    Table::new().with(options::ACTIVATION, Value::Byte(activation as u8))
}

/// Of sums and differences; with 16 bits, scales need be no powers of two.
pub(super) fn sum(activation: Activation) -> Table {
    fused(activation).with(options::SUM_POWER_OF_TWO, flag(false))
}

pub(super) fn softmax() -> Table {
    Table::new().with(options::SOFTMAX_BETA, Value::Float(1.0))
}

pub(super) fn reshape(shape: &[usize]) -> Table {
    let shape = shape.iter().map(|&extent| extent as i32).collect();
    Table::new().with(options::RESHAPE_SHAPE, Value::Ints(shape))
}

pub(super) fn concatenation(axis: usize) -> Table {
    Table::new()
        .with(options::CONCATENATION_AXIS, int(axis))
        .with(options::CONCATENATION_ACTIVATION, Value::Byte(Activation::None as u8))
}

pub(super) fn block(size: usize) -> Table {
    Table::new().with(options::BLOCK, int(size))
}

pub(super) fn gather(axis: usize) -> Table {
    Table::new().with(options::GATHER_AXIS, int(axis)).with(options::GATHER_BATCH_AXES, int(0))
}

pub(super) fn reducer() -> Table {
    Table::new().with(options::KEEP_AXES, flag(false))
}

pub(super) fn strided_slice(end_mask: i32) -> Table {
    Table::new().with(options::END_MASK, Value::Int(end_mask))
}

pub(super) fn cast(from: Element, to: Element) -> Table {
    Table::new()
        .with(options::CAST_FROM, Value::Byte(from as u8))
        .with(options::CAST_TO, Value::Byte(to as u8))
}

pub(super) fn output_type(element: Element) -> Table {
    Table::new().with(options::OUTPUT_TYPE, Value::Byte(element as u8))
}

pub(super) fn bilinear(align_corners: bool, half_pixel_centers: bool) -> Table {
    Table::new()
        .with(options::BILINEAR_CORNERS, flag(align_corners))
        .with(options::BILINEAR_HALF_PIXELS, flag(half_pixel_centers))
}

pub(super) fn nearest_neighbor() -> Table {
    Table::new()
        .with(options::NEAREST_CORNERS, flag(false))
        .with(options::NEAREST_HALF_PIXELS, flag(false))
}

pub(super) fn mirror_pad(mode: u8) -> Table {
    Table::new().with(options::MIRROR_MODE, Value::Byte(mode))
}

/// Of the handle of a variable.
pub(super) fn variable(name: &str) -> Table {
    Table::new()
        .with(options::VARIABLE_CONTAINER, Value::Text(String::new()))
        .with(options::VARIABLE_NAME, Value::Text(name.to_owned()))
}

/// Of the operator that runs another graph once.
pub(super) fn call_once(graph: usize) -> Table {
    Table::new().with(options::INITIAL_GRAPH, int(graph))
}

pub(super) fn batch_matmul(adjoint: [bool; 2]) -> Table {
    Table::new()
        .with(options::ADJOINT_A, flag(adjoint[0]))
        .with(options::ADJOINT_B, flag(adjoint[1]))
}
