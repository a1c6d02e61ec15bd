//! Constants in the order of the tiles; `bptq_tile.h` describes it.

use crate::op::{IntOp, Weighted, weightless};
use crate::place::tiles::{Channel, channels, elements, in_fours, shifts_to_the_left, turned};
use crate::program::{IntNode, Program};

/// All constants of an operation that runs in tiles, one row at a time if `by_rows`; none for others.
pub(crate) fn pack(program: &Program, node: &IntNode, by_rows: bool) -> Vec<u32> {
    let (Some(weighted), Some(channels)) = (node.op.weighted(), channels(program, node)) else {
        return Vec::new();
    };
    match &node.op {
        IntOp::Conv2d { geometry, .. } => {
            convolution(weighted, &channels, geometry.weights_per_channel(), &elements(geometry))
        }
        IntOp::DepthwiseConv2d { geometry, .. } => {
            depthwise(weighted, &channels, !by_rows && turned(geometry))
        }
        IntOp::FullyConnected { in_features, .. } => {
            fully_connected(weighted, &channels, *in_features)
        }
        // They run on the portable kernels.
        IntOp::TransposeConv2d { .. } | weightless!() => Vec::new(),
    }
}

/// The two words that make outputs of a channel's sums.
fn words(channel: &Channel) -> [u32; 2] {
    [channel.quantized as u32, channel.offset as u32]
}

/// The biases of two channels whose sums are told apart by `scale`.
fn biases(a: &Channel, b: &Channel, scale: i32) -> [u32; 2] {
    [a.bias as u32, a.bias.wrapping_add(b.bias.wrapping_mul(scale)) as u32]
}

/// Two elements' weights of 8 bits of two filters.
fn halves(pairs: [[i8; 2]; 2]) -> u32 {
    let half = |[a, b]: [i8; 2]| (256 * i32::from(b) + i32::from(a)) as u32 & 0xFFFF;
    half(pairs[0]) | half(pairs[1]) << 16
}

fn convolution(
    weighted: &Weighted,
    channels: &[Channel],
    taps: usize,
    order: &[Option<usize>],
) -> Vec<u32> {
    let values = weighted.weights.unpack();
    let wide = weighted.weights.storage == 8;
    let filters: Vec<&[i8]> = values.chunks(taps).collect();
    let mut packed = Vec::new();
    for (filters, channels) in filters.chunks_exact(2).zip(channels.chunks_exact(2)) {
        let both = |element: Option<usize>| {
            element.map_or([0; 2], |element| [filters[0][element], filters[1][element]])
        };
        packed.extend(biases(&channels[0], &channels[1], if wide { 256 } else { 16 }));
        if wide {
            packed.extend(order.chunks_exact(2).map(|k| halves([both(k[0]), both(k[1])])));
        } else {
            let byte = |element| {
                let [a, b] = both(element);
                16_i8.wrapping_mul(b).wrapping_add(a + 8) as u8
            };
            let word = |k: &[Option<usize>]| u32::from_le_bytes([k[0], k[2], k[1], k[3]].map(byte));
            packed.extend(order.chunks_exact(4).map(word));
        }
        packed.extend(channels.iter().flat_map(words));
    }
    packed
}

/// Rows of weights in fields of `bits` of the bytes w0, w1, w1, w2, the first row lowest.
fn fields(bits: u8, rows: &[[u8; 4]]) -> u32 {
    let mask = (1 << bits) - 1;
    let byte =
        |place: usize| rows.iter().rev().fold(0, |byte, row| (byte << bits) | (row[place] & mask));
    u32::from_le_bytes([0, 1, 2, 3].map(byte))
}

fn depthwise(weighted: &Weighted, channels: &[Channel], turned: bool) -> Vec<u32> {
    let (values, bits) = (weighted.weights.unpack(), weighted.weights.storage);
    let mut packed = Vec::new();
    for (index, channel) in channels.iter().enumerate() {
        let weight = |tap: usize| values[tap * channels.len() + index] as u8;
        let [row_step, step] = if turned { [1, 3] } else { [3, 1] };
        let row = |row: usize| [0, 1, 1, 2].map(|place| weight(row * row_step + place * step));
        match bits {
            8 => packed.extend((0..3).map(row).map(u32::from_le_bytes)),
            2 => packed.push(fields(2, &[0, 1, 2].map(row))),
            _ => packed.extend([fields(4, &[0, 1].map(row)), fields(4, &[row(2)])]),
        }
        packed.extend(words(channel));
        packed.push(channel.bias.wrapping_mul(2) as u32);
    }
    packed
}

fn fully_connected(weighted: &Weighted, channels: &[Channel], features: usize) -> Vec<u32> {
    let values = weighted.weights.unpack();
    let filters: Vec<&[i8]> = values.chunks(features).collect();
    let order: Vec<usize> = (0..features).step_by(4).flat_map(in_fours).collect();
    let wide = weighted.weights.storage == 8;
    let left = shifts_to_the_left(channels);
    let mut packed = Vec::new();
    for (filters, channels) in filters.chunks_exact(8).zip(channels.chunks_exact(8)) {
        if wide {
            packed
                .extend(channels.chunks_exact(2).flat_map(|pair| biases(&pair[0], &pair[1], 256)));
        } else {
            packed.extend(channels.chunks_exact(4).flat_map(biases_of_four));
        }
        for k in order.chunks_exact(2) {
            let both = |f: &[&[i8]]| halves([[f[0][k[0]], f[1][k[0]]], [f[0][k[1]], f[1][k[1]]]]);
            let half =
                |f: &[&[i8]], element: usize| half_of_four([0, 1, 2, 3].map(|i| f[i][element]));
            let four = |f: &[&[i8]]| half(f, k[0]) | half(f, k[1]) << 16;
            if wide {
                packed.extend(filters.chunks_exact(2).map(both));
            } else {
                packed.extend(filters.chunks_exact(4).map(four));
            }
        }
        packed.extend(channels.iter().flat_map(|channel| words_and_shifts(channel, left)));
    }
    packed
}

/// The two words of a channel, and its shifts if they cannot be told from them.
fn words_and_shifts(channel: &Channel, left: bool) -> impl Iterator<Item = u32> {
    let shifts = match channel.shift {
        right @ 1.. => 0xFFFF_0000 | (right as u32) << 8,
        other => -other as u32,
    };
    words(channel).into_iter().chain(left.then_some(shifts))
}

/// The biases of four channels whose sums are told apart by powers of 16.
fn biases_of_four(channels: &[Channel]) -> [u32; 4] {
    let mut biases = [0; 4];
    let mut last = 0_u32;
    for (index, (bias, channel)) in biases.iter_mut().zip(channels).enumerate() {
        *bias = (channel.bias as u32).wrapping_shl(4 * index as u32);
        last = last.wrapping_add(*bias);
    }
    biases[3] = last;
    biases
}

/// An element's weights of 4 bits of four filters; all but the last plus 8.
fn half_of_four([a, b, c, d]: [i8; 4]) -> u32 {
    let low = [a, b, c].map(|weight| i32::from(weight) + 8);
    let half = low[0] + 16 * low[1] + 256 * low[2] + 4096 * i32::from(d);
    half as u32 & 0xFFFF
}
