//! Decoding of `TensorProto`: initializers and the values of `Constant` nodes.

use half::{bf16, f16};
use onnx_ir::TensorProto;

use super::budget::Budget;
use super::constants::{Constant, Elements, Extent};
use super::error::Refusal;

/// Whether a tensor's data is in another file.
pub(super) fn is_external(tensor: &TensorProto) -> bool {
    tensor.data_location.value() != 0 || !tensor.external_data.is_empty()
}

/// `TensorProto.DataType`, as far as it is read.
pub(in crate::import) mod data_type {
    use crate::graph::Integers;

    pub(crate) const FLOAT: i32 = 1;
    pub(crate) const UINT8: i32 = 2;
    pub(crate) const INT8: i32 = 3;
    pub(crate) const UINT16: i32 = 4;
    pub(crate) const INT16: i32 = 5;
    pub(crate) const INT32: i32 = 6;
    pub(crate) const INT64: i32 = 7;
    pub(crate) const BOOL: i32 = 9;
    pub(crate) const FLOAT16: i32 = 10;
    pub(crate) const DOUBLE: i32 = 11;
    pub(crate) const UINT32: i32 = 12;
    pub(crate) const UINT64: i32 = 13;
    pub(crate) const BFLOAT16: i32 = 16;
    pub(crate) const UINT4: i32 = 21;
    pub(crate) const INT4: i32 = 22;
    pub(crate) const UINT2: i32 = 25;
    pub(crate) const INT2: i32 = 26;

    /// The bits of an integer type of which several share a byte.
    pub(crate) fn packed_bits(data_type: i32) -> Option<u32> {
        match data_type {
            UINT4 | INT4 => Some(4),
            UINT2 | INT2 => Some(2),
            _ => None,
        }
    }

    /// Whether values of the type are real numbers.
    pub(crate) fn is_float(data_type: i32) -> bool {
        [FLOAT, FLOAT16, DOUBLE, BFLOAT16].contains(&data_type)
    }

    /// The numbers of an integer type.
    pub(crate) fn integers(data_type: i32) -> Option<Integers> {
        let (min, max) = match data_type {
            BOOL => (0, 1),
            UINT8 => (0, u8::MAX.into()),
            INT8 => (i8::MIN.into(), i8::MAX.into()),
            UINT16 => (0, u16::MAX.into()),
            INT16 => (i16::MIN.into(), i16::MAX.into()),
            UINT32 => (0, u32::MAX.into()),
            INT32 => (i32::MIN.into(), i32::MAX.into()),
            UINT64 => (0, i64::MAX),
            INT64 => (i64::MIN, i64::MAX),
            _ => return None,
        };
        Some(Integers { min, max })
    }

    /// The same of all integer types, those too of which several share a byte.
    pub(crate) fn all_integers(data_type: i32) -> Option<Integers> {
        let (min, max) = match data_type {
            UINT4 => (0, 15),
            INT4 => (-8, 7),
            UINT2 => (0, 3),
            INT2 => (-2, 1),
            _ => return integers(data_type),
        };
        Some(Integers { min, max })
    }

    /// The name of a type in the standard.
    pub(crate) fn name(data_type: i32) -> String {
        const NAMES: [&str; 27] = [
            "UNDEFINED",
            "FLOAT",
            "UINT8",
            "INT8",
            "UINT16",
            "INT16",
            "INT32",
            "INT64",
            "STRING",
            "BOOL",
            "FLOAT16",
            "DOUBLE",
            "UINT32",
            "UINT64",
            "COMPLEX64",
            "COMPLEX128",
            "BFLOAT16",
            "FLOAT8E4M3FN",
            "FLOAT8E4M3FNUZ",
            "FLOAT8E5M2",
            "FLOAT8E5M2FNUZ",
            "UINT4",
            "INT4",
            "FLOAT4E2M1",
            "FLOAT8E8M0",
            "UINT2",
            "INT2",
        ];
        usize::try_from(data_type)
            .ok()
            .and_then(|i| NAMES.get(i))
            .map_or_else(|| format!("type {data_type}"), ToString::to_string)
    }
}

