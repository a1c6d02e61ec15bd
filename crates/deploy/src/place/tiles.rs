//! Which layers run in tiles, with how much scratch, and what their channels need there.
//!
//! `bptq_tile.h` of the C runtime says what a tile is, and how it makes outputs of sums.

use burn_ptq_kernels::geometry::{ConvGeometry, DepthwiseGeometry};
use burn_ptq_kernels::params::AddParams;

use super::layer::{is_narrow, widens};
use super::spans::{FULL, FULL_WIDE, Span, spans};
use super::sums;
use crate::op::{Broadcast, IntOp, Weighted, weightless};
use crate::program::{IntNode, Program};

/// What makes the outputs of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// The bias less the zero point of the input times the sum of the weights.
    pub bias: i32,
    /// The multiplier's significand.
    pub quantized: i32,
    /// `(2 * zero_point + 1) << (shift - 1)`: the zero point of the output and the half of a rounding, at
    /// the multiplier's right shift, which the zeros below its lowest bit tell. The zero point alone if the
    /// multiplier shifts to the left.
    pub offset: i32,
    /// The multiplier's right shift; what it shifts to the left is negative.
    pub shift: i32,
}

/// Bits of the largest left shift where there may be one.
const MAX_LEFT: i32 = 7;

/// Bits of the largest right shift: the offset of a larger one leaves 32 bits.
const MAX_SHIFT: i32 = 23;

/// Bytes that two columns of a depthwise line take: `BPTQ_TILE_SLOTS`, and `BPTQ_TILE_PLANE_1` and
/// `_2` by stride.
const SLOTS: usize = 48;
const PLANES: [usize; 2] = [224, 288];
/// `BPTQ_TILE_ROWS` and `BPTQ_TILE_PLANE_WIDTH`.
const ROWS: usize = 4;
const PLANE_WIDTH: usize = 16;

/// Whether `node` meets all conditions of its tile.
pub fn fits(program: &Program, node: &IntNode) -> bool {
    let narrow = || is_narrow(program, node);
    if let IntOp::Add { params, broadcast: Broadcast::None, clamp } = &node.op {
        return narrow() && *clamp == FULL && sum_fits(program, node, params);
    }
    let Some(weighted) = node.op.weighted() else { return false };
    let bounded = |clamp| weighted.clamp == clamp;
    ((narrow() && bounded(FULL)) || (widens(program, node) && bounded(FULL_WIDE)))
        && shape_fits(program, node, weighted)
        && channels(program, node).is_some()
}

/// Bytes of scratch of an operation that runs in tiles.
pub fn scratch_bytes(op: &IntOp) -> usize {
    match op {
        IntOp::Conv2d { geometry, .. } => {
            // Four pixels of 16-bit elements, four sums, and one window over an edge.
            let edge = !geometry.in_channels.is_multiple_of(4);
            let taps = geometry.weights_per_channel();
            8 * elements(geometry).len() + 16 + if edge { taps } else { 0 }
        }
        IntOp::DepthwiseConv2d { geometry, .. } => depthwise_scratch_bytes(geometry),
        IntOp::FullyConnected { in_features, .. } => 2 * in_features,
        IntOp::TransposeConv2d { .. } | weightless!() => 0,
    }
}

/// Whether an operation that runs in tiles has read what it writes over, if its output lies on its input.
///
/// A tile of a convolution gathers its pixels before it writes them: those of other places are not read
/// if the kernel is 1x1. A depthwise one expands lines of four channels, which no other block reads,
/// before it writes the last of them, as long as the window begins at most two lines above.
pub fn works_in_place(op: &IntOp) -> bool {
    match op {
        IntOp::Conv2d { geometry: g, .. } => {
            g.window.kernel == [1; 2] && g.in_channels == g.out_channels && g.input == g.output
        }
        IntOp::DepthwiseConv2d { geometry: g, .. } => {
            g.window.stride == [1; 2] && g.window.pad[0] <= 2 && g.input == g.output
        }
        IntOp::FullyConnected { .. } | IntOp::TransposeConv2d { .. } | weightless!() => false,
    }
}

/// The weights of a filter in the order in which a tile gathers a window: in fours within each row,
/// then what is left of each row, then zeros up to a multiple of four.
pub fn elements(geometry: &ConvGeometry) -> Vec<Option<usize>> {
    let [height, width] = geometry.window.kernel;
    let row = width * geometry.in_channels;
    let full = row - row % 4;
    let fours = (0..height).flat_map(|y| (0..full).step_by(4).map(move |x| y * row + x));
    let rest = (0..height).flat_map(|y| (full..row).map(move |x| y * row + x));
    let mut order: Vec<_> = fours.flat_map(in_fours).chain(rest).map(Some).collect();
    order.resize(order.len().next_multiple_of(4), None);
    order
}

/// The order of four elements from `first` on: SXTB16 unpacks bytes 0 and 2, then 1 and 3.
pub fn in_fours(first: usize) -> [usize; 4] {
    [0, 2, 1, 3].map(|i| first + i)
}

