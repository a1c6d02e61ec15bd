//! Version 3 of the TensorFlow Lite schema, as far as integer programs need it: what a file holds, and at
//! which place of which table.

use super::flatbuffer::{Table, Value, file};

/// The version of the schema.
const VERSION: i32 = 3;

const IDENTIFIER: [u8; 4] = *b"TFL3";

/// The largest code of an operator that fits the older field of one byte.
const LAST_OF_ONE_BYTE: i32 = 127;

/// `TensorType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    Int32 = 2,
    Int64 = 4,
    Int16 = 7,
    Int8 = 9,
    /// Two to a byte, the first in the low bits.
    Int4 = 17,
}

/// Scales and zero points of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Quantization {
    /// One, or one for each index along `axis`.
    pub scales: Vec<f32>,
    /// As many as scales.
    pub zero_points: Vec<i64>,
    /// The axis along which they differ.
    pub axis: usize,
}

/// A tensor.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tensor {
    pub name: String,
    pub shape: Vec<usize>,
    pub element: Element,
    pub quantization: Option<Quantization>,
    /// The buffer of a constant; 0 for what is computed.
    pub buffer: usize,
}

/// An operator: its code and version, and the type of its options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Builtin {
    /// What TensorFlow Lite Micro's resolvers call it.
    pub name: &'static str,
    code: i32,
    version: i32,
    /// The place in the union of options; 0 for none.
    options: u8,
}

impl Builtin {
    const fn new(name: &'static str, code: i32, version: i32, options: u8) -> Self {
        Self { name, code, version, options }
    }
}

pub(super) const ADD: Builtin = Builtin::new("Add", 0, 2, 11);
pub(super) const AVERAGE_POOL_2D: Builtin = Builtin::new("AveragePool2D", 1, 2, 5);
pub(super) const CONCATENATION: Builtin = Builtin::new("Concatenation", 2, 2, 10);
pub(super) const CONV_2D: Builtin = Builtin::new("Conv2D", 3, 3, 1);
pub(super) const DEPTHWISE_CONV_2D: Builtin = Builtin::new("DepthwiseConv2D", 4, 3, 2);
pub(super) const DEPTH_TO_SPACE: Builtin = Builtin::new("DepthToSpace", 5, 1, 94);
pub(super) const FULLY_CONNECTED: Builtin = Builtin::new("FullyConnected", 9, 4, 8);
pub(super) const L2_NORMALIZATION: Builtin = Builtin::new("L2Normalization", 11, 2, 12);
pub(super) const MAX_POOL_2D: Builtin = Builtin::new("MaxPool2D", 17, 2, 5);
pub(super) const MUL: Builtin = Builtin::new("Mul", 18, 2, 21);
pub(super) const RESHAPE: Builtin = Builtin::new("Reshape", 22, 1, 17);
pub(super) const RESIZE_BILINEAR: Builtin = Builtin::new("ResizeBilinear", 23, 3, 15);
pub(super) const SOFTMAX: Builtin = Builtin::new("Softmax", 25, 2, 9);
pub(super) const SPACE_TO_DEPTH: Builtin = Builtin::new("SpaceToDepth", 26, 1, 19);
pub(super) const PAD: Builtin = Builtin::new("Pad", 34, 2, 22);
pub(super) const GATHER: Builtin = Builtin::new("Gather", 36, 1, 23);
pub(super) const TRANSPOSE: Builtin = Builtin::new("Transpose", 39, 2, 26);
pub(super) const MEAN: Builtin = Builtin::new("Mean", 40, 2, 27);
pub(super) const SUB: Builtin = Builtin::new("Sub", 41, 2, 28);
pub(super) const DIV: Builtin = Builtin::new("Div", 42, 2, 29);
pub(super) const STRIDED_SLICE: Builtin = Builtin::new("StridedSlice", 45, 2, 32);
pub(super) const CAST: Builtin = Builtin::new("Cast", 53, 1, 37);
pub(super) const PRELU: Builtin = Builtin::new("Prelu", 54, 1, 0);
pub(super) const MAXIMUM: Builtin = Builtin::new("Maximum", 55, 2, 39);
pub(super) const ARG_MAX: Builtin = Builtin::new("ArgMax", 56, 2, 40);
pub(super) const MINIMUM: Builtin = Builtin::new("Minimum", 57, 2, 39);
pub(super) const PADV2: Builtin = Builtin::new("PadV2", 60, 2, 43);
pub(super) const TRANSPOSE_CONV: Builtin = Builtin::new("TransposeConv", 67, 4, 49);
pub(super) const SUM: Builtin = Builtin::new("Sum", 74, 2, 27);
pub(super) const ARG_MIN: Builtin = Builtin::new("ArgMin", 79, 2, 57);
pub(super) const REDUCE_MAX: Builtin = Builtin::new("ReduceMax", 82, 2, 27);
pub(super) const RESIZE_NEAREST_NEIGHBOR: Builtin =
    Builtin::new("ResizeNearestNeighbor", 97, 2, 74);