/// The bytes that a tensor's shape and type say it takes where it is stored raw.
pub(super) fn raw_bytes(tensor: &TensorProto) -> Result<usize, Refusal> {
    if let Some(bits) = data_type::packed_bits(tensor.data_type) {
        let elements = elements_of(tensor)?;
        return Ok(elements.div_ceil((8 / bits) as usize));
    }
    let kind = Encoding::of(tensor).ok_or_else(|| unknown_type(tensor))?;
    let bytes = elements_of(tensor)?.checked_mul(kind.size);
    bytes.ok_or_else(|| Refusal::invalid(format!("its shape is {:?}", tensor.dims)))
}

/// The number of elements that a tensor's shape says.
fn elements_of(tensor: &TensorProto) -> Result<usize, Refusal> {
    let mut extents = tensor.dims.iter().map(|&d| usize::try_from(d).ok());
    let elements = extents.try_fold(1_usize, |n, d| n.checked_mul(d?));
    elements.ok_or_else(|| Refusal::invalid(format!("its shape is {:?}", tensor.dims)))
}

fn unknown_type(tensor: &TensorProto) -> Refusal {
    Refusal::new(
        format!("elements of type {} are not supported", data_type::name(tensor.data_type)),
        "store the tensor as FLOAT or INT64",
    )
}

/// Decodes a tensor whose data is in the file; floats of any width become `f32`, integers `i64`.
pub(super) fn decode(tensor: &TensorProto, budget: &mut Budget) -> Result<Constant, Refusal> {
    if is_external(tensor) {
        return Err(Refusal::new(
            "its data is in another file (external data)",
            "save the model as one file: onnx.save(model, path, save_as_external_data=False)",
        ));
    }
    if let Some(bits) = data_type::packed_bits(tensor.data_type) {
        return decode_packed(tensor, bits, budget);
    }
    let kind = Encoding::of(tensor).ok_or_else(|| unknown_type(tensor))?;
    let found = if tensor.raw_data.is_empty() {
        kind.typed_len
    } else if tensor.raw_data.len().is_multiple_of(kind.size) {
        tensor.raw_data.len() / kind.size
    } else {
        return Err(Refusal::invalid(format!(
            "expected elements of {} bytes, found {} bytes of data",
            kind.size,
            tensor.raw_data.len()
        )));
    };
    let dims: Option<Vec<usize>> = tensor.dims.iter().map(|&d| usize::try_from(d).ok()).collect();
    let expected = dims.as_ref().and_then(|d| d.iter().try_fold(1_usize, |n, &d| n.checked_mul(d)));
    let (Some(shape), Some(true)) = (dims, expected.map(|n| n == found)) else {
        return Err(Refusal::invalid(format!(
            "its shape {:?} and its {found} elements disagree",
            tensor.dims
        )));
    };
    let elements = if data_type::is_float(tensor.data_type) {
        budget.allocate(&shape, size_of::<f32>())?;
        Elements::Float(kind.floats(tensor))
    } else {
        budget.allocate(&shape, size_of::<Extent>())?;
        Elements::Integer(kind.integers(tensor).into_iter().map(Extent::Known).collect())
    };
    Ok(Constant { shape, elements })
}

/// Decodes integers of few bits: several in a byte, the first in the lowest bits.
fn decode_packed(
    tensor: &TensorProto,
    bits: u32,
    budget: &mut Budget,
) -> Result<Constant, Refusal> {
    let (expected, held) = (elements_of(tensor)?, (8 / bits) as usize);
    let found = match tensor.raw_data.len() {
        0 => tensor.int32_data.len(),
        bytes => bytes,
    };
    if found != expected.div_ceil(held) {
        return Err(Refusal::invalid(format!(
            "its shape {:?} and its {found} bytes of {held} elements disagree",
            tensor.dims
        )));
    }
    let shape: Vec<usize> = tensor.dims.iter().map(|&d| d as usize).collect();
    budget.allocate(&shape, size_of::<Extent>())?;
    let bytes: Vec<u8> = match tensor.raw_data.is_empty() {
        true => tensor.int32_data.iter().map(|&byte| byte as u8).collect(),
        false => tensor.raw_data.to_vec(),
    };
    let lowest = data_type::all_integers(tensor.data_type).map_or(0, |integers| integers.min);
    let element = |index: usize| {
        let field = i64::from(bytes[index / held] >> (bits as usize * (index % held)));
        let field = field & ((1 << bits) - 1);
        // The upper half of a signed type is negative.
        let above = lowest < 0 && field >= 1 << (bits - 1);
        Extent::Known(if above { field - (1 << bits) } else { field })
    };
    Ok(Constant { shape, elements: Elements::Integer((0..expected).map(element).collect()) })
}

