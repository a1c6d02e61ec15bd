//! Unary functions by table.

use crate::grid::Grid;

/// The table of `f` for 8-bit activations: the output for each input from -128 to 127.
pub fn table8(f: impl Fn(f32) -> f32, input: Grid, output: Grid) -> [i8; 256] {
    core::array::from_fn(|i| output.quantize(f(input.dequantize(i as i32 - 128))) as i8)
}

/// The table of `f` for 16-bit activations: the outputs for inputs -32768, -32640, ... 32768.
pub fn table16(f: impl Fn(f32) -> f32, input: Grid, output: Grid) -> [i16; 513] {
    core::array::from_fn(|i| output.quantize(f(input.dequantize(i as i32 * 128 - 32768))) as i16)
}

/// Looks every element up.
pub fn table_lookup8(table: &[i8], input: &[i8], output: &mut [i8]) {
    for (output, &x) in output.iter_mut().zip(input) {
        *output = table[(i32::from(x) + 128) as usize];
    }
}

/// Looks every element up and interpolates between two entries, rounding half up.
pub fn table_lookup16(table: &[i16], input: &[i16], output: &mut [i16]) {
    for (output, &x) in output.iter_mut().zip(input) {
        let index = (256 + (i32::from(x) >> 7)) as usize;
        let base = i32::from(table[index]);
        let slope = i32::from(table[index + 1]) - base;
        *output = (base + ((slope * (i32::from(x) & 127) + 64) >> 7)) as i16;
    }
}