pub(super) const MIRROR_PAD: Builtin = Builtin::new("MirrorPad", 100, 1, 77);
pub(super) const QUANTIZE: Builtin = Builtin::new("Quantize", 114, 1, 89);
pub(super) const BATCH_MATMUL: Builtin = Builtin::new("BatchMatMul", 126, 4, 101);
pub(super) const BROADCAST_TO: Builtin = Builtin::new("BroadcastTo", 130, 2, 104);

/// An operator with its inputs and outputs.
#[derive(Clone, Debug)]
pub(super) struct Operator {
    pub builtin: Builtin,
    pub options: Table,
    /// Places in the list of tensors.
    pub inputs: Vec<usize>,
    /// The same.
    pub output: usize,
}

/// `Padding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Padding {
    Same,
    Valid,
}

/// `ActivationFunctionType`, by its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activation {
    None,
    Relu,
    ReluN1To1,
    Relu6,
}

/// Options of the operators, each in the order of its table.
pub(super) mod options {
    use super::{Activation, Element, Padding, Table, Value};

    fn int(number: usize) -> Value {
        Value::Int(number as i32)
    }

    fn flag(flag: bool) -> Value {
        Value::Byte(u8::from(flag))
    }

    pub(in super::super) fn none() -> Table {
        Table::new()
    }

    /// What options of all windows begin with.
    fn strided(padding: Padding, stride: [usize; 2]) -> Table {
        Table::new()
            .with(0, Value::Byte(padding as u8))
            .with(1, int(stride[1]))
            .with(2, int(stride[0]))
    }

    pub(in super::super) fn conv(
        padding: Padding,
        stride: [usize; 2],
        dilation: [usize; 2],
        activation: Activation,
    ) -> Table {
        transpose_conv(padding, stride, activation)
            .with(4, int(dilation[1]))
            .with(5, int(dilation[0]))
    }

    pub(in super::super) fn depthwise(
        padding: Padding,
        stride: [usize; 2],
        dilation: [usize; 2],
        multiplier: usize,
        activation: Activation,
    ) -> Table {
        strided(padding, stride)
            .with(3, int(multiplier))
            .with(4, Value::Byte(activation as u8))
            .with(5, int(dilation[1]))
            .with(6, int(dilation[0]))
    }

    pub(in super::super) fn transpose_conv(
        padding: Padding,
        stride: [usize; 2],
        activation: Activation,
    ) -> Table {
        strided(padding, stride).with(3, Value::Byte(activation as u8))
    }

    pub(in super::super) fn pool(
        padding: Padding,
        stride: [usize; 2],
        filter: [usize; 2],
        activation: Activation,
    ) -> Table {
        strided(padding, stride)
            .with(3, int(filter[1]))
            .with(4, int(filter[0]))
            .with(5, Value::Byte(activation as u8))
    }

    /// Of operators whose options begin with the fused activation.
    pub(in super::super) fn fused(activation: Activation) -> Table {
        Table::new().with(0, Value::Byte(activation as u8))
    }

    /// Of sums and differences; with 16 bits, scales need be no powers of two.
    pub(in super::super) fn sum(activation: Activation) -> Table {
        fused(activation).with(1, flag(false))
    }

    pub(in super::super) fn softmax() -> Table {
        Table::new().with(0, Value::Float(1.0))
    }

    pub(in super::super) fn reshape(shape: &[usize]) -> Table {
        let shape = shape.iter().map(|&extent| extent as i32).collect();
        Table::new().with(0, Value::Ints(shape))
    }

    pub(in super::super) fn concatenation(axis: usize) -> Table {
        Table::new().with(0, int(axis)).with(1, Value::Byte(Activation::None as u8))
    }

    pub(in super::super) fn block(size: usize) -> Table {
        Table::new().with(0, int(size))
    }

    pub(in super::super) fn gather(axis: usize) -> Table {
        Table::new().with(0, int(axis)).with(1, int(0))
    }

    pub(in super::super) fn reducer() -> Table {
        Table::new().with(0, flag(false))
    }

    pub(in super::super) fn strided_slice(end_mask: i32) -> Table {
        Table::new().with(1, Value::Int(end_mask))
    }

    pub(in super::super) fn cast(from: Element, to: Element) -> Table {
        Table::new().with(0, Value::Byte(from as u8)).with(1, Value::Byte(to as u8))
    }

    pub(in super::super) fn output_type(element: Element) -> Table {
        Table::new().with(0, Value::Byte(element as u8))
    }

    /// Of `RESIZE_BILINEAR`, whose first two fields are gone.
    pub(in super::super) fn bilinear(align_corners: bool, half_pixel_centers: bool) -> Table {
        Table::new().with(2, flag(align_corners)).with(3, flag(half_pixel_centers))
    }

