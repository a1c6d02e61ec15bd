//! Parts of ONNX models, in memory.

use burn::tensor::TensorData;
use onnx_ir::{AttributeProto, AttributeType, TensorProto, ValueInfoProto};

use super::onnx::data_type;

/// The version of the operators that captured modules are written in.
pub(in crate::import) const OPSET: i64 = 13;

pub(in crate::import) fn int(name: &str, value: usize) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        type_: AttributeType::INT.into(),
        i: value as i64,
        ..Default::default()
    }
}

pub(in crate::import) fn ints(
    name: &str,
    values: impl IntoIterator<Item = usize>,
) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        type_: AttributeType::INTS.into(),
        ints: values.into_iter().map(|v| v as i64).collect(),
        ..Default::default()
    }
}

pub(in crate::import) fn string(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        type_: AttributeType::STRING.into(),
        s: value.as_bytes().to_vec().into(),
        ..Default::default()
    }
}

pub(in crate::import) fn float(name: &str, value: f64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        type_: AttributeType::FLOAT.into(),
        f: value as f32,
        ..Default::default()
    }
}

/// A constant: integers of any width and bools become `INT64`, floats `FLOAT`.
pub(in crate::import) fn tensor(name: &str, data: &TensorData) -> TensorProto {
    let dims: Vec<i64> = data.shape().iter().map(|&d| d as i64).collect();
    let kind = data.dtype();
    let (data_type, raw) = if kind.is_float() {
        let bytes: Vec<u8> = data.iter::<f32>().flat_map(f32::to_le_bytes).collect();
        (data_type::FLOAT, bytes)
    } else {
        let bytes: Vec<u8> = data.iter::<i64>().flat_map(i64::to_le_bytes).collect();
        (data_type::INT64, bytes)
    };
    TensorProto { name: name.into(), dims, data_type, raw_data: raw.into(), ..Default::default() }
}

/// A tensor of floats, by name.
pub(in crate::import) fn value_info(name: &str, shape: &[usize]) -> ValueInfoProto {
    typed_value(name, data_type::FLOAT, shape)
}

/// A tensor, by name.
pub(in crate::import) fn typed_value(name: &str, element: i32, shape: &[usize]) -> ValueInfoProto {
    let mut info = ValueInfoProto { name: name.into(), ..Default::default() };
    let kind = info.type_.mut_or_insert_default().mut_tensor_type();
    kind.elem_type = element;
    let dims = kind.shape.mut_or_insert_default();
    dims.dim.resize(shape.len(), Default::default());
    for (dim, &extent) in dims.dim.iter_mut().zip(shape) {
        dim.set_dim_value(extent as i64);
    }
    info
}
