//! Which layers run on the kernels for cores without SIMD instructions, with how much scratch, and what
//! their channels need there.
//!
//! `bptq_scalar.h` of the C runtime says how they make outputs of sums.

use burn_ptq_kernels::geometry::DepthwiseGeometry;

use super::layer::{is_depthwise, is_narrow};
use super::spans::{FULL, Span, spans};
use super::sums;
use crate::op::{Broadcast, IntOp, Weighted, weightless};
use crate::program::{IntNode, Program};

/// What makes the outputs of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// The bias less the zero point of the input times the sum of the weights, all of it shifted by
    /// `left`.
    pub bias: i32,
    /// The multiplier's significand.
    pub quantized: i32,
    /// The multiplier's right shift.
    pub right: u8,
    /// The multiplier's left shift, by which the kernels' weights are larger.
    pub left: u8,
    /// The output is the same for every input: that of the bias, with weights of 0.
    pub constant: bool,
}

impl Channel {
    /// What stands for one of its weights.
    pub fn weight(&self, weight: i8) -> i8 {
        if self.constant { 0 } else { weight }
    }
}

/// Bytes of scratch that an element of a depthwise line takes; `BPTQ_SCALAR_COLUMN` of the C runtime.
const COLUMN: usize = 4;

/// The largest right shift: the half of a rounding at a larger one, with the zero point, leaves 32 bits.
pub const MAX_RIGHT: u8 = 23;

/// The largest left shift.
const MAX_LEFT: i32 = 8;

/// Bits of the largest sum, which is doubled.
const SUM_BITS: u32 = 30;

/// The sums that a lane of a word holds: two pixels of 16 bits are multiplied at once.
const LANE: std::ops::RangeInclusive<i64> = i16::MIN as i64..=i16::MAX as i64;

/// Whether `node` meets all conditions of these kernels.
pub fn fits(program: &Program, node: &IntNode) -> bool {
    let narrow = || is_narrow(program, node);
    if let IntOp::Add { params, broadcast: Broadcast::None, clamp } = &node.op {
        return narrow() && *clamp == FULL && sums::one_is_plain(params);
    }
    let Some(weighted) = node.op.weighted() else { return false };
    narrow() && weighted.clamp == FULL && shape_fits(&node.op) && channels(program, node).is_some()
}

fn shape_fits(op: &IntOp) -> bool {
    match op {
        IntOp::Conv2d { geometry: g, .. } => {
            g.groups == 1 && g.window.dilation == [1; 2] && g.out_channels.is_multiple_of(2)
        }
        IntOp::DepthwiseConv2d { geometry: g, .. } => {
            let [stride, other] = g.window.stride;
            g.multiplier == 1
                && g.channels.is_multiple_of(4)
                && g.window.kernel == [3; 2]
                && g.window.dilation == [1; 2]
                && stride == other
                && stride <= 2
                && g.window.pad.iter().all(|&pad| pad <= 2)
        }
        IntOp::FullyConnected { out_features, .. } => out_features.is_multiple_of(2),
        IntOp::TransposeConv2d { .. } | weightless!() => false,
    }
}

/// Bytes of scratch of an operation that runs on these kernels.
pub fn scratch_bytes(op: &IntOp) -> usize {
    match op {
        IntOp::Conv2d { geometry, weighted } => {
            let pixels = geometry.output.iter().product();
            windows_bytes(weighted, pixels, geometry.weights_per_channel())
        }
        IntOp::FullyConnected { rows: 1, in_features, weighted, .. }
            if in_features.is_multiple_of(unit(weighted)) =>
        {
            // It is read where it is.
            0
        }
        IntOp::FullyConnected { rows, in_features, weighted, .. } => {
            windows_bytes(weighted, *rows, *in_features)
        }
        IntOp::DepthwiseConv2d { geometry, .. } => {
            let [height, width] = geometry.output;
            // Of the whole plane, or of one row at a time.
            3 * COLUMN * ((height.max(width) - 1) * geometry.window.stride[1] + 3)
        }
        IntOp::TransposeConv2d { .. } | weightless!() => 0,
    }
}

