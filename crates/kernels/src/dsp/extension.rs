// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! The instructions of the DSP extension, and the inner loops on them.
//!
//! The compiler forms neither of them by itself. This module and its [`taps`] are the only ones of a microcontroller
//! with `unsafe` code: their functions are safe to call with any arguments, since each checks that what its
//! instructions read lies within the slices that it is given. Loads may be unaligned, which the cores that
//! have the extension allow unless a program sets `UNALIGN_TRP` in `CCR`.
#![allow(unsafe_code)]

#[path = "taps.rs"]
mod taps;

use core::arch::asm;

pub use taps::Taps;

use super::{Pair, per_word};

/// Defines a function of one instruction on registers.
macro_rules! instruction {
    ($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty),*) -> $result:ty, $text:literal) => {
        $(#[$doc])*
        #[inline(always)]
        pub fn $name($($argument: $type),*) -> $result {
            let result: $result;
            // SAFETY: the instruction works on registers alone.
            unsafe {
                asm!(
                    $text,
                    result = lateout(reg) result,
                    $($argument = in(reg) $argument,)*
                    options(pure, nomem, nostack, preserves_flags),
                );
            }
            result
        }
    };
}

/// `sum` + low(a) * low(b) + high(a) * high(b)
#[inline(always)]
pub fn smlad(a: u32, b: u32, sum: i32) -> i32 {
    let result: i32;
    // SAFETY: the instruction works on registers and the sticky flag of overflows alone.
    unsafe {
        asm!("smlad {result}, {a}, {b}, {sum}", result = lateout(reg) result, a = in(reg) a,
            b = in(reg) b, sum = in(reg) sum, options(pure, nomem, nostack));
    }
    result
}

instruction! {
    /// Adds bytes 0 and 2 of `x` to the elements of `pair`.
    add_even_bytes(pair: u32, x: u32) -> u32, "sxtab16 {result}, {pair}, {x}"
}
instruction! {
    /// Adds bytes 1 and 3 of `x` to the elements of `pair`.
    add_odd_bytes(pair: u32, x: u32) -> u32, "sxtab16 {result}, {pair}, {x}, ror #8"
}
instruction! {
    /// The low half of `a`, and above it the low half of `b`.
    low_halves(a: u32, b: u32) -> u32, "pkhbt {result}, {a}, {b}, lsl #16"
}
instruction! {
    /// The high half of `a`, and above it the high half of `b`.
    high_halves(a: u32, b: u32) -> u32, "pkhtb {result}, {b}, {a}, asr #16"
}
instruction! {
    /// `a * b / 2^32`, rounded half up.
    high_word(a: i32, b: i32) -> i32, "smmulr {result}, {a}, {b}"
}
instruction! {
    /// `x / 2^shift`, rounded down, for a shift of 0..=31; the compiler would mask the shift.
    shift_right(x: i32, shift: i32) -> i32, "asr {result}, {x}, {shift}"
}

/// `x` within 8 bits.
#[inline(always)]
pub fn saturated(x: i32) -> i32 {
    let result: i32;
    // SAFETY: the instruction works on registers and the sticky saturation flag alone.
    unsafe {
        asm!("ssat {result}, #8, {x}", result = lateout(reg) result, x = in(reg) x,
            options(pure, nomem, nostack));
    }
    result
}

/// A pair of elements of each patch with a word of bytes.
macro_rules! add_bytes {
    () => {
        "ldr {p}, [{x0}], #4
        ldr {w}, [{weights}], #4
        ldr {q}, [{x1}], #4
        sxtb16 {t}, {w}
        sxtb16 {w}, {w}, ror #8
        smlad {a0}, {t}, {p}, {a0}
        smlad {b0}, {w}, {p}, {b0}
        smlad {a1}, {t}, {q}, {a1}
        smlad {b1}, {w}, {q}, {b1}
        "
    };
}

