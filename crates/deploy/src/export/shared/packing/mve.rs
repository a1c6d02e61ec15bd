//! Weights in the order of the vector kernels; `bptq_mve.h` describes it.

use crate::op::{IntOp, Weights, weightless};
use crate::place::kernels::{mve_filter_len, packed_bits};
use crate::target::Kernels;

/// The bytes of an operation's weights; none for an operation without weights.
pub(crate) fn pack(op: &IntOp) -> Vec<u8> {
    let Some(weighted) = op.weighted() else { return Vec::new() };
    let (weights, bits) = (&weighted.weights, packed_bits(op, weighted, Kernels::Mve));
    match op {
        IntOp::Conv2d { geometry, .. } => {
            pack_filters(weights, bits, geometry.weights_per_channel())
        }
        IntOp::FullyConnected { in_features, .. } => pack_filters(weights, bits, *in_features),
        IntOp::DepthwiseConv2d { .. } if bits == 8 => weights.data.clone(),
        IntOp::DepthwiseConv2d { .. } => pack_filters(weights, bits, weights.len()),
        // It runs on the portable kernels.
        IntOp::TransposeConv2d { .. } | weightless!() => Vec::new(),
    }
}

/// Filters of `taps` weights in units of 16 bytes, each of which holds every sixteenth weight.
fn pack_filters(weights: &Weights, bits: u8, taps: usize) -> Vec<u8> {
    let len = mve_filter_len(taps, bits);
    let bits = usize::from(bits);
    let mask = ((1_u16 << bits) - 1) as u8;
    let mut packed = Vec::new();
    for filter in weights.unpack().chunks(taps) {
        for unit in (0..len).step_by(128 / bits) {
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