    pub(in super::super) fn nearest_neighbor() -> Table {
        Table::new().with(0, flag(false)).with(1, flag(false))
    }

    pub(in super::super) fn mirror_pad(mode: u8) -> Table {
        Table::new().with(0, Value::Byte(mode))
    }

    pub(in super::super) fn batch_matmul(adjoint: [bool; 2]) -> Table {
        Table::new().with(0, flag(adjoint[0])).with(1, flag(adjoint[1]))
    }
}

/// A model of one graph.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub name: String,
    pub description: String,
    pub tensors: Vec<Tensor>,
    pub operators: Vec<Operator>,
    /// Constant bytes; the first is empty.
    pub buffers: Vec<Vec<u8>>,
    /// Names and tensors of the inputs, in order.
    pub inputs: Vec<(String, usize)>,
    /// The same of the outputs.
    pub outputs: Vec<(String, usize)>,
    /// Names of further texts, and these.
    pub metadata: Vec<(String, String)>,
}

/// The name of the graph's only signature, as TensorFlow's converter has it.
const SIGNATURE: &str = "serving_default";

impl Model {
    /// The bytes of the file.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut codes: Vec<Builtin> = Vec::new();
        for operator in &self.operators {
            if !codes.contains(&operator.builtin) {
                codes.push(operator.builtin);
            }
        }
        let place = |builtin| codes.iter().position(|&code| code == builtin).unwrap_or(0);
        let operators = self.operators.iter().map(|op| operator(op, place(op.builtin)));
        let tensors = Value::Tables(self.tensors.iter().map(tensor).collect());
        let graph = Table::new()
            .with(0, tensors)
            .with(1, ints(self.inputs.iter().map(|end| end.1)))
            .with(2, ints(self.outputs.iter().map(|end| end.1)))
            .with(3, Value::Tables(operators.collect()))
            .with(4, Value::Text(self.name.clone()));
        let texts = self.metadata.iter().map(|(_, text)| text.as_bytes());
        let data = self.buffers.iter().map(Vec::as_slice).chain(texts);
        let metadata = self.metadata.iter().zip(self.buffers.len()..).map(|((name, _), buffer)| {
            Table::new().with(0, Value::Text(name.clone())).with(1, Value::Int(buffer as i32))
        });
        let signature = Table::new()
            .with(0, ends(&self.inputs))
            .with(1, ends(&self.outputs))
            .with(2, Value::Text(SIGNATURE.into()))
            .with(4, Value::Int(0));
        let model = Table::new()
            .with(0, Value::Int(VERSION))
            .with(1, Value::Tables(codes.iter().map(code).collect()))
            .with(2, Value::Tables(vec![graph]))
            .with(3, Value::Text(self.description.clone()))
            .with(4, Value::Tables(data.map(buffer).collect()))
            .with(6, Value::Tables(metadata.collect()))
            .with(7, Value::Tables(vec![signature]));
        file(&model, IDENTIFIER)
    }
}

fn ints(numbers: impl Iterator<Item = usize>) -> Value {
    Value::Ints(numbers.map(|number| number as i32).collect())
}

fn buffer(data: &[u8]) -> Table {
    if data.is_empty() { Table::new() } else { Table::new().with(0, Value::Bytes(data.to_vec())) }
}

fn code(builtin: &Builtin) -> Table {
    Table::new()
        .with(0, Value::Byte(builtin.code.min(LAST_OF_ONE_BYTE) as u8))
        .with(2, Value::Int(builtin.version))
        .with(3, Value::Int(builtin.code))
}

fn operator(operator: &Operator, code: usize) -> Table {
    let table = Table::new()
        .with(0, Value::Int(code as i32))
        .with(1, ints(operator.inputs.iter().copied()))
        .with(2, ints(std::iter::once(operator.output)));
    match operator.builtin.options {
        0 => table,
        kind => table.with(3, Value::Byte(kind)).with(4, Value::Table(operator.options.clone())),
    }
}

fn tensor(tensor: &Tensor) -> Table {
    let table = Table::new()
        .with(0, ints(tensor.shape.iter().copied()))
        .with(1, Value::Byte(tensor.element as u8))
        .with(2, Value::Int(tensor.buffer as i32))
        .with(3, Value::Text(tensor.name.clone()))
        .with(8, Value::Byte(1));
    let Some(quantization) = &tensor.quantization else { return table };
    let quantization = Table::new()
        .with(2, Value::Floats(quantization.scales.clone()))
        .with(3, Value::Longs(quantization.zero_points.clone()))
        .with(6, Value::Int(quantization.axis as i32));
    table.with(4, Value::Table(quantization))
}

/// The names of inputs or outputs in a signature.
fn ends(ends: &[(String, usize)]) -> Value {
    let end = |(name, tensor): &(String, usize)| {
        Table::new().with(0, Value::Text(name.clone())).with(1, Value::Int(*tensor as i32))
    };
    Value::Tables(ends.iter().map(end).collect())
}