/// Whether an operation that runs on these kernels has read what it writes over, if its output lies on its
/// input.
///
/// A depthwise convolution copies lines of four channels, which no other block reads, before it writes the
/// last of them: windows begin at most two lines above.
pub fn works_in_place(op: &IntOp) -> bool {
    match op {
        IntOp::DepthwiseConv2d { geometry: g, .. } => {
            g.window.stride == [1; 2] && g.input == g.output
        }
        IntOp::Conv2d { .. }
        | IntOp::FullyConnected { .. }
        | IntOp::TransposeConv2d { .. }
        | weightless!() => false,
    }
}

/// Whether a call that makes the whole plane takes columns for rows.
pub fn turned(geometry: &DepthwiseGeometry) -> bool {
    let [height, width] = geometry.output;
    height > width
}

/// Bytes of as many windows as a tile has at most: single ones are bytes, two or four are words of two
/// if weights have fewer than 8 bits.
fn windows_bytes(weighted: &Weighted, pixels: usize, taps: usize) -> usize {
    let length = taps.next_multiple_of(unit(weighted));
    let element = if weighted.weights.storage == 8 { 1 } else { 2 };
    length
        * match pixels {
            0 | 1 => 1,
            2 | 3 => 2 * element,
            _ => 4 * element,
        }
}

/// Elements of which a word holds the weights of two channels; of bytes, two words.
pub fn unit(weighted: &Weighted) -> usize {
    match weighted.weights.storage {
        8 => 4,
        bits => 16 / usize::from(bits),
    }
}

/// The channels of `node`; `None` if one of them breaks a condition.
pub fn channels(program: &Program, node: &IntNode) -> Option<Vec<Channel>> {
    let weighted = node.op.weighted()?;
    let output = program.tensors[node.output.0].grid.zero_point;
    let limit = 1_i64 << SUM_BITS;
    let least_shift = i32::from(output != FULL.min);
    let depthwise = is_depthwise(&node.op);
    // Packed weights of a depthwise convolution become bytes before they are multiplied.
    let field = if depthwise { 8 } else { weighted.weights.storage };
    let room = (i32::from(i8::MIN) >> (8 - field), i32::from(i8::MAX) >> (8 - field));
    let extremes = extremes(weighted, depthwise);
    let channel = |(index, span): (usize, Span)| {
        let Span { bias, low, high, factor, constant } = span;
        if let Some(y) = constant {
            // Four times as much, at a quarter.
            let bias = 4 * (y - output);
            return Some(Channel { bias, quantized: 1 << 30, right: 1, left: 0, constant: true });
        }
        let left = factor.exponent.max(0);
        let right = (-factor.exponent).max(0);
        let (smallest, largest) = extremes[index];
        let within = -limit < low << left
            && high << left < limit
            && (least_shift..=i32::from(MAX_RIGHT)).contains(&right)
            && left <= MAX_LEFT
            && room.0 <= i32::from(smallest) << left
            && i32::from(largest) << left <= room.1;
        within.then_some(Channel {
            bias: (bias << left) as i32,
            quantized: factor.quantized,
            right: right as u8,
            left: left as u8,
            constant: false,
        })
    };
    spans(program, node, weighted)?.into_iter().enumerate().map(channel).collect()
}

/// The smallest and the largest weight of each channel.
fn extremes(weighted: &Weighted, depthwise: bool) -> Vec<(i8, i8)> {
    let channels = weighted.bias.len();
    let values = weighted.weights.unpack();
    let taps = values.len() / channels;
    let mut extremes = vec![(0, 0); channels];
    for (i, &value) in values.iter().enumerate() {
        let (smallest, largest) = &mut extremes[if depthwise { i % channels } else { i / taps }];
        *smallest = value.min(*smallest);
        *largest = value.max(*largest);
    }
    extremes
}

