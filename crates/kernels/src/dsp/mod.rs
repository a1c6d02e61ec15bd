// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! The weighted operations for the DSP extension of Arm's M profile: two 16-bit products an
//! instruction, on 8-bit activations.
//!
//! They give the bits of their twins in [`reference`](mod@crate::reference) and have no panic path. With the
//! feature `dsp`, on Arm, they are instructions of that extension; everywhere else the same loops run
//! on portable forms of them.
//!
//! Weights are packed as follows. Sums of products, their biases included and doubled by what the
//! multiplier shifts to the left, must fit 32 bits.
//!
//! Convolution and fully connected layer: filters stand in pairs a, b, each group of them padded to
//! an even number; a word holds weights of both. Filters are padded with zero weights to
//! [`filter_len`].
//! - 8 bits: two weights each, low byte first: a0, b0, a1, b1.
//! - 4 bits: four weights each, plus 8; the fields, from the low one on, hold a0, b0, a2, b2, a1, b1,
//!   a3, b3.
//! - 3 bits: ten weights each, plus 4, in two words; the halves of the first hold a0, b0, a2, b2, a4
//!   and a1, b1, a3, b3, a5, those of the second b4, a6, b6, a8, b8 and b5, a7, b7, a9, b9.
//! - 2 bits: eight weights each, plus 2; the fields hold a0, b0, a2, b2, a4, b4, a6, b6, a1, b1, a3,
//!   b3, a5, b5, a7, b7.
//!
//! Depthwise convolution of at least four channels: blocks of four channels, of which the last may
//! overlap the one before; in a block, pairs of taps s, t, the last tap paired with zero weights if
//! need be. Biases are less the input's zero point times the sum of a channel's weights, so that
//! inputs are multiplied as they are.
//! - 8 bits: a pair takes two words of bytes: 0s, 1s, 0t, 1t and 2s, 3s, 2t, 3t.
//! - 4 bits: a pair takes a word: channel c of s at bits 4c, of t at 16 + 4c.
//! - 2 bits: two pairs take a word: channel c of s at bits 2c, of t at 16 + 2c; the second pair's 8
//!   on.

#[cfg(all(target_arch = "arm", feature = "dsp"))]
#[path = "extension.rs"]
mod instructions;
#[cfg(not(all(target_arch = "arm", feature = "dsp")))]
#[path = "portable.rs"]
mod instructions;

mod conv2d;
mod depthwise;
mod finish;
mod fully_connected;
mod patch;

pub use conv2d::{conv2d, conv2d_scratch_len};
pub use depthwise::{MAX_TAPS, depthwise_conv2d, depthwise_conv2d_scratch_len};
pub use fully_connected::{fully_connected, fully_connected_scratch_len};

/// Weights that a filter of `taps` weights in `storage` bits is padded to.
pub const fn filter_len(taps: usize, storage: u8) -> usize {
    taps.next_multiple_of(match storage {
        8 => 4,
        3 => 10,
        _ => 8,
    })
}

/// Packed weights of `storage` (2, 3, 4 or 8) bits; of a depthwise convolution 2, 4 or 8.
#[derive(Clone, Copy, Debug)]
pub struct PackedWords<'a> {
    /// As the module says.
    pub words: &'a [u32],
    /// Bits a weight.
    pub storage: u8,
}

/// Weights of `bits` bits in each half of a word; a pair of filters takes so many elements a word, at 3
/// bits on average.
const fn per_word(bits: usize) -> usize {
    16 / bits
}

/// Channels whose sums are kept before they become outputs.
const CHANNELS: usize = 16;

/// A pair of 16-bit elements in bytes, low byte first.
type Pair = [i8; 4];

#[inline(always)]
fn word(bytes: Pair) -> u32 {
    u32::from_le_bytes(bytes.map(|byte| byte as u8))
}

/// A pair of the same element twice.
#[inline(always)]
fn twice(x: i32) -> u32 {
    u32::from(x as u16) * 0x0001_0001
}