/// Two pairs of packed weights, shifted down, with the next pair of elements of each patch.
macro_rules! add_packed {
    ($shift_a:literal, $shift_b:literal) => {
        concat!(
            "ldr {p}, [{x0}], #4
            ldr {q}, [{x1}], #4
            and {t}, {mask}, {w}",
            $shift_a,
            "
            smlad {a0}, {t}, {p}, {a0}
            smlad {a1}, {t}, {q}, {a1}
            and {t}, {mask}, {w}",
            $shift_b,
            "
            smlad {b0}, {t}, {p}, {b0}
            smlad {b1}, {t}, {q}, {b1}
            "
        )
    };
}

/// The pair of elements of each patch whose weights stand in two words.
macro_rules! add_split {
    () => {
        "ldr {p}, [{x0}], #4
        ldr {q}, [{x1}], #4
        and {t}, {mask}, {w}, lsr #12
        smlad {a0}, {t}, {p}, {a0}
        smlad {a1}, {t}, {q}, {a1}
        ldr {w}, [{weights}], #4
        and {t}, {mask}, {w}
        smlad {b0}, {t}, {p}, {b0}
        smlad {b1}, {t}, {q}, {b1}
        "
    };
}

/// Weights that whole steps of the loops take, of those that meet an element: two words, or one of
/// 2-bit weights.
fn whole_words<const BITS: usize>(words: usize, pairs: usize) -> usize {
    let words = words.min(2 * pairs / per_word(BITS));
    if BITS == 2 { words } else { words & !1 }
}

/// Multiplies pairs of filters of `words` words each, which stand back to back in `weights`, by two
/// patches. The sums of a patch begin with its `start`; there are as many as pairs.
#[inline(never)]
pub fn dots<const BITS: usize>(
    weights: &[u32],
    words: usize,
    patches: [&[Pair]; 2],
    start: [i32; 2],
    sums: [&mut [[i32; 2]]; 2],
) {
    let ([first, second], [sums0, sums1]) = (patches, sums);
    let pairs = sums0.len().min(sums1.len());
    let whole = whole_words::<BITS>(words, first.len().min(second.len()));
    let stored = words.checked_mul(pairs);
    if words == 0 || whole != words || stored.is_none_or(|stored| stored > weights.len()) {
        return;
    }
    let mut weights = weights.as_ptr();
    for (sums0, sums1) in sums0.iter_mut().zip(sums1) {
        let [mut a0, mut a1] = start;
        let [mut b0, mut b1] = start;
        let (x0, x1, end) = (first.as_ptr(), second.as_ptr(), weights.wrapping_add(words));
        // SAFETY: the loops read `words` words of the weights, and of each patch the pairs that they
        // meet, which exist.
        unsafe {
            if BITS == 8 {
                asm!(
                    "2:",
                    add_bytes!(),
                    add_bytes!(),
                    "cmp {weights}, {end}",
                    "bne 2b",
                    a0 = inout(reg) a0, b0 = inout(reg) b0, a1 = inout(reg) a1, b1 = inout(reg) b1,
                    weights = inout(reg) weights, x0 = inout(reg) x0 => _, x1 = inout(reg) x1 => _,
                    w = out(reg) _, t = out(reg) _, p = out(reg) _, q = out(reg) _, end = in(reg) end,
                    options(pure, readonly, nostack),
                );
            } else if BITS == 4 {
                asm!(
                    "2:",
                    "ldr {w}, [{weights}], #4",
                    add_packed!("", ", lsr #4"),
                    add_packed!(", lsr #8", ", lsr #12"),
                    "ldr {w}, [{weights}], #4",
                    add_packed!("", ", lsr #4"),
                    add_packed!(", lsr #8", ", lsr #12"),
                    "cmp {weights}, {end}",
                    "bne 2b",
                    a0 = inout(reg) a0, b0 = inout(reg) b0, a1 = inout(reg) a1, b1 = inout(reg) b1,
                    weights = inout(reg) weights, x0 = inout(reg) x0 => _, x1 = inout(reg) x1 => _,
                    w = out(reg) _, t = out(reg) _, p = out(reg) _, q = out(reg) _, end = in(reg) end,
                    mask = in(reg) 0x000F_000F_u32,
                    options(pure, readonly, nostack),
                );
            } else if BITS == 3 {
                asm!(
                    "2:",
                    "ldr {w}, [{weights}], #4",
                    add_packed!("", ", lsr #3"),
                    add_packed!(", lsr #6", ", lsr #9"),
                    add_split!(),
                    add_packed!(", lsr #3", ", lsr #6"),
                    add_packed!(", lsr #9", ", lsr #12"),
                    "cmp {weights}, {end}",
                    "bne 2b",
                    a0 = inout(reg) a0, b0 = inout(reg) b0, a1 = inout(reg) a1, b1 = inout(reg) b1,
                    weights = inout(reg) weights, x0 = inout(reg) x0 => _, x1 = inout(reg) x1 => _,
                    w = out(reg) _, t = out(reg) _, p = out(reg) _, q = out(reg) _, end = in(reg) end,
                    mask = in(reg) 0x0007_0007_u32,
                    options(pure, readonly, nostack),
                );
            } else {
                asm!(
                    "2:",
                    "ldr {w}, [{weights}], #4",
                    add_packed!("", ", lsr #2"),
                    add_packed!(", lsr #4", ", lsr #6"),
                    add_packed!(", lsr #8", ", lsr #10"),
                    add_packed!(", lsr #12", ", lsr #14"),
                    "cmp {weights}, {end}",
                    "bne 2b",
                    a0 = inout(reg) a0, b0 = inout(reg) b0, a1 = inout(reg) a1, b1 = inout(reg) b1,
                    weights = inout(reg) weights, x0 = inout(reg) x0 => _, x1 = inout(reg) x1 => _,
                    w = out(reg) _, t = out(reg) _, p = out(reg) _, q = out(reg) _, end = in(reg) end,
                    mask = in(reg) 0x0003_0003_u32,
                    options(pure, readonly, nostack),
                );
            }
        }
        *sums0 = [a0, b0];
        *sums1 = [a1, b1];
    }
}

