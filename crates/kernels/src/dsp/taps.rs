// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! The inner loops of a depthwise convolution on the instructions of the DSP extension.

use core::arch::asm;
use core::ops::Range;

use crate::dsp::depthwise::MAX_TAPS;

/// What the window of a depthwise convolution covers: the channels of each tap.
///
/// Every pointer is that of at least as many elements as `zeros` has, which live as long as `'a`.
pub struct Taps<'a> {
    pixels: [*const i8; MAX_TAPS + 3],
    zeros: &'a [i8],
    count: usize,
}

/// Loads the inputs of two taps s, t: `a` gets 0s, 1s, 0t, 1t and `b` gets 2s, 3s, 2t, 3t.
macro_rules! load_taps {
    () => {
        "ldrd {a}, {b}, [{tap}], #8
        ldr {a}, [{a}, {first}]
        ldr {b}, [{b}, {first}]
        pkhbt {t}, {a}, {b}, lsl #16
        pkhtb {b}, {b}, {a}, asr #16
        "
    };
}

/// One channel with packed weights.
macro_rules! add_channel {
    ($x:literal, $rotation:literal, $shift:literal, $sum:literal) => {
        concat!(
            "sxtb16 {a}, ",
            $x,
            $rotation,
            "
            and {u}, {mask}, {w}",
            $shift,
            "
            smlad ",
            $sum,
            ", {a}, {u}, ",
            $sum,
            "
            "
        )
    };
}

/// Two taps of four channels with packed weights.
macro_rules! add_taps {
    ($shift0:literal, $shift1:literal, $shift2:literal, $shift3:literal) => {
        concat!(
            load_taps!(),
            add_channel!("{t}", "", $shift0, "{c0}"),
            add_channel!("{t}", ", ror #8", $shift1, "{c1}"),
            add_channel!("{b}", "", $shift2, "{c2}"),
            add_channel!("{b}", ", ror #8", $shift3, "{c3}"),
        )
    };
}

/// Two channels with weights of a byte.
macro_rules! add_byte_channels {
    ($x:literal, $low:literal, $high:literal) => {
        concat!(
            "ldr {w}, [{weights}], #4
            sxtb16 {a}, ",
            $x,
            "
            sxtb16 {u}, {w}
            smlad ",
            $low,
            ", {a}, {u}, ",
            $low,
            "
            sxtb16 {a}, ",
            $x,
            ", ror #8
            sxtb16 {u}, {w}, ror #8
            smlad ",
            $high,
            ", {a}, {u}, ",
            $high,
            "
            "
        )
    };
}

impl<'a> Taps<'a> {
    /// `count` taps of as many channels as `zeros` has, which stands for the padding.
    pub fn new(count: usize, zeros: &'a [i8]) -> Self {
        Self { pixels: [zeros.as_ptr(); MAX_TAPS + 3], zeros, count: count.min(MAX_TAPS) }
    }

    /// Lets `taps` read the padding.
    #[inline(never)]
    pub fn pad(&mut self, taps: Range<usize>) {
        for place in self.pixels.get_mut(taps).unwrap_or(&mut []) {
            *place = self.zeros.as_ptr();
        }
    }

    /// Lets `taps` read pixels of `input`, which begin every `step` elements.
    #[inline(always)]
    pub fn set(&mut self, taps: Range<usize>, input: &'a [i8], step: usize) {
        let Some(places) = self.pixels.get_mut(taps) else { return };
        let last = places.len().saturating_sub(1).checked_mul(step);
        let end = last.and_then(|last| last.checked_add(self.zeros.len()));
        if end.is_none_or(|end| end > input.len()) {
            return;
        }
        let mut pixel = input.as_ptr();
        for place in places {
            *place = pixel;
            pixel = pixel.wrapping_add(step);
        }
    }

    /// The sums of products of blocks of four channels, from `first` on.
    #[inline(never)]
    pub fn blocks<const BITS: usize>(&self, weights: &[u32], first: usize, sums: &mut [[i32; 4]]) {
        let (words, taps) = match BITS {
            8 => (2 * self.count.div_ceil(2), 2 * self.count.div_ceil(2)),
            4 => (self.count.div_ceil(2), 2 * self.count.div_ceil(2)),
            _ => (self.count.div_ceil(4), 4 * self.count.div_ceil(4)),
        };
        let channels = sums.len().checked_mul(4).and_then(|count| count.checked_add(first));
        let stored = sums.len().checked_mul(words);
        if taps == 0
            || stored.is_none_or(|words| words > weights.len())
            || channels.is_none_or(|end| end > self.zeros.len())
        {
            return;
        }
        let end = self.pixels.as_ptr().wrapping_add(taps);
        let (mut weights, mut first) = (weights.as_ptr(), first);
        let scale = if BITS == 8 { 0 } else { 16 - BITS };
        for sums in sums {
            let [mut c0, mut c1, mut c2, mut c3] = [0_i32; 4];
            let mut tap = self.pixels.as_ptr();
            // SAFETY: the loops read `taps` pointers, of which there are three beyond the last tap, four
            // bytes behind each, which lie within its pixel, and `words` words of weights.
            unsafe {
                if BITS == 8 {
                    asm!(
                        "2:",
                        load_taps!(),
                        add_byte_channels!("{t}", "{c0}", "{c1}"),
                        add_byte_channels!("{b}", "{c2}", "{c3}"),
                        "cmp {tap}, {end}",
                        "blo 2b",
                        c0 = inout(reg) c0, c1 = inout(reg) c1, c2 = inout(reg) c2, c3 = inout(reg) c3,
                        weights = inout(reg) weights, tap = inout(reg) tap => _,
                        a = out(reg) _, b = out(reg) _, t = out(reg) _, u = out(reg) _, w = out(reg) _,
                        first = in(reg) first, end = in(reg) end,
                        options(pure, readonly, nostack),
                    );
                } else if BITS == 4 {
                    // The end is compared outside: the mask takes its register.
                    while tap < end {
                        asm!(
                            "ldr {w}, [{weights}], #4",
                            add_taps!(", lsl #12", ", lsl #8", ", lsl #4", ""),
                            c0 = inout(reg) c0, c1 = inout(reg) c1, c2 = inout(reg) c2,
                            c3 = inout(reg) c3, weights = inout(reg) weights, tap = inout(reg) tap,
                            a = out(reg) _, b = out(reg) _, t = out(reg) _, u = out(reg) _,
                            w = out(reg) _, first = in(reg) first, mask = in(reg) 0xF000_F000_u32,
                            options(pure, readonly, nostack),
                        );
                    }
                } else {
                    while tap < end {
                        asm!(
                            "ldr {w}, [{weights}], #4",
                            add_taps!(", lsl #14", ", lsl #12", ", lsl #10", ", lsl #8"),
                            add_taps!(", lsl #6", ", lsl #4", ", lsl #2", ""),
                            c0 = inout(reg) c0, c1 = inout(reg) c1, c2 = inout(reg) c2,
                            c3 = inout(reg) c3, weights = inout(reg) weights, tap = inout(reg) tap,
                            a = out(reg) _, b = out(reg) _, t = out(reg) _, u = out(reg) _,
                            w = out(reg) _, first = in(reg) first, mask = in(reg) 0xC000_C000_u32,
                            options(pure, readonly, nostack),
                        );
                    }
                }
            }
            *sums = [c0, c1, c2, c3].map(|sum| sum >> scale);
            first += 4;
        }
    }
}
