//! Constants in the order of the kernels for four channels at a time; `bptq_quad.h` describes it.

use crate::op::{IntOp, Weighted, weightless};
use crate::place::kernels::packed_bits;
use crate::place::quads::{Channel, channels, filter_len};
use crate::program::{IntNode, Program};
use crate::target::Kernels;

/// All constants of an operation that runs four channels at a time; none for others.
pub(crate) fn pack(program: &Program, node: &IntNode) -> Vec<u32> {
    let (Some(weighted), Some(channels)) = (node.op.weighted(), channels(program, node)) else {
        return Vec::new();
    };
    let bits = packed_bits(&node.op, weighted, Kernels::Quads);
    match &node.op {
        IntOp::Conv2d { geometry, .. } => {
            filters(weighted, bits, &channels, geometry.weights_per_channel())
        }
        IntOp::FullyConnected { in_features, .. } => {
            filters(weighted, bits, &channels, *in_features)
        }
        IntOp::DepthwiseConv2d { .. } => depthwise(weighted, bits, &channels),
        // It runs on the portable kernels.
        IntOp::TransposeConv2d { .. } | weightless!() => Vec::new(),
    }
}

/// Filters of `taps` weights.
fn filters(weighted: &Weighted, bits: u8, channels: &[Channel], taps: usize) -> Vec<u32> {
    let values = weighted.weights.unpack();
    let filters: Vec<&[i8]> = values.chunks(taps).collect();
    let (len, together) = (filter_len(taps), usize::from(8 / bits));
    let mut packed = Vec::new();
    for (filters, channels) in filters.chunks_exact(4).zip(channels.chunks_exact(4)) {
        packed.extend(channels.chunks_exact(together).flat_map(|channels| biases(channels, bits)));
        let weight = |channel: usize, k: usize| {
            let known = filters[channel].get(k).filter(|_| !channels[channel].constant);
            known.copied().unwrap_or(0)
        };
        let mut bytes = Vec::with_capacity(len * 4 / together);
        for unit in (0..len).step_by(16) {
            for first in (0..4).step_by(together) {
                let byte = |k| byte((first..first + together).map(|c| weight(c, k)), bits);
                bytes.extend((unit..unit + 16).map(byte));
            }
        }
        packed.extend(words(&bytes));
        packed.extend(channels.iter().map(|channel| channel.quantized as u32));
        packed.extend(channels.iter().map(|channel| channel.exponent as u32));
    }
    packed
}

/// Sixteen channels at a time, in the order in which halves of products stand in vectors.
fn depthwise(weighted: &Weighted, bits: u8, channels: &[Channel]) -> Vec<u32> {
    let values = weighted.weights.unpack();
    let none = Channel { bias: 0, quantized: 0, exponent: 0, constant: true };
    let mut packed = Vec::new();
    for block in (0..channels.len()).step_by(16) {
        let channel = |index: usize| *channels.get(block + index).unwrap_or(&none);
        let fours = [0, 1, 2, 3].map(|first| [0, 4, 8, 12].map(|step| channel(first + step)));
        let biases = fours.as_flattened().iter().map(|channel| channel.bias as u32);
        let weight = |index: usize, tap: usize| match channel(index).constant {
            true => 0,
            false => values[tap * channels.len() + block + index] as u8,
        };
        let weights = words(&tap_bytes(bits, weight));
        if bits == 8 {
            packed.extend(biases.chain(weights));
        } else {
            packed.extend(weights.into_iter().chain(biases));
        }
        for four in fours {
            packed.extend(four.map(|channel| channel.quantized as u32));
            packed.extend(four.map(|channel| channel.exponent as u32));
        }
    }
    packed
}

