// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Linear interpolation between pixels.

use super::Storage;
use crate::rows::rows_mut;

/// Fraction bits of a position.
pub const POSITION_BITS: u32 = 10;

/// One element's distance to the next.
const UNIT: u32 = 1 << POSITION_BITS;

/// How the outputs of an axis lie over its inputs, as TensorFlow Lite has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alignment {
    /// The first elements lie on each other.
    Start,
    /// The centers of the axes lie on each other: elements are at `i + 1/2`.
    HalfPixel,
    /// The first elements lie on each other, and so do the last.
    Corners,
}

/// Where output `index` of `output` lies between `input` elements, in fixed point: TensorFlow Lite's
/// position, at the nearest element where that lies before the first or behind the last.
///
/// `scale = (1024 * input + output / 2) / output`, with one less of both for [`Alignment::Corners`];
/// the position is `index * scale`, for half pixels `index * scale + scale / 2 - 512`.
pub fn resize_position(alignment: Alignment, index: usize, input: usize, output: usize) -> u32 {
    let unit = i64::from(UNIT);
    let less = i64::from(alignment == Alignment::Corners && output > 1);
    let (extent, outputs) = (input as i64 - less, (output as i64 - less).max(1));
    let scale = (unit * extent + outputs / 2) / outputs;
    let start = index as i64 * scale;
    let position = match alignment {
        Alignment::Start | Alignment::Corners => start,
        Alignment::HalfPixel => start + scale / 2 - unit / 2,
    };
    position.max(0).min((input as i64 - 1).max(0) * unit) as u32
}

/// The input element that stands at output `index` of `output`, of `input` elements, as TensorFlow Lite's nearest
/// neighbor has it in 32-bit floats: rounded if `corners` lie on each other, else the one before the position.
pub fn nearest_position(
    corners: bool,
    half_pixels: bool,
    index: usize,
    input: usize,
    output: usize,
) -> usize {
    let scale = match corners && output > 1 {
        true => (input.max(1) - 1) as f32 / (output - 1) as f32,
        false => input as f32 / output.max(1) as f32,
    };
    let place = (index as f32 + if half_pixels { 0.5 } else { 0.0 }) * scale;
    let place = if corners { crate::grid::round_half_away(place) } else { place as i32 };
    (place.max(0) as usize).min(input.max(1) - 1)
}

/// The fixed-point position for a real one between `input` elements, rounded half up.
pub fn resize_position_of(real: f64, input: usize) -> u32 {
    let last = (input.max(1) - 1) as f64;
    // No number counts as the first element.
    let real = if real > 0.0 { real } else { 0.0 };
    let real = if real < last { real } else { last };
    (real * f64::from(UNIT) + 0.5) as u32
}

/// Linear interpolation between the four pixels around each output: the sum of `x * weight_y *
/// weight_x`, in units of `2^-20`, rounded half away from zero.
///
/// `rows` and `columns` hold the positions of the outputs, with [`POSITION_BITS`] fraction bits: the
/// element before a position has the weight `1024 - fraction`, the one behind it `fraction`. No
/// position lies behind the last element.
///
/// # Shapes
/// - input: `[extents[0], extents[1], extents[2]]`
/// - output: `[rows, columns, extents[2]]`
pub fn resize_linear<S: Storage>(
    extents: [usize; 3],
    rows: &[u32],
    columns: &[u32],
    input: &[S],
    output: &mut [S],
) {
    let [height, width, channels] = extents;
    let mut pixels = rows_mut(output, channels);
    for &row in rows {
        let [upper, lower] = neighbours(row, height).map(|row| row * width);
        let below = (row % UNIT) as i32;
        for &column in columns {
            let [left, right] = neighbours(column, width);
            let behind = (column % UNIT) as i32;
            let corner = |row: usize, column: usize| {
                input.get((row + column) * channels..).unwrap_or(&[]).iter()
            };
            let upper_pair = corner(upper, left).zip(corner(upper, right));
            let lower_pair = corner(lower, left).zip(corner(lower, right));
            let Some(pixel) = pixels.next() else { return };
            for (output, ((a, b), (c, d))) in pixel.iter_mut().zip(upper_pair.zip(lower_pair)) {
                let mix =
                    |x: &S, y: &S| x.integer() * (UNIT as i32 - behind) + y.integer() * behind;
                let sum = i64::from(mix(a, b)) * i64::from(UNIT as i32 - below)
                    + i64::from(mix(c, d)) * i64::from(below);
                *output = S::from_integer(rounded(sum));
            }
        }
    }
}

/// `sum / 2^20`, rounded half away from zero.
#[inline(always)]
fn rounded(sum: i64) -> i32 {
    let half = 1_i64 << (2 * POSITION_BITS - 1);
    let away = if sum > 0 { sum + half } else { half - sum };
    let magnitude = (away >> (2 * POSITION_BITS)) as i32;
    if sum > 0 { magnitude } else { -magnitude }
}

/// The elements before and behind a position, the last one being its own neighbour.
#[inline(always)]
fn neighbours(position: u32, extent: usize) -> [usize; 2] {
    let before = (position / UNIT) as usize;
    [before, if before + 1 < extent { before + 1 } else { before }]
}
