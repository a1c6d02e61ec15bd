//! Constant arrays in C.

use burn_ptq_kernels::multiplier::Multiplier;

use crate::export::shared::arrays::{integers, wrapped};
use crate::op::DType;
use crate::preprocess::Element;

/// The C type of an element.
pub(super) fn c_type(dtype: DType) -> &'static str {
    match dtype {
        DType::I8 | DType::I4 => "int8_t",
        DType::I16 => "int16_t",
    }
}

/// The C type of raw elements.
pub(super) fn raw_type(element: Element) -> &'static str {
    match element {
        Element::U8 => "uint8_t",
        Element::I8 => "int8_t",
        Element::U16 => "uint16_t",
        Element::I16 => "int16_t",
        Element::I32 => "int32_t",
        Element::F32 => "float",
    }
}

/// The macro that stands before constants of the program called `id`: `const`, unless a build adds where
/// they lie.
pub(super) fn constant(id: &str) -> String {
    format!("{}_CONST", id.to_ascii_uppercase())
}

/// `static {constant} {c_type} {name}[{len}] = {...};` and a newline.
pub(super) fn array<T: ToString>(
    constant: &str,
    c_type: &str,
    name: &str,
    items: impl IntoIterator<Item = T>,
) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    let len = items.len();
    format!("static {constant} {c_type} {name}[{len}] = {{\n{}}};\n", wrapped(&items, 4))
}

/// An `int32_t` as a constant expression; the smallest one has no literal.
pub(super) fn int32(value: i32) -> String {
    if value == i32::MIN { "-2147483647 - 1".to_owned() } else { value.to_string() }
}

/// A `bptq_multiplier`.
pub(super) fn multiplier(multiplier: Multiplier) -> String {
    format!("{{{}, {}}}", multiplier.quantized, multiplier.exponent)
}

/// The rows of a two-dimensional array, each from bytes with the low byte first.
pub(super) fn rows<'a>(rows: impl Iterator<Item = &'a [u8]>, dtype: DType) -> String {
    rows.map(|bytes| format!("    {{\n{}    }},\n", wrapped(&integers(bytes, dtype), 8))).collect()
}

/// The rows of a two-dimensional array of 32-bit patterns.
pub(super) fn unsigned_rows(rows: &[Vec<u32>]) -> String {
    let row = |row: &Vec<u32>| {
        let items: Vec<String> = row.iter().map(|item| format!("0x{item:08x}u")).collect();
        format!("    {{\n{}    }},\n", wrapped(&items, 8))
    };
    rows.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_lines_are_at_most_100_columns_long_and_hold_every_item() {
        let text = array("const", "int32_t", "bias", (0..500).map(|i| int32(i32::MIN + i * 37)));
        assert!(text.lines().all(|line| line.len() <= 100));
        let body = text.split_once('{').map(|(_, body)| body).expect("an initializer");
        assert_eq!(body.matches(',').count(), 500);
    }

    #[test]
    fn sixteen_bit_rows_are_read_low_byte_first() {
        let bytes = [0x01_u8, 0x00, 0x00, 0x80];
        let text = rows([bytes.as_slice()].into_iter(), DType::I16);
        assert_eq!(text, "    {\n        1, -32768,\n    },\n");
    }
}
