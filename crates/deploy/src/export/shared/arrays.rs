//! Elements of arrays, as C and Rust write them.

use crate::op::DType;

/// No line of data is longer.
const MAX_COLUMNS: usize = 100;

/// Elements from bytes with the low byte first.
pub(crate) fn integers(bytes: &[u8], dtype: DType) -> Vec<String> {
    match dtype {
        DType::I8 | DType::I4 => bytes.iter().map(|&byte| (byte as i8).to_string()).collect(),
        DType::I16 => bytes
            .chunks_exact(2)
            .map(|pair| i16::from_le_bytes([pair[0], pair[1]]).to_string())
            .collect(),
    }
}

/// Items with commas on indented lines.
pub(crate) fn wrapped(items: &[String], indent: usize) -> String {
    let mut out = String::new();
    let mut column = 0;
    for item in items {
        if column > 0 && column + item.len() + 2 > MAX_COLUMNS {
            out.push('\n');
            column = 0;
        }
        if column == 0 {
            out.push_str(&" ".repeat(indent));
            column = indent;
        } else {
            out.push(' ');
            column += 1;
        }
        out.push_str(item);
        out.push(',');
        column += item.len() + 1;
    }
    out.push('\n');
    out
}