/// The nine weights of each of sixteen channels, 16 bytes with as many taps as they have room for after
/// the other; the ninth stands in the highest bits of a byte of its own.
fn tap_bytes(bits: u8, weight: impl Fn(usize, usize) -> u8) -> Vec<u8> {
    let (bits, fields) = (usize::from(bits), usize::from(8 / bits));
    let mask = ((1_u16 << bits) - 1) as u8;
    let field = |weight: u8, place: usize| (weight & mask) << (bits * place);
    let mut bytes = Vec::new();
    for first in (0..8).step_by(fields) {
        let byte = |channel| {
            let taps = (0..fields).map(|place| field(weight(channel, first + place), place));
            taps.fold(0, |byte, field| byte | field)
        };
        bytes.extend((0..16).map(byte));
    }
    bytes.extend((0..16).map(|channel| field(weight(channel, 8), fields - 1)));
    bytes
}

fn words(bytes: &[u8]) -> Vec<u32> {
    let word = |bytes: &[u8]| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    bytes.chunks_exact(4).map(word).collect()
}

/// Biases of channels whose weights share bytes: each with those before it, scaled like the weights.
fn biases(channels: &[Channel], bits: u8) -> Vec<u32> {
    let scaled = |(place, channel): (usize, &Channel)| {
        (channel.bias as u32).wrapping_mul(1 << (usize::from(bits) * place))
    };
    let sum = |sum: &mut u32, bias: u32| {
        *sum = sum.wrapping_add(bias);
        Some(*sum)
    };
    channels.iter().enumerate().map(scaled).scan(0, sum).collect()
}

/// Weights of `bits` in one byte, from its low bits on: all but the highest are moved to begin at 0.
fn byte(weights: impl ExactSizeIterator<Item = i8>, bits: u8) -> u8 {
    let last = weights.len() - 1;
    let field = |(place, weight): (usize, i8)| {
        let moved = if place == last { weight } else { weight + (1 << (bits - 1)) };
        i32::from(moved) << (usize::from(bits) * place)
    };
    weights.enumerate().map(field).sum::<i32>() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(bias: i32) -> Channel {
        Channel { bias, quantized: 1 << 30, exponent: -1, constant: false }
    }

    #[test]
    fn fields_of_a_byte_are_told_apart_by_differences() {
        for bits in [2, 4] {
            let range = -(1_i8 << (bits - 1))..1 << (bits - 1);
            let together = usize::from(8 / bits);
            for (low, high) in range.clone().flat_map(|a| range.clone().map(move |b| (a, b))) {
                let weights: Vec<i8> =
                    (0..together).map(|place| if place % 2 == 0 { low } else { high }).collect();
                let packed = i32::from(byte(weights.iter().copied(), bits) as i8);
                let mut before = 0;
                for (place, &weight) in weights.iter().enumerate() {
                    let last = place + 1 == together;
                    let kept = usize::from(bits) * (place + 1);
                    let operand = if last { packed } else { packed & ((1 << kept) - 1) };
                    let offset = if last { 0 } else { 1 << (bits - 1) };
                    let scale = 1 << (usize::from(bits) * place);
                    assert_eq!((operand - before) / scale - offset, i32::from(weight));
                    before = operand;
                }
            }
        }
        assert_eq!(byte([-128].into_iter(), 8), 0x80);
    }

    #[test]
    fn the_ninth_tap_stands_highest() {
        let weight = |channel: usize, tap: usize| (channel + tap) as u8;
        let bytes = tap_bytes(8, weight);
        assert_eq!((bytes.len(), bytes[5], bytes[133]), (144, 5, 13));
        let bytes = tap_bytes(4, weight);
        assert_eq!((bytes.len(), bytes[1], bytes[65]), (80, 0x21, 0x90));
        let bytes = tap_bytes(2, weight);
        assert_eq!((bytes.len(), bytes[1], bytes[33]), (48, 0b00_11_10_01, 0b01_00_00_00));
    }

    #[test]
    fn biases_hold_those_of_the_channels_before() {
        let channels = [channel(1), channel(-2), channel(3), channel(-4)];
        assert_eq!(biases(&channels[..1], 8), [1]);
        assert_eq!(biases(&channels[..2], 4), [1, (1 - 32_i32) as u32]);
        assert_eq!(biases(&channels, 2), [1, -7, 41, -215].map(|bias: i32| bias as u32));
    }
}
