// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Movements of elements.

use crate::rows::{rows, rows_mut};

/// Appends, for each of the steps that `output` holds, `chunk` elements of the input that is the
/// `offset`-th run of a step of `step` elements.
///
/// Call once for each input: `offset` is the sum of the chunks before it.
pub fn concat<T: Copy>(chunk: usize, offset: usize, step: usize, input: &[T], output: &mut [T]) {
    for (input, output) in rows(input, chunk).zip(rows_mut(output, step)) {
        copy(input, output.iter_mut().skip(offset));
    }
}

/// Surrounds a block of extents `extents` with `value`.
pub fn pad<T: Copy>(
    extents: [usize; 3],
    before: [usize; 3],
    after: [usize; 3],
    value: T,
    input: &[T],
    output: &mut [T],
) {
    let columns = before[1] + extents[1] + after[1];
    let row_len = before[2] + extents[2] + after[2];
    output.fill(value);
    let planes = rows(input, extents[1] * extents[2]);
    let padded_planes = rows_mut(output, columns * row_len).skip(before[0]);
    for (plane, padded) in planes.zip(padded_planes) {
        let padded_rows = rows_mut(padded, row_len).skip(before[1]);
        for (row, padded) in rows(plane, extents[2]).zip(padded_rows) {
            copy(row, padded.iter_mut().skip(before[2]));
        }
    }
}

/// Permutes the axes of a block of extents `extents`: output axis `i` is input axis `axes[i]`.
pub fn transpose<T: Copy>(extents: [usize; 3], axes: [usize; 3], input: &[T], output: &mut [T]) {
    let strides = [extents[1] * extents[2], extents[2], 1];
    let of = |values: [usize; 3], axis: usize| values.get(axis).copied().unwrap_or(0);
    let [a, b, c] = axes.map(|axis| (of(extents, axis), of(strides, axis)));
    let mut output = output.iter_mut();
    for i in 0..a.0 {
        for j in 0..b.0 {
            for k in 0..c.0 {
                let place = i * a.1 + j * b.1 + k * c.1;
                if let (Some(output), Some(&x)) = (output.next(), input.get(place)) {
                    *output = x;
                }
            }
        }
    }
}

/// Copies constant elements.
pub fn constant<T: Copy>(values: &[T], output: &mut [T]) {
    copy(values, output.iter_mut());
}

/// Stores pairs of elements, of which the low 4 bits count, in one byte each, the first in the low bits.
pub fn pack_nibbles(input: &[i8], output: &mut [i8]) {
    for (byte, pair) in output.iter_mut().zip(input.as_chunks().0) {
        let [low, high] = pair.map(|x| x as u8 & 0x0F);
        *byte = (low | high << 4) as i8;
    }
}

/// Stores the two elements of each byte one to a byte again.
pub fn unpack_nibbles(input: &[i8], output: &mut [i8]) {
    for (pair, &byte) in output.as_chunks_mut().0.iter_mut().zip(input) {
        *pair = [(byte << 4) >> 4, byte >> 4];
    }
}

fn copy<'a, T: Copy + 'a>(input: &[T], output: impl Iterator<Item = &'a mut T>) {
    for (output, &x) in output.zip(input) {
        *output = x;
    }
}
