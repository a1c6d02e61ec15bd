//! Weights in the order of the DSP kernels; `bptq_dsp.h` describes it.

use crate::kernels::dsp_filter_len;
use crate::model::{IntOp, Weights};

/// The words of an operation's weights; none for an operation without weights.
pub fn pack(op: &IntOp) -> Vec<u32> {
    match op {
        IntOp::Conv2d { geometry, weighted } => {
            let filters = geometry.out_channels / geometry.groups;
            pair_filters(&weighted.weights, filters, geometry.weights_per_channel())
        }
        IntOp::FullyConnected { in_features, out_features, weighted, .. } => {
            pair_filters(&weighted.weights, *out_features, *in_features)
        }
        IntOp::DepthwiseConv2d { geometry, weighted } => {
            block_channels(&weighted.weights, geometry.channels)
        }
        _ => Vec::new(),
    }
}

/// Filters of `taps` weights in pairs, `group` of them at a time.
fn pair_filters(weights: &Weights, group: usize, taps: usize) -> Vec<u32> {
    let values = weights.unpack();
    let (len, per_word) = (dsp_filter_len(taps, weights.storage), 16 / weights.storage as usize);
    let mut packed = Vec::new();
    for group in values.chunks(group * taps) {
        let filters: Vec<&[i8]> = group.chunks(taps).collect();
        for pair in filters.chunks(2) {
            for start in (0..len).step_by(per_word) {
                let value = |filter: usize, k: usize| {
                    pair.get(filter).and_then(|f| f.get(start + k)).copied().unwrap_or(0)
                };
                packed.push(pair_word(weights.storage, value));
            }
        }
    }
    packed
}

fn pair_word(storage: u8, value: impl Fn(usize, usize) -> i8) -> u32 {
    if storage == 8 {
        return u32::from_le_bytes(
            [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(f, k)| value(f, k) as u8),
        );
    }
    let (bits, bias) = (usize::from(storage), 1_i8 << (storage - 1));
    let mut word = 0;
    for k in 0..16 / bits {
        for filter in 0..2 {
            // Even weights stand in the low half, odd ones in the high half.
            let place = (k / 2 * 2 + filter) * bits + k % 2 * 16;
            word |= u32::from((value(filter, k) + bias) as u8) << place;
        }
    }
    word
}

/// Weights `[taps, channels]` in blocks of four channels and pairs of taps.
fn block_channels(weights: &Weights, channels: usize) -> Vec<u32> {
    let values = weights.unpack();
    let taps = values.len() / channels;
    let value = |tap: usize, channel: usize| {
        if tap < taps { values[tap * channels + channel] as u8 } else { 0 }
    };
    let mut packed = Vec::new();
    for block in (0..channels).step_by(4) {
        let first = block.min(channels - 4);
        let tap_step = if weights.storage == 2 { 4 } else { 2 };
        for tap in (0..taps).step_by(tap_step) {
            if weights.storage == 8 {
                for c in [first, first + 2] {
                    let pairs = [(tap, c), (tap, c + 1), (tap + 1, c), (tap + 1, c + 1)];
                    packed.push(u32::from_le_bytes(pairs.map(|(tap, c)| value(tap, c))));
                }
                continue;
            }
            let bits = usize::from(weights.storage);
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