/// The next pair of elements with a word of bytes of both pairs of filters.
macro_rules! add_wide_bytes {
    () => {
        "ldr {p}, [{x}], #4
        ldr {w}, [{first}], #4
        ldr {v}, [{second}], #4
        sxtb16 {t}, {w}
        smlad {a0}, {t}, {p}, {a0}
        sxtb16 {w}, {w}, ror #8
        smlad {b0}, {w}, {p}, {b0}
        sxtb16 {t}, {v}
        smlad {a1}, {t}, {p}, {a1}
        sxtb16 {v}, {v}, ror #8
        smlad {b1}, {v}, {p}, {b1}
        "
    };
}

/// The next pair of elements with packed weights of both pairs of filters.
macro_rules! add_wide_packed {
    ($shift_a:literal, $shift_b:literal) => {
        concat!(
            "ldr {p}, [{x}], #4
            and {t}, {mask}, {w}",
            $shift_a,
            "
            smlad {a0}, {t}, {p}, {a0}
            and {t}, {mask}, {w}",
            $shift_b,
            "
            smlad {b0}, {t}, {p}, {b0}
            and {t}, {mask}, {v}",
            $shift_a,
            "
            smlad {a1}, {t}, {p}, {a1}
            and {t}, {mask}, {v}",
            $shift_b,
            "
            smlad {b1}, {t}, {p}, {b1}
            "
        )
    };
}

/// The next pair of elements, whose weights stand in two words of both pairs of filters.
macro_rules! add_wide_split {
    () => {
        "ldr {p}, [{x}], #4
        and {t}, {mask}, {w}, lsr #12
        smlad {a0}, {t}, {p}, {a0}
        and {t}, {mask}, {v}, lsr #12
        smlad {a1}, {t}, {p}, {a1}
        ldr {w}, [{first}], #4
        ldr {v}, [{second}], #4
        and {t}, {mask}, {w}
        smlad {b0}, {t}, {p}, {b0}
        and {t}, {mask}, {v}
        smlad {b1}, {t}, {p}, {b1}
        "
    };
}

