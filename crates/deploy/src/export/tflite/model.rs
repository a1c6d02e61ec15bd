//! What a file holds, as tables of the schema.

use super::flatbuffer::{Table, Value, file};
use crate::tflite::schema::{
    Activation, Builtin, Element, IDENTIFIER, LAST_OF_ONE_BYTE, Padding, VERSION,
};
use crate::tflite::{SIGNATURE, places};

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

/// An operator with its inputs and outputs.
#[derive(Clone, Debug)]
pub(super) struct Operator {
    pub builtin: Builtin,
    pub options: Table,
    /// Places in the list of tensors.
    pub inputs: Vec<usize>,
    /// The same; of one that writes a variable, none.
    pub output: Option<usize>,
}

/// A graph of tensors and operators.
#[derive(Clone, Debug, Default)]
pub(super) struct SubGraph {
    pub tensors: Vec<Tensor>,
    pub operators: Vec<Operator>,
}

/// Options of the operators, each in the order of its table.
pub(super) mod options {
    use super::{Activation, Element, Padding, Table, Value};
    use crate::tflite::places::{conv, depthwise, options, pool, window};

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
            .with(window::PADDING, Value::Byte(padding as u8))
            .with(window::STRIDE_W, int(stride[1]))
            .with(window::STRIDE_H, int(stride[0]))
    }

    pub(in super::super) fn conv(
        padding: Padding,
        stride: [usize; 2],
        dilation: [usize; 2],
        activation: Activation,
    ) -> Table {
        transpose_conv(padding, stride, activation)
            .with(conv::DILATION_W, int(dilation[1]))
            .with(conv::DILATION_H, int(dilation[0]))
    }

    pub(in super::super) fn depthwise(
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

    pub(in super::super) fn transpose_conv(
        padding: Padding,
        stride: [usize; 2],
        activation: Activation,
    ) -> Table {
        strided(padding, stride).with(conv::ACTIVATION, Value::Byte(activation as u8))
    }

    pub(in super::super) fn pool(
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
    pub(in super::super) fn fused(activation: Activation) -> Table {
        Table::new().with(options::ACTIVATION, Value::Byte(activation as u8))
    }

    /// Of sums and differences; with 16 bits, scales need be no powers of two.
    pub(in super::super) fn sum(activation: Activation) -> Table {
        fused(activation).with(options::SUM_POWER_OF_TWO, flag(false))
    }

    pub(in super::super) fn softmax() -> Table {
        Table::new().with(options::SOFTMAX_BETA, Value::Float(1.0))
    }

    pub(in super::super) fn reshape(shape: &[usize]) -> Table {
        let shape = shape.iter().map(|&extent| extent as i32).collect();
        Table::new().with(options::RESHAPE_SHAPE, Value::Ints(shape))
    }

    pub(in super::super) fn concatenation(axis: usize) -> Table {
        Table::new()
            .with(options::CONCATENATION_AXIS, int(axis))
            .with(options::CONCATENATION_ACTIVATION, Value::Byte(Activation::None as u8))
    }

    pub(in super::super) fn block(size: usize) -> Table {
        Table::new().with(options::BLOCK, int(size))
    }

    pub(in super::super) fn gather(axis: usize) -> Table {
        Table::new().with(options::GATHER_AXIS, int(axis)).with(options::GATHER_BATCH_AXES, int(0))
    }

    pub(in super::super) fn reducer() -> Table {
        Table::new().with(options::KEEP_AXES, flag(false))
    }

    pub(in super::super) fn strided_slice(end_mask: i32) -> Table {
        Table::new().with(options::END_MASK, Value::Int(end_mask))
    }

    pub(in super::super) fn cast(from: Element, to: Element) -> Table {
        Table::new()
            .with(options::CAST_FROM, Value::Byte(from as u8))
            .with(options::CAST_TO, Value::Byte(to as u8))
    }

    pub(in super::super) fn output_type(element: Element) -> Table {
        Table::new().with(options::OUTPUT_TYPE, Value::Byte(element as u8))
    }

    pub(in super::super) fn bilinear(align_corners: bool, half_pixel_centers: bool) -> Table {
        Table::new()
            .with(options::BILINEAR_CORNERS, flag(align_corners))
            .with(options::BILINEAR_HALF_PIXELS, flag(half_pixel_centers))
    }

    pub(in super::super) fn nearest_neighbor() -> Table {
        Table::new()
            .with(options::NEAREST_CORNERS, flag(false))
            .with(options::NEAREST_HALF_PIXELS, flag(false))
    }

    pub(in super::super) fn mirror_pad(mode: u8) -> Table {
        Table::new().with(options::MIRROR_MODE, Value::Byte(mode))
    }

    /// Of the handle of a variable.
    pub(in super::super) fn variable(name: &str) -> Table {
        Table::new()
            .with(options::VARIABLE_CONTAINER, Value::Text(String::new()))
            .with(options::VARIABLE_NAME, Value::Text(name.to_owned()))
    }

    /// Of the operator that runs another graph once.
    pub(in super::super) fn call_once(graph: usize) -> Table {
        Table::new().with(options::INITIAL_GRAPH, int(graph))
    }

    pub(in super::super) fn batch_matmul(adjoint: [bool; 2]) -> Table {
        Table::new()
            .with(options::ADJOINT_A, flag(adjoint[0]))
            .with(options::ADJOINT_B, flag(adjoint[1]))
    }
}

/// A model of one graph, and perhaps one that runs before it once.
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
    /// The graph that gives variables what they begin with.
    pub initial: Option<SubGraph>,
}

