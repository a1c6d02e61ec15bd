// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Average and maximum over windows, all channels of a tap at a time.

use super::lanes::{Lanes, Work};
use super::{Instructions, Scratch, ScratchLen};
use crate::geometry::PoolGeometry;
use crate::params::Clamp;
use crate::reference::Storage;

/// The scratch that the pools need.
pub const fn pool_scratch(geometry: &PoolGeometry) -> ScratchLen {
    ScratchLen { bytes: 0, halves: 0, sums: geometry.channels, places: 0 }
}

/// See [`reference::average_pool`](crate::reference::average_pool).
pub fn average_pool<S: Storage>(
    instructions: Instructions,
    geometry: &PoolGeometry,
    clamp: Clamp,
    input: &[S],
    scratch: Scratch,
    output: &mut [S],
) {
    let sums = scratch.sums;
    instructions.run(Pool { geometry, input, sums, output, function: Average(clamp) });
}

/// See [`reference::max_pool`](crate::reference::max_pool).
pub fn max_pool<S: Storage>(
    instructions: Instructions,
    geometry: &PoolGeometry,
    clamp: Clamp,
    input: &[S],
    scratch: Scratch,
    output: &mut [S],
) {
    let sums = scratch.sums;
    instructions.run(Pool { geometry, input, sums, output, function: Largest(clamp) });
}

/// What is made of the elements of a window.
trait Function {
    const START: i32;
    fn join(joined: i32, x: i32) -> i32;
    fn finish(&self, joined: i32, count: i32) -> i32;
}

struct Average(Clamp);

impl Function for Average {
    const START: i32 = 0;

    #[inline(always)]
    fn join(sum: i32, x: i32) -> i32 {
        sum + x
    }

    #[inline(always)]
    fn finish(&self, sum: i32, count: i32) -> i32 {
        let half = if sum > 0 { count / 2 } else { -(count / 2) };
        self.0.apply((sum + half).checked_div(count).unwrap_or(0))
    }
}

struct Largest(Clamp);

impl Function for Largest {
    const START: i32 = i32::MIN;

    #[inline(always)]
    fn join(largest: i32, x: i32) -> i32 {
        largest.max(x)
    }

    #[inline(always)]
    fn finish(&self, largest: i32, _count: i32) -> i32 {
        self.0.apply(largest)
    }
}

struct Pool<'a, S, F> {
    geometry: &'a PoolGeometry,
    input: &'a [S],
    sums: &'a mut [i32],
    output: &'a mut [S],
    function: F,
}

impl<S: Storage, F: Function> Work for Pool<'_, S, F> {
    #[inline(always)]
    fn run<L: Lanes>(self, _lanes: L) {
        let Self { geometry: g, input, sums, output, function } = self;
        let (window, channels) = (g.window, g.channels);
        for (pixel, output) in output.chunks_exact_mut(channels).enumerate() {
            let [y, x] = [pixel / g.output[1], pixel % g.output[1]];
            let (rows, columns) = (window.taps(0, y, g.input[0]), window.taps(1, x, g.input[1]));
            let count = rows.len() * columns.len();
            sums.fill(F::START);
            for row in rows {
                let row = window.origin(0, y).wrapping_add(row * window.dilation[0]);
                for column in columns.clone() {
                    let column = window.origin(1, x).wrapping_add(column * window.dilation[1]);
                    let first = (row * g.input[1] + column) * channels;
                    for (sum, x) in sums.iter_mut().zip(&input[first..first + channels]) {
                        *sum = F::join(*sum, x.integer());
                    }
                }
            }
            for (output, &sum) in output.iter_mut().zip(&*sums) {
                *output = S::from_integer(function.finish(sum, count as i32));
            }
        }
    }
}
