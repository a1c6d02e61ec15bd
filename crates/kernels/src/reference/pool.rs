// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Average and maximum over windows.

use super::Storage;
use crate::geometry::PoolGeometry;
use crate::params::Clamp;

/// The mean of the window's elements that are not padding, rounded half away from zero.
///
/// # Shapes
/// - input and output: `[height, width, channels]`
pub fn average_pool<S: Storage>(
    geometry: &PoolGeometry,
    clamp: Clamp,
    input: &[S],
    output: &mut [S],
) {
    reduce(
        geometry,
        input,
        output,
        0,
        |sum, x| sum + x,
        |sum, count| {
            let half = if sum > 0 { count / 2 } else { -(count / 2) };
            // Every window holds an element; a count of 0 would divide by it.
            clamp.apply((sum + half).checked_div(count).unwrap_or(0))
        },
    );
}

/// The largest of the window's elements that are not padding.
///
/// # Shapes
/// - input and output: `[height, width, channels]`
pub fn max_pool<S: Storage>(geometry: &PoolGeometry, clamp: Clamp, input: &[S], output: &mut [S]) {
    reduce(geometry, input, output, i32::MIN, i32::max, |largest, _| clamp.apply(largest));
}

fn reduce<S: Storage>(
    geometry: &PoolGeometry,
    input: &[S],
    output: &mut [S],
    start: i32,
    join: impl Fn(i32, i32) -> i32,
    finish: impl Fn(i32, i32) -> i32,
) {
    let g = geometry;
    let mut output = output.iter_mut();
    for y in 0..g.output[0] {
        for x in 0..g.output[1] {
            for c in 0..g.channels {
                let (mut joined, mut count) = (start, 0);
                for tap_y in 0..g.window.kernel[0] {
                    let Some(row) = g.window.input(0, y, tap_y, g.input[0]) else { continue };
                    for tap_x in 0..g.window.kernel[1] {
                        let Some(column) = g.window.input(1, x, tap_x, g.input[1]) else {
                            continue;
                        };
                        let place = (row * g.input[1] + column) * g.channels + c;
                        joined = join(joined, input.get(place).map_or(0, |x| x.integer()));
                        count += 1;
                    }
                }
                if let Some(output) = output.next() {
                    *output = S::from_integer(finish(joined, count));
                }
            }
        }
    }
}