impl Model {
    /// The bytes of the file.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut codes: Vec<Builtin> = Vec::new();
        let initial = self.initial.iter().flat_map(|graph| &graph.operators);
        for operator in self.operators.iter().chain(initial) {
            if !codes.contains(&operator.builtin) {
                codes.push(operator.builtin);
            }
        }
        let place = |builtin| codes.iter().position(|&code| code == builtin).unwrap_or(0);
        let graph = |tensors: &[Tensor],
                     operators: &[Operator],
                     ends: [&[(String, usize)]; 2],
                     name: &str| {
            let operators = operators.iter().map(|op| operator(op, place(op.builtin)));
            let [inputs, outputs] = ends.map(|ends| ints(ends.iter().map(|end| end.1)));
            Table::new()
                .with(places::graph::TENSORS, Value::Tables(tensors.iter().map(tensor).collect()))
                .with(places::graph::INPUTS, inputs)
                .with(places::graph::OUTPUTS, outputs)
                .with(places::graph::OPERATORS, Value::Tables(operators.collect()))
                .with(places::graph::NAME, Value::Text(name.to_owned()))
        };
        let ends = [&self.inputs[..], &self.outputs];
        let mut graphs = vec![graph(&self.tensors, &self.operators, ends, &self.name)];
        graphs.extend(
            self.initial
                .as_ref()
                .map(|own| graph(&own.tensors, &own.operators, [&[], &[]], INITIAL)),
        );
        let texts = self.metadata.iter().map(|(_, text)| text.as_bytes());
        let data = self.buffers.iter().map(Vec::as_slice).chain(texts);
        let metadata = self.metadata.iter().zip(self.buffers.len()..).map(|((name, _), buffer)| {
            Table::new()
                .with(places::metadata::NAME, Value::Text(name.clone()))
                .with(places::metadata::BUFFER, Value::Int(buffer as i32))
        });
        let signature = Table::new()
            .with(places::signature::INPUTS, named(&self.inputs))
            .with(places::signature::OUTPUTS, named(&self.outputs))
            .with(places::signature::KEY, Value::Text(SIGNATURE.into()))
            .with(places::signature::GRAPH, Value::Int(0));
        let model = Table::new()
            .with(places::model::VERSION, Value::Int(VERSION))
            .with(places::model::CODES, Value::Tables(codes.iter().map(code).collect()))
            .with(places::model::GRAPHS, Value::Tables(graphs))
            .with(places::model::DESCRIPTION, Value::Text(self.description.clone()))
            .with(places::model::BUFFERS, Value::Tables(data.map(buffer).collect()))
            .with(places::model::METADATA, Value::Tables(metadata.collect()))
            .with(places::model::SIGNATURES, Value::Tables(vec![signature]));
        file(&model, IDENTIFIER)
    }
}

/// What the graph is called that runs once.
const INITIAL: &str = "initial_states";

fn ints(numbers: impl Iterator<Item = usize>) -> Value {
    Value::Ints(numbers.map(|number| number as i32).collect())
}

fn buffer(data: &[u8]) -> Table {
    match data.is_empty() {
        true => Table::new(),
        false => Table::new().with(places::buffer::DATA, Value::Bytes(data.to_vec())),
    }
}

fn code(builtin: &Builtin) -> Table {
    Table::new()
        .with(places::code::OLD, Value::Byte(builtin.code.min(LAST_OF_ONE_BYTE) as u8))
        .with(places::code::VERSION, Value::Int(builtin.version))
        .with(places::code::BUILTIN, Value::Int(builtin.code))
}

fn operator(operator: &Operator, code: usize) -> Table {
    let table = Table::new()
        .with(places::operator::CODE, Value::Int(code as i32))
        .with(places::operator::INPUTS, ints(operator.inputs.iter().copied()))
        .with(places::operator::OUTPUTS, ints(operator.output.into_iter()));
    match operator.builtin.options {
        0 => table,
        kind => table
            .with(places::operator::OPTIONS_TYPE, Value::Byte(kind))
            .with(places::operator::OPTIONS, Value::Table(operator.options.clone())),
    }
}

fn tensor(tensor: &Tensor) -> Table {
    let table = Table::new()
        .with(places::tensor::SHAPE, ints(tensor.shape.iter().copied()))
        .with(places::tensor::ELEMENT, Value::Byte(tensor.element as u8))
        .with(places::tensor::BUFFER, Value::Int(tensor.buffer as i32))
        .with(places::tensor::NAME, Value::Text(tensor.name.clone()))
        .with(places::tensor::HAS_RANK, Value::Byte(1));
    let Some(quantization) = &tensor.quantization else { return table };
    let quantization = Table::new()
        .with(places::quantization::SCALES, Value::Floats(quantization.scales.clone()))
        .with(places::quantization::ZERO_POINTS, Value::Longs(quantization.zero_points.clone()))
        .with(places::quantization::AXIS, Value::Int(quantization.axis as i32));
    table.with(4, Value::Table(quantization))
}

/// The names of inputs or outputs in a signature.
fn named(ends: &[(String, usize)]) -> Value {
    let end = |(name, tensor): &(String, usize)| {
        Table::new()
            .with(places::end::NAME, Value::Text(name.clone()))
            .with(places::end::TENSOR, Value::Int(*tensor as i32))
    };
    Value::Tables(ends.iter().map(end).collect())
}
