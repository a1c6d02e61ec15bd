//! Weights in the order of the vector kernels; `bptq_mve.h` describes it.

use crate::kernels::mve_filter_len;
use crate::model::{IntOp, Weights};

/// The bytes of an operation's weights; none for an operation without weights.
pub fn pack(op: &IntOp) -> Vec<u8> {
    match op {
        IntOp::Conv2d { geometry, weighted } => {
            pack_filters(&weighted.weights, geometry.weights_per_channel())
        }
        IntOp::FullyConnected { in_features, weighted, .. } => {
            pack_filters(&weighted.weights, *in_features)
        }
        IntOp::DepthwiseConv2d { weighted, .. } if weighted.weights.storage == 8 => {
            weighted.weights.data.clone()
        }
        IntOp::DepthwiseConv2d { weighted, .. } => {
            pack_filters(&weighted.weights, weighted.weights.len())
        }
        _ => Vec::new(),
    }
}

/// Filters of `taps` weights in units of 16 bytes, each of which holds every sixteenth weight.
fn pack_filters(weights: &Weights, taps: usize) -> Vec<u8> {
    let bits = usize::from(weights.storage);
    let mask = ((1_u16 << bits) - 1) as u8;
    let mut packed = Vec::new();
    for filter in weights.unpack().chunks(taps) {
        for unit in (0..mve_filter_len(taps, weights.storage)).step_by(128 / bits) {
            for byte in 0..16 {
                let value = |k: usize| {
                    let weight = filter.get(unit + byte + 16 * k).copied().unwrap_or(0);
                    (weight as u8 & mask) << (k * bits)
                };
                packed.push((0..8 / bits).map(value).fold(0, |byte, weight| byte | weight));
            }
        }
    }
    packed
}
