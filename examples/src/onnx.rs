//! A writer of small ONNX models: nodes, initializers and attributes as protobuf messages. [`layers`] writes
//! Burn's.

pub mod layers;

use std::error::Error;
use std::path::Path;

use onnx_ir::{
    AttributeProto, AttributeType, GraphProto, Message, ModelProto, NodeProto, TensorProto,
    ValueInfoProto,
};

/// Version of the operator set that the models are written in.
const OPSET: i64 = 17;
/// Version of the file format that came with that operator set.
const IR_VERSION: i64 = 8;
/// `TensorProto.DataType.FLOAT`.
const FLOAT: i32 = 1;
/// `TensorProto.DataType.INT64`.
const INT64: i32 = 7;

/// One axis of an input or output.
#[derive(Clone, Copy)]
pub enum Axis {
    /// Any size, under a name.
    Symbol(&'static str),
    /// This many.
    Size(usize),
}

/// A model under construction. Nodes run in the order of their calls; every name must be new.
pub struct OnnxWriter {
    graph: GraphProto,
}

impl OnnxWriter {
    /// A graph of this name, without nodes.
    pub fn new(name: &str) -> Self {
        Self { graph: GraphProto { name: name.into(), ..Default::default() } }
    }

    /// Declares a float input and returns its name.
    pub fn input(&mut self, name: &str, axes: &[Axis]) -> String {
        self.graph.input.push(value_info(name, axes));
        name.into()
    }

    /// Declares the value `name`, which a node yields, as a float output.
    pub fn output(&mut self, name: &str, axes: &[Axis]) {
        self.graph.output.push(value_info(name, axes));
    }

    /// Stores float `values`, row-major, and returns their name.
    pub fn initializer(&mut self, name: &str, dims: &[usize], values: &[f32]) -> String {
        assert_eq!(dims.iter().product::<usize>(), values.len(), "{name}: {dims:?}");
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.store(name, dims, FLOAT, bytes)
    }

    /// Stores a list of integers, such as axes, and returns its name.
    pub fn integers(&mut self, name: &str, values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.store(name, &[values.len()], INT64, bytes)
    }

    fn store(&mut self, name: &str, dims: &[usize], data_type: i32, bytes: Vec<u8>) -> String {
        self.graph.initializer.push(TensorProto {
            name: name.into(),
            dims: dims.iter().map(|&dim| dim as i64).collect(),
            data_type,
            raw_data: bytes.into(),
            ..Default::default()
        });
        name.into()
    }

    /// Adds a node with one output, called like the node, and returns that name.
    pub fn node(
        &mut self,
        op_type: &str,
        name: &str,
        inputs: &[String],
        attributes: Vec<AttributeProto>,
    ) -> String {
        self.node_with(op_type, name, inputs, &[name], attributes);
        name.into()
    }

    /// Adds a node with several outputs; a name that is empty leaves an output out.
    pub fn node_with(
        &mut self,
        op_type: &str,
        name: &str,
        inputs: &[String],
        outputs: &[&str],
        attributes: Vec<AttributeProto>,
    ) {
        self.graph.node.push(NodeProto {
            op_type: op_type.into(),
            name: name.into(),
            input: inputs.to_vec(),
            output: outputs.iter().map(|&output| output.into()).collect(),
            attribute: attributes,
            ..Default::default()
        });
    }

    /// The bytes of the `.onnx` file; `description` and the name of the program that trained are kept in it.
    pub fn finish(self, program: &str, description: &str) -> Vec<u8> {
        let mut model = ModelProto {
            ir_version: IR_VERSION,
            producer_name: format!("burn-ptq {program}"),
            doc_string: description.into(),
            graph: Some(self.graph).into(),
            ..Default::default()
        };
        // The message types of the operator set and of shapes cannot be named from outside.
        model.opset_import.push(Default::default());
        model.opset_import[0].version = OPSET;
        model.write_to_bytes().expect("no required fields and below two gigabytes")
    }
}

/// An integer attribute.
pub fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        type_: AttributeType::INT.into(),
        i: value,
        ..Default::default()
    }
}

/// An attribute that is a list of integers.
pub fn ints(name: &str, values: &[usize]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        type_: AttributeType::INTS.into(),
        ints: values.iter().map(|&value| value as i64).collect(),
        ..Default::default()
    }
}

/// A float attribute.
pub fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        type_: AttributeType::FLOAT.into(),
        f: value,
        ..Default::default()
    }
}

/// Replaces `folder/model.onnx` in one step: an interrupted run leaves the file that was there.
///
/// # Errors
/// If the file cannot be written, with its path.
pub fn write_model(folder: &Path, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    let path = folder.join("model.onnx");
    let unfinished = path.with_extension("onnx.unfinished");
    std::fs::write(&unfinished, bytes)
        .and_then(|()| std::fs::rename(&unfinished, &path))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    println!("wrote {} ({} bytes)", path.display(), bytes.len());
    Ok(())
}

fn value_info(name: &str, axes: &[Axis]) -> ValueInfoProto {
    let mut info = ValueInfoProto { name: name.into(), ..Default::default() };
    let tensor = info.type_.mut_or_insert_default().mut_tensor_type();
    tensor.elem_type = FLOAT;
    let shape = tensor.shape.mut_or_insert_default();
    for &axis in axes {
        shape.dim.push(Default::default());
        let Some(dim) = shape.dim.last_mut() else { continue };
        match axis {
            Axis::Symbol(symbol) => dim.set_dim_param(symbol.into()),
            Axis::Size(size) => dim.set_dim_value(size as i64),
        }
    }
    info
}
