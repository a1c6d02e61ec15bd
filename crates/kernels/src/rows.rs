// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Slices in rows of equal length.
//!
//! `chunks` divides where it is zipped with another iterator, which is a panic path that the compiler
//! removes only if it sees that the divisor is not 0.

use core::iter::from_fn;
use core::mem::take;

/// The rows of `slice`, `len` elements each; the last one may be shorter.
#[inline(always)]
pub fn rows<T>(mut slice: &[T], len: usize) -> impl Iterator<Item = &[T]> {
    from_fn(move || {
        let (row, rest) = slice.split_at_checked(len.min(slice.len()))?;
        slice = rest;
        (!row.is_empty()).then_some(row)
    })
}

/// The same for writing.
#[inline(always)]
pub fn rows_mut<T>(mut slice: &mut [T], len: usize) -> impl Iterator<Item = &mut [T]> {
    from_fn(move || {
        let len = len.min(slice.len());
        let (row, rest) = take(&mut slice).split_at_mut_checked(len)?;
        slice = rest;
        (!row.is_empty()).then_some(row)
    })
}
