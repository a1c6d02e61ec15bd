//! Weights in the order of the DSP kernels; `bptq_dsp.h` describes it.

use crate::op::{IntOp, Weights, weightless};
use crate::place::kernels::{dsp_filter_len, packed_bits};
use crate::target::Kernels;

/// The words of an operation's weights; none for an operation without weights.
pub(crate) fn pack(op: &IntOp) -> Vec<u32> {
    let Some(weighted) = op.weighted() else { return Vec::new() };
    let (weights, bits) = (&weighted.weights, packed_bits(op, weighted, Kernels::Dsp));
    match op {
        IntOp::Conv2d { geometry, .. } => {
            let filters = geometry.out_channels / geometry.groups;
            pair_filters(weights, bits, filters, geometry.weights_per_channel())
        }
        IntOp::FullyConnected { in_features, out_features, .. } => {
            pair_filters(weights, bits, *out_features, *in_features)
        }
        IntOp::DepthwiseConv2d { geometry, .. } => block_channels(weights, bits, geometry.channels),
        // It runs on the portable kernels.
        IntOp::TransposeConv2d { .. } | weightless!() => Vec::new(),
    }
}

/// Filters of `taps` weights in pairs, `group` of them at a time.
fn pair_filters(weights: &Weights, bits: u8, group: usize, taps: usize) -> Vec<u32> {
    let values = weights.unpack();
    let len = dsp_filter_len(taps, bits);
    let mut packed = Vec::new();
    for group in values.chunks(group * taps) {
        let filters: Vec<&[i8]> = group.chunks(taps).collect();
        for pair in filters.chunks(2) {
            let value = |filter: usize, k: usize| {
                pair.get(filter).and_then(|f| f.get(k)).copied().unwrap_or(0)
            };
            packed.extend(pair_words(bits, len, value));
        }
    }
    packed
}

/// The words of a pair of filters of `len` weights: even weights stand in the low halves, odd ones in
/// the high halves.
fn pair_words(bits: u8, len: usize, value: impl Fn(usize, usize) -> i8) -> Vec<u32> {
    if bits == 8 {
        let places = |k| [(0, k), (1, k), (0, k + 1), (1, k + 1)];
        let word = |k| u32::from_le_bytes(places(k).map(|(f, k)| value(f, k) as u8));
        return (0..len).step_by(2).map(word).collect();
    }
    let (bits, bias) = (usize::from(bits), 1_i8 << (bits - 1));
    let per_word = 16 / bits;
    let mut words = vec![0; len / per_word];
    for k in 0..len {
        for filter in 0..2 {
            let field = k / 2 * 2 + filter;
            let place = field % per_word * bits + k % 2 * 16;
            words[field / per_word] |= u32::from((value(filter, k) + bias) as u8) << place;
        }
    }
    words
}

/// Weights `[taps, channels]` in blocks of four channels and pairs of taps.
fn block_channels(weights: &Weights, bits: u8, channels: usize) -> Vec<u32> {
    let values = weights.unpack();
    let taps = values.len() / channels;
    let value = |tap: usize, channel: usize| {
        if tap < taps { values[tap * channels + channel] as u8 } else { 0 }
    };
    let mut packed = Vec::new();
    for block in (0..channels).step_by(4) {
        let first = block.min(channels - 4);
        let tap_step = if bits == 2 { 4 } else { 2 };
        for tap in (0..taps).step_by(tap_step) {
            if bits == 8 {
                for c in [first, first + 2] {
                    let pairs = [(tap, c), (tap, c + 1), (tap + 1, c), (tap + 1, c + 1)];
                    packed.push(u32::from_le_bytes(pairs.map(|(tap, c)| value(tap, c))));
                }
                continue;
            }
            let bits = usize::from(bits);
            let mask = (1_u32 << bits) - 1;
            let mut word = 0;
            for t in 0..tap_step {
                for c in 0..4 {
                    let place = (t / 2 * 4 + c) * bits + t % 2 * 16;
                    word |= (u32::from(value(tap + t, first + c)) & mask) << place;
                }
            }
            packed.push(word);
        }
    }
    packed
}
