//! Working memory that an operation needs beyond its inputs and outputs.

use crate::op::{IntOp, weightless};

/// Filters that a convolution or fully connected layer decodes at once; `BPTQ_FILTERS` of the C
/// runtime.
pub const FILTERS: usize = 4;

/// Channels that a depthwise convolution decodes at once; `BPTQ_CHANNELS` of the C runtime.
pub const CHANNELS: usize = 16;

/// Bytes of scratch that `op` needs in the arena while it runs on elements of 16 bits, if `wide`, or
/// of 8: room to decode a block of filters if its weights are packed below 8 bits, otherwise none.
pub fn scratch_bytes(op: &IntOp, wide: bool) -> usize {
    if op.weighted().is_none_or(|weighted| weighted.weights.storage == 8) {
        return 0;
    }
    match op {
        IntOp::Conv2d { geometry, .. } => {
            let filters = geometry.out_channels / geometry.groups.max(1);
            filters.min(FILTERS) * geometry.weights_per_channel()
        }
        IntOp::TransposeConv2d { geometry, .. } => {
            geometry.filters_per_group().min(FILTERS) * geometry.weights_per_channel()
        }
        IntOp::DepthwiseConv2d { geometry, .. } => {
            let taps = geometry.window.kernel[0] * geometry.window.kernel[1];
            geometry.out_channels().min(CHANNELS) * taps
        }
        // A single row is multiplied by packed weights.
        IntOp::FullyConnected { rows: 1, in_features, .. }
            if !wide && in_features.is_multiple_of(8) =>
        {
            0
        }
        IntOp::FullyConnected { in_features, out_features, .. } => {
            (*out_features).min(FILTERS) * in_features
        }
        weightless!() => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_as_large_as_those_of_the_c_runtime() {
        let header = include_str!("../../c/runtime/bptq.h");
        assert!(header.contains(&format!("#define BPTQ_FILTERS {FILTERS}\n")));
        assert!(header.contains(&format!("#define BPTQ_CHANNELS {CHANNELS}\n")));
    }
}
