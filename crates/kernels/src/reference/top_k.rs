// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! The places or values of the largest or smallest elements of rows.

use super::Storage;
use crate::params::Selection;
use crate::rows::{rows, rows_mut};

/// The `k` first elements of each row of `depth`, sorted from the first on: the largest, or with
/// `smallest` the smallest; of equal ones the one in front, or with `last` the one behind.
///
/// The output holds values of the elements, or with `indices` their places in the row. Works without
/// memory: each element is searched for behind the one before.
pub fn top_k<S: Storage, T: Storage>(
    selection: Selection,
    depth: usize,
    k: usize,
    input: &[S],
    output: &mut [T],
) {
    let Selection { smallest, last, indices } = selection;
    for (input, output) in rows(input, depth).zip(rows_mut(output, k)) {
        // Greater keys come first, and no two are equal.
        let key = |place: usize, x: S| {
            let value = if smallest { -x.integer() } else { x.integer() };
            let place = place as i32;
            (value, if last { place } else { -place })
        };
        let mut before = (i32::MAX, i32::MAX);
        for output in output {
            let mut found: Option<(usize, S)> = None;
            for (place, &x) in input.iter().enumerate() {
                let behind = key(place, x) < before;
                if behind && found.is_none_or(|(at, best)| key(place, x) > key(at, best)) {
                    found = Some((place, x));
                }
            }
            let Some((place, x)) = found else { break };
            before = key(place, x);
            *output = T::from_integer(if indices { place as i32 } else { x.integer() });
        }
    }
}
