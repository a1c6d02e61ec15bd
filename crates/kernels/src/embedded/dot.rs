// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Dot products of one run of inputs with several filters at once.

use super::blocks::FILTERS;
use crate::reference::Storage;

/// A weight of a byte: decoded, or as it stands in flash.
pub trait Weight: Copy {
    /// The weight as an integer.
    fn integer(self) -> i32;
}

impl Weight for i8 {
    #[inline(always)]
    fn integer(self) -> i32 {
        i32::from(self)
    }
}

impl Weight for u8 {
    #[inline(always)]
    fn integer(self) -> i32 {
        i32::from(self as i8)
    }
}

/// Adds the products of `x`, less the zero point, with each of `filters`.
#[inline(always)]
pub fn add_products<S: Storage, W: Weight>(
    x: &[S],
    zero_point: i32,
    filters: [&[W]; FILTERS],
    sums: &mut [S::Accumulator; FILTERS],
) {
    if !S::WIDE {
        accumulate::<S>(sums, products(x, zero_point, filters));
        return;
    }
    // 32-bit sums of 16-bit by 8-bit products stay exact over 256 terms.
    let mut start = 0;
    for x in x.chunks(256) {
        let part = filters.map(|filter| filter.get(start..).unwrap_or(&[]));
        accumulate::<S>(sums, products(x, zero_point, part));
        start += 256;
    }
}

#[inline(always)]
fn accumulate<S: Storage>(sums: &mut [S::Accumulator; FILTERS], products: [i32; FILTERS]) {
    for (sum, products) in sums.iter_mut().zip(products) {
        *sum = S::accumulate(*sum, products);
    }
}

#[inline(always)]
fn products<S: Storage, W: Weight>(
    x: &[S],
    zero_point: i32,
    [a, b, c, d]: [&[W]; FILTERS],
) -> [i32; FILTERS] {
    let mut sums = [0_i32; FILTERS];
    for ((((x, a), b), c), d) in x.iter().zip(a).zip(b).zip(c).zip(d) {
        let x = x.integer() - zero_point;
        let products = [a, b, c, d].map(|w| x.wrapping_mul(w.integer()));
        for (sum, product) in sums.iter_mut().zip(products) {
            *sum = sum.wrapping_add(product);
        }
    }
    sums
}
