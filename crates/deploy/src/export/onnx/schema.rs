//! The messages of ONNX files that the exporter writes.

use super::protobuf::Message;

/// The type of elements, by its number in `TensorProto.DataType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    Float = 1,
    Int8 = 3,
    Int16 = 5,
    Int32 = 6,
    Int64 = 7,
    Int4 = 22,
    Int2 = 26,
}

impl Element {
    /// The number that attributes have.
    pub(super) const fn number(self) -> i64 {
        self as i64
    }
}

/// A named constant.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    pub name: String,
    pub element: Element,
    pub shape: Vec<usize>,
    /// The elements as memory holds them, the low byte first; small ones packed from the low bits on.
    pub data: Vec<u8>,
}

impl Tensor {
    fn message(&self) -> Message {
        let extents = self.shape.iter();
        Message::default()
            .each(extents, |message, &extent| message.integer(1, extent as i64))
            .integer(2, self.element.number())
            .text(8, &self.name)
            .bytes(9, &self.data)
    }
}

/// The value of an attribute.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Integer(i64),
    Integers(Vec<i64>),
    Text(&'static str),
}

/// An attribute of a node.
pub(super) type Attribute = (&'static str, Value);

/// An attribute of one integer.
pub(super) const fn integer(name: &'static str, value: i64) -> Attribute {
    (name, Value::Integer(value))
}

/// An attribute of integers.
pub(super) fn integers(name: &'static str, values: impl IntoIterator<Item = usize>) -> Attribute {
    (name, Value::Integers(values.into_iter().map(|value| value as i64).collect()))
}

fn attribute((name, value): &Attribute) -> Message {
    let message = Message::default().text(1, name);
    match value {
        Value::Integer(value) => message.integer(3, *value).integer(20, 2),
        Value::Text(value) => message.text(4, value).integer(20, 3),
        Value::Integers(values) => {
            message.each(values, |message, &value| message.integer(8, value)).integer(20, 7)
        }
    }
}

/// An operator with its inputs and outputs, by the names of values.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub name: String,
    pub operator: &'static str,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    pub attributes: Vec<Attribute>,
}

impl Node {
    fn message(&self) -> Message {
        Message::default()
            .each(&self.inputs, |message, name| message.text(1, name))
            .each(&self.outputs, |message, name| message.text(2, name))
            .text(3, &self.name)
            .text(4, self.operator)
            .each(&self.attributes, |message, own| message.message(5, &attribute(own)))
    }
}

/// An input or an output of floats.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub name: String,
    /// The extents behind the axis of the batch.
    pub shape: Vec<usize>,
}

/// The axis of samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Batch {
    /// Any number of samples.
    Any,
    /// One sample.
    One,
}

impl End {
    fn message(&self, batch: Batch) -> Message {
        let extent = |extent: usize| Message::default().integer(1, extent as i64);
        let first = match batch {
            Batch::Any => Message::default().text(2, "batch"),
            Batch::One => extent(1),
        };
        let axes = std::iter::once(first).chain(self.shape.iter().map(|&axis| extent(axis)));
        let shape = Message::default().each(axes, |message, axis| message.message(1, &axis));
        let tensor = Message::default().integer(1, Element::Float.number()).message(2, &shape);
        let kind = Message::default().message(1, &tensor);
        Message::default().text(1, &self.name).message(2, &kind)
    }
}

/// A whole file.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub name: String,
    pub version: String,
    /// The version of the operators.
    pub opset: i64,
    pub batch: Batch,
    pub inputs: Vec<End>,
    pub outputs: Vec<End>,
    pub nodes: Vec<Node>,
    pub constants: Vec<Tensor>,
    /// Keys and texts.
    pub metadata: Vec<(String, String)>,
}

impl Model {
    /// The version of the file format that has the opset.
    const fn format(&self) -> i64 {
        if self.opset < OPSET_OF_INT2 { 10 } else { 13 }
    }

    /// The bytes of the file.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let ends = |ends: &[End]| -> Vec<Message> {
            ends.iter().map(|end| end.message(self.batch)).collect()
        };
        let graph = Message::default()
            .each(&self.nodes, |message, node| message.message(1, &node.message()))
            .text(2, &self.name)
            .each(&self.constants, |message, own| message.message(5, &own.message()))
            .each(ends(&self.inputs), |message, end| message.message(11, &end))
            .each(ends(&self.outputs), |message, end| message.message(12, &end));
        let opset = Message::default().text(1, "").integer(2, self.opset);
        let pair = |(key, text): &(String, String)| Message::default().text(1, key).text(2, text);
        let message = Message::default()
            .integer(1, self.format())
            .text(2, "burn-ptq")
            .text(3, &self.version)
            .message(7, &graph)
            .message(8, &opset);
        message.each(&self.metadata, |message, own| message.message(14, &pair(own))).into_bytes()
    }
}

/// The first version of the operators with 4-bit integers, and 16-bit ones between
/// `QuantizeLinear` and `DequantizeLinear`.
pub(super) const OPSET: i64 = 21;

/// The first version of the operators with 2-bit integers.
pub(super) const OPSET_OF_INT2: i64 = 25;
