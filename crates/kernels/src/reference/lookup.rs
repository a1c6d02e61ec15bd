// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Rows of a table by their numbers: embeddings.

use super::Storage;
use crate::rows::rows_mut;

/// For each id, the `width` elements of the table's row of that number.
///
/// An id is `q - zero_point` for an element `q` of `ids`. Negative ids count from the last row, as in
/// ONNX's Gather; ids beyond either end mean the nearest row, so that nothing is read outside.
pub fn lookup<S: Storage, T: Storage, U: Copy + Into<i32>>(
    width: usize,
    table: &[U],
    zero_point: i32,
    ids: &[S],
    output: &mut [T],
) {
    let count = (table.len() / width.max(1)) as i32;
    for (id, output) in ids.iter().zip(rows_mut(output, width)) {
        let id = id.integer() - zero_point;
        let id = if id < 0 { id + count } else { id };
        let row = id.min(count - 1).max(0) as usize;
        let row = table.get(row * width..).unwrap_or_default();
        output.iter_mut().zip(row).for_each(|(y, &x)| *y = T::from_integer(x.into()));
    }
}