/// Adds two pairs of filters over one patch to the sums a0, b0, a1, b1.
#[inline(always)]
pub fn dot_wide<const BITS: usize>(
    weights: [&[u32]; 2],
    patch: &[Pair],
    sums: [i32; 4],
) -> [i32; 4] {
    let [mut a0, mut b0, mut a1, mut b1] = sums;
    let [first, second] = weights;
    let words = whole_words::<BITS>(first.len().min(second.len()), patch.len());
    if words == 0 {
        return sums;
    }
    let end = first.as_ptr().wrapping_add(words);
    let (first, second, x) = (first.as_ptr(), second.as_ptr(), patch.as_ptr());
    // SAFETY: the loops read `words` words of the weights of both pairs, and of the patch the pairs
    // that they meet, which exist.
    unsafe {
        if BITS == 8 {
            asm!(
                "2:",
                add_wide_bytes!(),
                add_wide_bytes!(),
                "cmp {first}, {end}",
                "bne 2b",
                a0 = inout(reg) a0, b0 = inout(reg) b0, a1 = inout(reg) a1, b1 = inout(reg) b1,
                first = inout(reg) first => _, second = inout(reg) second => _,
                x = inout(reg) x => _, w = out(reg) _, v = out(reg) _, t = out(reg) _,
                p = out(reg) _, end = in(reg) end,
                options(pure, readonly, nostack),
            );
        } else if BITS == 4 {
            asm!(
                "2:",
                "ldr {w}, [{first}], #4",
                "ldr {v}, [{second}], #4",
                add_wide_packed!("", ", lsr #4"),
                add_wide_packed!(", lsr #8", ", lsr #12"),
                "ldr {w}, [{first}], #4",
                "ldr {v}, [{second}], #4",
                add_wide_packed!("", ", lsr #4"),
                add_wide_packed!(", lsr #8", ", lsr #12"),
                "cmp {first}, {end}",
                "bne 2b",
                a0 = inout(reg) a0, b0 = inout(reg) b0, a1 = inout(reg) a1, b1 = inout(reg) b1,
                first = inout(reg) first => _, second = inout(reg) second => _,
                x = inout(reg) x => _, w = out(reg) _, v = out(reg) _, t = out(reg) _,
                p = out(reg) _, end = in(reg) end, mask = in(reg) 0x000F_000F_u32,
                options(pure, readonly, nostack),
            );
        } else if BITS == 3 {
            asm!(
                "2:",
                "ldr {w}, [{first}], #4",
                "ldr {v}, [{second}], #4",
                add_wide_packed!("", ", lsr #3"),
                add_wide_packed!(", lsr #6", ", lsr #9"),
                add_wide_split!(),
                add_wide_packed!(", lsr #3", ", lsr #6"),
                add_wide_packed!(", lsr #9", ", lsr #12"),
                "cmp {first}, {end}",
                "bne 2b",
                a0 = inout(reg) a0, b0 = inout(reg) b0, a1 = inout(reg) a1, b1 = inout(reg) b1,
                first = inout(reg) first => _, second = inout(reg) second => _,
                x = inout(reg) x => _, w = out(reg) _, v = out(reg) _, t = out(reg) _,
                p = out(reg) _, end = in(reg) end, mask = in(reg) 0x0007_0007_u32,
                options(pure, readonly, nostack),
            );
        } else {
            asm!(
                "2:",
                "ldr {w}, [{first}], #4",
                "ldr {v}, [{second}], #4",
                add_wide_packed!("", ", lsr #2"),
                add_wide_packed!(", lsr #4", ", lsr #6"),
                add_wide_packed!(", lsr #8", ", lsr #10"),
                add_wide_packed!(", lsr #12", ", lsr #14"),
                "cmp {first}, {end}",
                "bne 2b",
                a0 = inout(reg) a0, b0 = inout(reg) b0, a1 = inout(reg) a1, b1 = inout(reg) b1,
                first = inout(reg) first => _, second = inout(reg) second => _,
                x = inout(reg) x => _, w = out(reg) _, v = out(reg) _, t = out(reg) _,
                p = out(reg) _, end = in(reg) end, mask = in(reg) 0x0003_0003_u32,
                options(pure, readonly, nostack),
            );
        }
    }
    [a0, b0, a1, b1]
}