/// How a tensor's elements are stored.
struct Encoding {
    /// Bytes of an element in `raw_data`.
    size: usize,
    /// The number of elements in the field of the tensor's type.
    typed_len: usize,
}

impl Encoding {
    fn of(tensor: &TensorProto) -> Option<Self> {
        use data_type::*;
        let (size, typed_len) = match tensor.data_type {
            FLOAT => (4, tensor.float_data.len()),
            DOUBLE => (8, tensor.double_data.len()),
            FLOAT16 | BFLOAT16 | INT16 | UINT16 => (2, tensor.int32_data.len()),
            INT8 | UINT8 | BOOL => (1, tensor.int32_data.len()),
            INT32 => (4, tensor.int32_data.len()),
            INT64 => (8, tensor.int64_data.len()),
            UINT32 => (4, tensor.uint64_data.len()),
            UINT64 => (8, tensor.uint64_data.len()),
            _ => return None,
        };
        Some(Self { size, typed_len })
    }

    fn floats(&self, tensor: &TensorProto) -> Vec<f32> {
        let raw = tensor.raw_data.chunks_exact(self.size);
        let typed = &tensor.int32_data;
        // Halves in `int32_data` are bit patterns in the low half of each number.
        match (tensor.data_type, tensor.raw_data.is_empty()) {
            (data_type::FLOAT, true) => tensor.float_data.clone(),
            (data_type::DOUBLE, true) => tensor.double_data.iter().map(|&v| v as f32).collect(),
            (data_type::FLOAT16, true) => {
                typed.iter().map(|&v| f16::from_bits(v as u16).to_f32()).collect()
            }
            (data_type::BFLOAT16, true) => {
                typed.iter().map(|&v| bf16::from_bits(v as u16).to_f32()).collect()
            }
            (data_type::FLOAT, false) => raw.map(|b| f32::from_le_bytes(bytes(b))).collect(),
            (data_type::DOUBLE, false) => {
                raw.map(|b| f64::from_le_bytes(bytes(b)) as f32).collect()
            }
            (data_type::FLOAT16, false) => {
                raw.map(|b| f16::from_le_bytes(bytes(b)).to_f32()).collect()
            }
            _ => raw.map(|b| bf16::from_le_bytes(bytes(b)).to_f32()).collect(),
        }
    }

    fn integers(&self, tensor: &TensorProto) -> Vec<i64> {
        use data_type::*;
        if tensor.raw_data.is_empty() {
            return match tensor.data_type {
                INT64 => tensor.int64_data.clone(),
                UINT32 | UINT64 => tensor.uint64_data.iter().map(|&v| saturate(v)).collect(),
                _ => tensor.int32_data.iter().map(|&v| v.into()).collect(),
            };
        }
        let raw = tensor.raw_data.chunks_exact(self.size);
        match tensor.data_type {
            INT8 => raw.map(|b| i8::from_le_bytes(bytes(b)).into()).collect(),
            UINT8 | BOOL => raw.map(|b| b[0].into()).collect(),
            INT16 => raw.map(|b| i16::from_le_bytes(bytes(b)).into()).collect(),
            UINT16 => raw.map(|b| u16::from_le_bytes(bytes(b)).into()).collect(),
            INT32 => raw.map(|b| i32::from_le_bytes(bytes(b)).into()).collect(),
            UINT32 => raw.map(|b| u32::from_le_bytes(bytes(b)).into()).collect(),
            UINT64 => raw.map(|b| saturate(u64::from_le_bytes(bytes(b)))).collect(),
            _ => raw.map(|b| i64::from_le_bytes(bytes(b))).collect(),
        }
    }
}

/// The bytes of one element out of a chunk that is exactly as long.
fn bytes<const N: usize>(chunk: &[u8]) -> [u8; N] {
    let mut element = [0; N];
    element.copy_from_slice(chunk);
    element
}

fn saturate(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
