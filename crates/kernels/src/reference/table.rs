// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Unary functions by table.

use super::Storage;
use crate::grid::Grid;

/// The table of `f` for 8-bit activations: the output for each input from -128 to 127.
pub fn table8(f: impl Fn(f32) -> f32, input: Grid, output: Grid) -> [i8; 256] {
    core::array::from_fn(|i| output.quantize(f(input.dequantize(i as i32 - 128))) as i8)
}

/// The table of `f` for 16-bit activations: the outputs for inputs -32768, -32640, ... 32768.
pub fn table16(f: impl Fn(f32) -> f32, input: Grid, output: Grid) -> [i16; 513] {
    core::array::from_fn(|i| output.quantize(f(input.dequantize(i as i32 * 128 - 32768))) as i16)
}

/// Looks every element up in a table of 256.
pub fn table_lookup8(table: &[i8], input: &[i8], output: &mut [i8]) {
    for (output, &x) in output.iter_mut().zip(input) {
        *output = entry8(table, x);
    }
}

/// [`table_lookup8`] with the outputs in the place of the inputs.
pub fn table_lookup8_in_place(table: &[i8], values: &mut [i8]) {
    for value in values {
        *value = entry8(table, *value);
    }
}

/// Looks every 16-bit element up in a table of 513 and interpolates between two entries, rounding
/// half up.
pub fn table_lookup16<S: Storage>(table: &[i16], input: &[S], output: &mut [S]) {
    for (output, &x) in output.iter_mut().zip(input) {
        *output = entry16(table, x);
    }
}

/// [`table_lookup16`] with the outputs in the place of the inputs.
pub fn table_lookup16_in_place<S: Storage>(table: &[i16], values: &mut [S]) {
    for value in values {
        *value = entry16(table, *value);
    }
}

#[inline(always)]
fn entry8(table: &[i8], x: i8) -> i8 {
    table.get((i32::from(x) + 128) as usize).copied().unwrap_or(0)
}

#[inline(always)]
fn entry16<S: Storage>(table: &[i16], x: S) -> S {
    let x = x.integer();
    let index = (256 + (x >> 7)) as usize;
    let entry = |index: usize| i32::from(table.get(index).copied().unwrap_or(0));
    let base = entry(index);
    let slope = entry(index + 1) - base;
    S::from_integer(base + ((slope * (x & 127) + 64) >> 7))
}
