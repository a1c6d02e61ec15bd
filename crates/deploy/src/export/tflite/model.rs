//! What a file holds, as tables of the schema.

use super::flatbuffer::{Table, Value, file};
use crate::tflite::schema::{Builtin, Element, IDENTIFIER, LAST_OF_ONE_BYTE, VERSION};
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

/// The handle of a variable.
pub(super) fn variable(name: &str) -> Tensor {
    Tensor {
        name: name.to_owned(),
        shape: vec![1],
        element: Element::Resource,
        quantization: None,
        buffer: 0,
    }
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
