//! Constants in the order of the kernels for cores without SIMD instructions; `bptq_scalar.h` describes
//! it.

use crate::op::{IntOp, Weighted, weightless};
use crate::place::scalar::{Channel, MAX_RIGHT, channels, chunk, turned, unit};
use crate::program::{IntNode, Program};

/// All constants of an operation that runs on these kernels, one row at a time if `by_rows`; none for
/// others.
pub(crate) fn pack(program: &Program, node: &IntNode, by_rows: bool) -> Vec<u32> {
    let (Some(weighted), Some(channels)) = (node.op.weighted(), channels(program, node)) else {
        return Vec::new();
    };
    match &node.op {
        IntOp::Conv2d { geometry, .. } => {
            filters(weighted, &channels, geometry.weights_per_channel())
        }
        IntOp::FullyConnected { in_features, .. } => filters(weighted, &channels, *in_features),
        IntOp::DepthwiseConv2d { geometry, .. } => {
            depthwise(weighted, &channels, !by_rows && turned(geometry))
        }
        // They run on the portable kernels.
        IntOp::TransposeConv2d { .. } | weightless!() => Vec::new(),
    }
}

/// Filters in pairs.
fn filters(weighted: &Weighted, channels: &[Channel], taps: usize) -> Vec<u32> {
    let values = weighted.weights.unpack();
    let (bits, unit) = (weighted.weights.storage, unit(weighted));
    let mut packed = Vec::new();
    if bits != 8 {
        packed.push(chunk(weighted, channels, taps) as u32);
    }
    let filters: Vec<&[i8]> = values.chunks(taps).collect();
    for (filters, channels) in filters.chunks_exact(2).zip(channels.chunks_exact(2)) {
        packed.extend(channels.iter().map(|channel| channel.bias as u32));
        let weight = |filter: usize, element: usize| {
            let weight = filters[filter].get(element).copied().unwrap_or(0);
            channels[filter].weight(weight) << channels[filter].left
        };
        for first in (0..taps.next_multiple_of(unit)).step_by(unit) {
            let elements = first..first + unit;
            if bits == 8 {
                let pairs = elements.flat_map(|k| [weight(0, k), weight(1, k)]);
                packed.extend(words(bits, &pairs.collect::<Vec<_>>()));
            } else {
                let half = |filter: usize| {
                    let weights: Vec<i8> = elements.clone().map(|k| weight(filter, k)).collect();
                    words(bits, &weights)[0]
                };
                packed.push(half(0) | half(1) << 16);
            }
        }
        packed.extend(channels.iter().map(|channel| channel.quantized as u32));
        packed.push(u32::from(channels[0].right) | u32::from(channels[1].right) << 8);
    }
    packed
}

/// Channels one after the other, each with its nine weights; column by column if `turned`.
fn depthwise(weighted: &Weighted, channels: &[Channel], turned: bool) -> Vec<u32> {
    let (values, bits) = (weighted.weights.unpack(), weighted.weights.storage);
    let mut packed = Vec::new();
    for (index, channel) in channels.iter().enumerate() {
        let tap = |tap: usize| if turned { tap % 3 * 3 + tap / 3 } else { tap };
        let weight = |place: usize| channel.weight(values[tap(place) * channels.len() + index]);
        let weights: Vec<i8> = (0..9).map(weight).collect();
        packed.extend([channel.bias as u32, channel.quantized as u32]);
        if bits == 8 {
            let mut bytes: Vec<i8> = weights.iter().map(|weight| weight << channel.left).collect();
            bytes.extend([channel.right as i8, 0, 0]);
            packed.extend(words(8, &bytes));
            continue;
        }
        let shift = match channel.left {
            0 => channel.right,
            left => MAX_RIGHT + left,
        };
        let mut fields = words(bits, &weights);
        let place = if bits == 4 { 8 } else { 27 };
        if let Some(last) = fields.last_mut() {
            *last |= u32::from(shift) << place;
        }
        packed.extend(fields);
    }
    packed
}

/// Weights in fields of `bits`, from low bits on, as many to a word as there is room for.
fn words(bits: u8, weights: &[i8]) -> Vec<u32> {
    let mask = (1_u32 << bits) - 1;
    let field = |word, &weight: &i8| word << bits | (weight as u32 & mask);
    let per_word = 32 / usize::from(bits);
    weights.chunks(per_word).map(|weights| weights.iter().rev().fold(0, field)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_hold_weights_from_their_low_bits_on() {
        assert_eq!(words(8, &[1, -1, 2, -128, 5, 0, 0, 0]), [0x8002_FF01, 5]);
        assert_eq!(words(4, &[1, -1, 2, -8, 7, 0, 0, -2]), [0xE007_82F1]);
        assert_eq!(words(3, &[1, -1, 2, -4, 3, 0, 0, 0, 0, 1]), [1 << 27 | 0o3_4_2_7_1]);
        assert_eq!(words(2, &[1, -1, -2, 0]), [0b0010_1101]);
    }
}