/// The channels of `node`; `None` if one of them breaks a condition.
///
/// A channel that has the same output for every input gets it whatever its sums are: such channels carry
/// biases and shifts that would exclude the whole layer.
pub fn channels(program: &Program, node: &IntNode) -> Option<Vec<Channel>> {
    let weighted = node.op.weighted()?;
    let output = program.tensors[node.output.0].grid.zero_point;
    let shifts = match &node.op {
        IntOp::FullyConnected { .. } if weighted.weights.storage == 4 => -MAX_LEFT..=MAX_SHIFT,
        _ => 1..=MAX_SHIFT,
    };
    let channel = |(index, span): (usize, Span)| {
        let Span { bias, low, high, factor, constant } = span;
        if let Some(y) = constant {
            return Some(Channel { bias: 0, quantized: 0, offset: 2 * y + 1, shift: 1 });
        }
        let limit = 1_i64 << sum_bits(&node.op, weighted, index);
        let shift = -factor.exponent;
        // A sum that is shifted and doubled has 32 bits.
        let limit = limit.min(1 << (30 - factor.exponent.clamp(0, MAX_LEFT)));
        let within = -limit < low && high < limit && shifts.contains(&shift);
        within.then(|| Channel {
            bias: bias as i32,
            quantized: factor.quantized,
            offset: if shift > 0 { (2 * output + 1) << (shift - 1) } else { output },
            shift,
        })
    };
    spans(program, node, weighted)?.into_iter().enumerate().map(channel).collect()
}

/// Whether the tile of a layer with these channels is the one for multipliers that shift to the left.
pub fn shifts_to_the_left(channels: &[Channel]) -> bool {
    channels.iter().any(|channel| channel.shift <= 0)
}

/// Bits of the largest sum of a channel: those that are packed above other ones have fewer.
fn sum_bits(op: &IntOp, weighted: &Weighted, channel: usize) -> u32 {
    match (op, weighted.weights.storage) {
        (IntOp::DepthwiseConv2d { .. }, _) => 30,
        (_, 8) => 23,
        (IntOp::FullyConnected { .. }, _) => [30, 27, 23, 19][channel % 4],
        (_, _) => 27,
    }
}

fn shape_fits(program: &Program, node: &IntNode, weighted: &Weighted) -> bool {
    let storage = weighted.weights.storage;
    match &node.op {
        IntOp::Conv2d { geometry: g, .. } => {
            g.groups == 1
                && g.window.dilation == [1; 2]
                && g.out_channels.is_multiple_of(2)
                && (storage == 4 || (storage == 8 && pairs_fit(weighted)))
        }
        IntOp::DepthwiseConv2d { geometry: g, .. } => {
            let [stride, other] = g.window.stride;
            g.multiplier == 1
                && g.channels.is_multiple_of(4)
                && g.window.kernel == [3; 2]
                && g.window.dilation == [1; 2]
                && stride == other
                && stride <= 2
                && g.window.pad[1] <= 1
                && program.tensors[node.output.0].grid.zero_point == FULL.min
        }
        IntOp::FullyConnected { rows, in_features, out_features, .. } => {
            *rows == 1
                && in_features.is_multiple_of(4)
                && out_features.is_multiple_of(8)
                && (storage == 4 || (storage == 8 && pairs_fit(weighted)))
        }
        IntOp::TransposeConv2d { .. } | weightless!() => false,
    }
}

/// Whether a sum is one of an input that is only shifted and of another one, of whole words in each row.
fn sum_fits(program: &Program, node: &IntNode, params: &AddParams) -> bool {
    let output = &program.tensors[node.output.0];
    sums::one_is_plain(params)
        && output.grid.zero_point == FULL.min
        && output.row_bytes().is_multiple_of(4)
}

/// Whether the weights of every two filters fit 16 bits together: they do between -127 and 127.
fn pairs_fit(weighted: &Weighted) -> bool {
    weighted.weights.unpack().iter().all(|&weight| weight != i8::MIN)
}

/// Whether a call that makes the whole plane takes columns for rows.
pub fn turned(geometry: &DepthwiseGeometry) -> bool {
    let [height, width] = geometry.output;
    height > width && height > ROWS && geometry.window.pad[0] <= 1
}

/// What one row at a time or the whole plane needs, whichever is more.
fn depthwise_scratch_bytes(geometry: &DepthwiseGeometry) -> usize {
    let [height, width] = geometry.output;
    let stride = geometry.window.stride[0];
    let bytes = |[height, width]: [usize; 2]| {
        let pairs = match stride {
            1 => width.div_ceil(2) + 1,
            _ => width.next_multiple_of(2) + 1,
        };
        let lines = (height - 1) * stride + 3;
        let plane = PLANES[stride - 1];
        let small = height > 1 && width <= PLANE_WIDTH && 16 * lines <= plane;
        pairs * if small { plane } else { SLOTS }
    };
    let whole = if turned(geometry) { [width, height] } else { [height, width] };
    bytes(whole).max(bytes([1, width]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_as_long_as_those_of_the_c_runtime() {
        let header = include_str!("../../c/tile/bptq_tile.h");
        let sizes = [("SLOTS", SLOTS), ("PLANE_1", PLANES[0]), ("PLANE_2", PLANES[1])];
        for (name, bytes) in sizes.into_iter().chain([("ROWS", ROWS), ("PLANE_WIDTH", PLANE_WIDTH)])
        {
            assert!(header.contains(&format!("#define BPTQ_TILE_{name} {bytes}\n")), "{name}");
        }
    }
}