/// The most units of elements whose sums of products stay within a lane of 16 bits in every channel, for
/// every input.
pub fn chunk(weighted: &Weighted, channels: &[Channel], taps: usize) -> usize {
    let unit = unit(weighted);
    let values = weighted.weights.unpack();
    let span = |weights: &[i8], left: u8| {
        let ends = weights.iter().map(|&w| [-128, 127].map(|x: i64| (x * i64::from(w)) << left));
        ends.fold([0; 2], |[low, high], [a, b]| [low + a.min(b), high + a.max(b)])
    };
    let filters = values.chunks(taps).zip(channels).filter(|(_, channel)| !channel.constant);
    let spans: Vec<Vec<[i64; 2]>> = filters
        .map(|(filter, channel)| filter.chunks(unit).map(|k| span(k, channel.left)).collect())
        .collect();
    let fits = |units: &[[i64; 2]]| {
        let [low, high] = units.iter().fold([0; 2], |[low, high], [a, b]| [low + a, high + b]);
        LANE.contains(&low) && LANE.contains(&high)
    };
    let all_fit = |&size: &usize| spans.iter().all(|units| units.chunks(size).all(fits));
    (1..=taps.div_ceil(unit)).rev().find(all_fit).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use burn_ptq_kernels::packing::{pack, packed_len};

    use super::*;
    use crate::op::Weights;

    #[test]
    fn columns_are_as_large_as_those_of_the_c_runtime() {
        let header = include_str!("../../c/scalar/bptq_scalar.h");
        assert!(header.contains(&format!("#define BPTQ_SCALAR_COLUMN {COLUMN}\n")));
        let depthwise = include_str!("../../c/scalar/bptq_scalar_depthwise.c");
        assert!(depthwise.contains(&format!("#define MOST_RIGHT {MAX_RIGHT}\n")));
    }

    #[test]
    fn both_shifts_of_a_depthwise_channel_fit_five_bits() {
        assert!(i32::from(MAX_RIGHT) + MAX_LEFT < 1 << 5);
    }

    fn filters(bits: u8, filters: &[Vec<i8>]) -> Weighted {
        let values = filters.concat();
        let mut data = vec![0; packed_len(values.len(), bits)];
        pack(&values, bits, &mut data);
        let shape = vec![filters.len(), values.len() / filters.len()];
        let scales = vec![1.0];
        let weights = Weights { shape, bits, storage: bits, data, scales };
        Weighted { weights, bias: vec![0; filters.len()], multipliers: Vec::new(), clamp: FULL }
    }

    fn channel(left: u8, constant: bool) -> Channel {
        Channel { bias: 0, quantized: 1 << 30, right: 1, left, constant }
    }

    #[test]
    fn lanes_hold_as_many_products_as_every_channel_allows() {
        let lanes = |bits, weights: &[Vec<i8>], channels: &[Channel]| {
            let weighted = filters(bits, weights);
            chunk(&weighted, channels, weights[0].len()) * unit(&weighted)
        };
        let plain = channel(0, false);
        // 31 times 8 * 128 are below 2^15, and whole units of four elements are 28.
        assert_eq!(lanes(4, &[vec![-8; 64]], &[plain]), 28);
        assert_eq!(lanes(4, &[vec![7; 64]], &[plain]), 36);
        assert_eq!(lanes(4, &[vec![1; 64]], &[plain]), 64);
        assert_eq!(lanes(4, &[vec![1; 64], vec![-8; 64]], &[plain, plain]), 28);
        // One that has no weights there does not count, and weights shifted to the left do twice.
        assert_eq!(lanes(4, &[vec![1; 64], vec![-8; 64]], &[plain, channel(0, true)]), 64);
        assert_eq!(lanes(4, &[vec![3; 64]], &[channel(1, false)]), 40);
        assert_eq!(lanes(3, &[vec![-4; 80]], &[plain]), 60);
        assert_eq!(lanes(2, &[vec![-2; 256]], &[plain]), 120);
        // Products that cancel each other for no input do not make room.
        assert_eq!(lanes(4, &[[7, -7].repeat(32)], &[plain]), 36);
    }
}
