//! Elements of constant tensors.

use burn::tensor::TensorData;
use burn_ptq_deploy::tflite::Element;
use burn_ptq_deploy::tflite::file::Tensor;
use half::{bf16, f16};

/// The elements of a constant: integers as they are, real numbers as floats, quantized ones dequantized.
///
/// # Errors
/// What was found instead of as many elements as the shape has, of a type that is known.
pub(super) fn decode(tensor: &Tensor) -> Result<TensorData, String> {
    let count = tensor.elements().ok_or("a constant of more elements than can be counted")?;
    if tensor.is_partial {
        return Err("a constant whose elements are stored in part, in another file, or with scales for blocks".into());
    }
    let element = tensor.element.map_err(|code| format!("a constant of unknown type {code}"))?;
    let bytes = tensor.data;
    let numbers: Numbers = match element {
        Element::Float32 => Numbers::Floats(floats(bytes, f32::from_le_bytes)),
        Element::Float16 => {
            Numbers::Floats(floats(bytes, |bytes| f16::from_le_bytes(bytes).to_f32()))
        }
        Element::BFloat16 => {
            Numbers::Floats(floats(bytes, |bytes| bf16::from_le_bytes(bytes).to_f32()))
        }
        Element::Float64 => {
            Numbers::Floats(floats(bytes, |bytes| f64::from_le_bytes(bytes) as f32))
        }
        Element::Int8 => Numbers::Integers(integers(bytes, i8::from_le_bytes)),
        Element::UInt8 | Element::Bool => Numbers::Integers(integers(bytes, u8::from_le_bytes)),
        Element::Int16 => Numbers::Integers(integers(bytes, i16::from_le_bytes)),
        Element::UInt16 => Numbers::Integers(integers(bytes, u16::from_le_bytes)),
        Element::Int32 => Numbers::Integers(integers(bytes, i32::from_le_bytes)),
        Element::UInt32 => Numbers::Integers(integers(bytes, u32::from_le_bytes)),
        Element::Int64 => Numbers::Integers(integers(bytes, i64::from_le_bytes)),
        Element::Int4 => Numbers::Integers(packed(bytes, 4, count)),
        Element::Int2 => Numbers::Integers(packed(bytes, 2, count)),
        Element::UInt4
        | Element::UInt64
        | Element::String
        | Element::Complex64
        | Element::Complex128
        | Element::Resource
        | Element::Variant => return Err(format!("a constant of {}", element.name())),
    };
    let found = match &numbers {
        Numbers::Floats(values) => values.len(),
        Numbers::Integers(values) => values.len(),
    };
    if found != count {
        return Err(format!("a constant of {found} elements, expected {count}"));
    }
    let shape = tensor.shape.clone();
    match numbers {
        Numbers::Floats(values) => Ok(TensorData::new(values, shape)),
        Numbers::Integers(values) if tensor.scales.is_empty() => Ok(TensorData::new(values, shape)),
        Numbers::Integers(values) => dequantize(tensor, &values),
    }
}

enum Numbers {
    Floats(Vec<f32>),
    Integers(Vec<i64>),
}

fn floats<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes.as_chunks::<N>().0.iter().map(|&bytes| number(bytes)).collect()
}

fn integers<const N: usize, T: Into<i64>>(bytes: &[u8], number: impl Fn([u8; N]) -> T) -> Vec<i64> {
    bytes.as_chunks::<N>().0.iter().map(|&bytes| number(bytes).into()).collect()
}

/// Signed integers of a few bits, the first in the lowest bits of a byte.
fn packed(bytes: &[u8], bits: u32, count: usize) -> Vec<i64> {
    let fields = (0..8).step_by(bits as usize);
    let number = |byte: u8, at: u32| i64::from(((byte << (8 - bits - at)) as i8) >> (8 - bits));
    let numbers = bytes.iter().flat_map(|&byte| fields.clone().map(move |at| number(byte, at)));
    numbers.take(count).collect()
}

/// The real numbers that `values` stand for.
fn dequantize(tensor: &Tensor, values: &[i64]) -> Result<TensorData, String> {
    let scales: Vec<f32> = tensor.scales.iter().collect();
    let zero_points: Vec<i64> = tensor.zero_points.iter().collect();
    // How many elements in a row have the same scale.
    let (run, kinds) = match scales.len() {
        1 => (values.len().max(1), 1),
        kinds => {
            let axis = usize::try_from(tensor.axis).ok().filter(|&axis| axis < tensor.shape.len());
            let axis = axis.ok_or_else(|| format!("scales along axis {}", tensor.axis))?;
            if tensor.shape[axis] != kinds {
                return Err(format!("{kinds} scales along {} indices", tensor.shape[axis]));
            }
            (tensor.shape[axis + 1..].iter().product::<usize>().max(1), kinds)
        }
    };
    let real = |(at, &value): (usize, &i64)| {
        let kind = at / run % kinds;
        let zero_point = zero_points.get(kind).or(zero_points.first()).copied().unwrap_or(0);
        (value.wrapping_sub(zero_point) as f64 * f64::from(scales[kind])) as f32
    };
    let values: Vec<f32> = values.iter().enumerate().map(real).collect();
    Ok(TensorData::new(values, tensor.shape.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_few_bits_are_signed_and_begin_in_the_lowest_bits() {
        assert_eq!(packed(&[0x8F, 0x07], 4, 3), [-1, -8, 7]);
        assert_eq!(packed(&[0b11_10_01_00], 2, 4), [0, 1, -2, -1]);
    }
}
