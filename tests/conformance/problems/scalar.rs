//! Layers that meet the conditions of the kernels for cores without SIMD, or miss them narrowly.

use burn_ptq_kernels::geometry::{ConvGeometry, DepthwiseGeometry};

use super::Problem;
use super::draw::Draw;
use super::tiles::{Wanted, conv2d_of, depthwise_conv2d_of, fully_connected_of, window};

/// Weights of any bits; few multipliers shift to the left.
const WANTED: Wanted = Wanted { storages: &[2, 3, 4, 8], left: |_| 15 };

/// Rows of any length, so that tiles of one, two and four pixels lie in one row or in two; windows of up
/// to some hundred elements, after which lanes of 16 bits are emptied several times.
pub(super) fn conv2d(draw: &mut Draw) -> Option<Problem> {
    let plane = [1 + draw.below(7), 1 + draw.below(11)];
    let in_channels = if draw.chance(30) { 1 + draw.below(80) } else { 1 + draw.below(12) };
    let kernel = draw.pick(&[[1, 1], [1, 1], [3, 3], [1, 3], [4, 1], [2, 5]]);
    let (window, output_plane) = window(draw, plane, kernel, 3)?;
    let geometry = ConvGeometry {
        input: plane,
        output: output_plane,
        in_channels,
        out_channels: 2 * (1 + draw.below(4)),
        groups: 1,
        window,
    };
    conv2d_of(draw, geometry, WANTED)
}

/// Planes of many rows, of many columns, and of few of both.
pub(super) fn depthwise_conv2d(draw: &mut Draw) -> Option<Problem> {
    let most = draw.pick(&[[8, 8], [20, 6], [6, 24]]);
    let plane = most.map(|most| 1 + draw.below(most));
    let channels = 4 * (1 + draw.below(3));
    let (window, output_plane) = window(draw, plane, [3; 2], 2)?;
    let geometry =
        DepthwiseGeometry { input: plane, output: output_plane, channels, multiplier: 1, window };
    depthwise_conv2d_of(draw, geometry, false, WANTED)
}

pub(super) fn fully_connected(draw: &mut Draw) -> Option<Problem> {
    let rows = if draw.chance(50) { 1 } else { 1 + draw.below(8) };
    let in_features = 1 + draw.below(200);
    let out_features = 2 * (1 + draw.below(6));
    fully_connected_of(draw, rows, [out_features, in_features], WANTED)
}
