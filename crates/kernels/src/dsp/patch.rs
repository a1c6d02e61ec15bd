// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Inputs of a convolution, gathered as 16-bit elements less the zero point.

use core::mem::take;

use super::instructions::{add_even_bytes, add_odd_bytes, high_halves, low_halves, smlad};
use super::{Pair, twice, word};
use crate::geometry::ConvGeometry;

/// A 16-bit element, low byte first.
pub type Element = [i8; 2];

/// Writes `input` less the zero point to as many elements.
pub fn expand(input: &[i8], zero_point: i32, output: &mut [Element]) {
    let less = twice(-zero_point);
    let (input, rest) = input.as_chunks::<4>();
    let (output, output_rest) = output.as_chunks_mut::<4>();
    for (output, &x) in output.iter_mut().zip(input) {
        let bytes = word(x);
        let (even, odd) = (add_even_bytes(less, bytes), add_odd_bytes(less, bytes));
        let [a, b, c, d] = low_halves(even, odd).to_le_bytes().map(|byte| byte as i8);
        let [e, f, g, h] = high_halves(even, odd).to_le_bytes().map(|byte| byte as i8);
        *output = [[a, b], [c, d], [e, f], [g, h]];
    }
    for (output, &x) in output_rest.iter_mut().zip(rest) {
        *output = ((i32::from(x) - zero_point) as i16).to_le_bytes().map(|byte| byte as i8);
    }
}

/// What the window at (y, x) covers of a group of channels, with zeros for the padding and behind.
#[inline(never)]
pub fn gather(
    g: &ConvGeometry,
    group: usize,
    input: &[i8],
    zero_point: i32,
    [y, x]: [usize; 2],
    patch: &mut [Element],
) {
    let depth = g.inputs_per_group();
    let rows = g.window.taps(0, y, g.input[0]);
    let columns = g.window.taps(1, x, g.input[1]);
    // Where the taps of a kernel row are neighbours in the input, the row is one run.
    let joined = g.groups == 1 && g.window.dilation[1] == 1;
    let step = if joined { columns.len() } else { 1 };
    let run = step * depth;
    let before = columns.start * depth;
    let (top, left) = (g.window.origin(0, y), g.window.origin(1, x));
    let after = (g.window.kernel[1] - columns.end) * depth;
    let mut rest = patch;
    next(&mut rest, rows.start * g.window.kernel[1] * depth).fill([0; 2]);
    for tap_y in rows {
        let row = top.wrapping_add(tap_y * g.window.dilation[0]);
        next(&mut rest, before).fill([0; 2]);
        let mut tap_x = columns.start;
        while tap_x < columns.end {
            let column = left.wrapping_add(tap_x * g.window.dilation[1]);
            let place = (row * g.input[1] + column) * g.in_channels + group * depth;
            let input = input.get(place..place + run).unwrap_or(&[]);
            expand(input, zero_point, next(&mut rest, run));
            tap_x += step;
        }
        next(&mut rest, after).fill([0; 2]);
    }
    rest.fill([0; 2]);
}

/// The next `count` elements, which are taken off.
#[inline(always)]
fn next<'a>(rest: &mut &'a mut [Element], count: usize) -> &'a mut [Element] {
    let Some((next, behind)) = take(rest).split_at_mut_checked(count) else { return &mut [] };
    *rest = behind;
    next
}

/// Elements as pairs.
#[inline(always)]
pub fn pairs(elements: &[Element]) -> &[Pair] {
    elements.as_flattened().as_chunks().0
}

/// What weights that are packed with an offset of 2^(BITS - 1) add to a sum over `patch`.
#[inline(always)]
pub fn excess<const BITS: usize>(patch: &[Pair]) -> i32 {
    if BITS == 8 {
        return 0;
    }
    let add = |sum, &pair: &Pair| smlad(word(pair), 0x0001_0001, sum);
    let (blocks, rest) = patch.as_chunks::<4>();
    let sum = blocks.iter().fold(0, |sum, block| block.iter().fold(sum, add));
    let sum = rest.iter().fold(sum, add);
    sum.wrapping_mul(1 << (BITS - 1))
}
