// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! The instructions of x86-64 processors.
//!
//! The compiler does not form products of four bytes from loops, and crates that hide `unsafe` code do not have
//! them either, so that this module has some of its own. Why it is sound: a value of [`Avx2`] or [`Vnni`] comes from
//! `new` alone, which asks the processor, and every instruction is in a method of such a value. Memory is read
//! and written through references to arrays of the size of a register.
#![allow(unsafe_code)]

use core::arch::x86_64::*;

use super::lanes::{LANES, Lanes, Line, On, Scale, Weights};
use crate::params::Clamp;

/// AVX2: sums of products of two 16-bit integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Avx2(());

/// AVX-512 with VNNI: sums of products of four bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Vnni(());

impl Avx2 {
    pub(super) fn new() -> Option<Self> {
        std::is_x86_feature_detected!("avx2").then_some(Self(()))
    }
}

impl Vnni {
    pub(super) fn new() -> Option<Self> {
        let detected = std::is_x86_feature_detected!("avx2")
            && std::is_x86_feature_detected!("avx512f")
            && std::is_x86_feature_detected!("avx512bw")
            && std::is_x86_feature_detected!("avx512vnni");
        detected.then_some(Self(()))
    }
}

#[inline(never)]
#[target_feature(enable = "avx2")]
fn on_avx2<W: On<Avx2>>(lanes: Avx2, work: W) {
    work.run(lanes);
}

#[inline(never)]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vnni")]
fn on_vnni<W: On<Vnni>>(lanes: Vnni, work: W) {
    work.run(lanes);
}

/// The halves of a line, each as large as a register.
#[inline(always)]
fn half(line: &Line, which: usize) -> *const __m256i {
    line.0[which * (LANES / 2)..][..LANES / 2].as_ptr().cast()
}

/// The same for both halves. A closure would be a function that is not compiled for the instructions.
macro_rules! both {
    ($i:ident => $value:expr) => {
        [
            {
                let $i = 0;
                unsafe { $value }
            },
            {
                let $i = 1;
                unsafe { $value }
            },
        ]
    };
}

// SAFETY of all blocks: the value of `Avx2` in `self` proves that the instructions are there; what they read and
// write is a whole array behind a reference, or half of a line.
impl Lanes for Avx2 {
    type Ints = [__m256i; 2];
    type Words = __m256i;
    type Weights = [__m256i; 2];
    type Input = i16;
    type Word = [i16; 2];

    const DEPTH: usize = 2;
    const SUMS: usize = 6;

    #[inline(always)]
    fn run<W: On<Self>>(self, work: W) {
        unsafe { on_avx2(self, work) }
    }

    #[inline(always)]
    fn input(x: i8, zero_point: i32) -> i16 {
        i16::from(x).wrapping_sub(zero_point as i16)
    }

    #[inline(always)]
    fn excess(_zero_point: i32) -> i32 {
        0
    }

    #[inline(always)]
    fn padding(_zero_point: i32) -> i16 {
        0
    }

    #[inline(always)]
    fn inputs<'a>(_bytes: &'a mut [u8], halves: &'a mut [i16]) -> &'a mut [i16] {
        halves
    }

    #[inline(always)]
    fn words(inputs: &[i16]) -> &[[i16; 2]] {
        inputs.as_chunks().0
    }

    #[inline(always)]
    fn weights(weights: impl Fn(usize) -> i32) -> [i16; 2] {
        [weights(0) as i16, weights(1) as i16]
    }

    #[inline(always)]
    fn load(self, line: &Line) -> [__m256i; 2] {
        both!(i => _mm256_load_si256(half(line, i)))
    }

    #[inline(always)]
    fn store(self, ints: [__m256i; 2]) -> Line {
        let mut line = Line::ZERO;
        let (low, high) = line.0.split_at_mut(LANES / 2);
        unsafe {
            _mm256_store_si256(low.as_mut_ptr().cast(), ints[0]);
            _mm256_store_si256(high.as_mut_ptr().cast(), ints[1]);
        }
        line
    }

    #[inline(always)]
    fn splat(self, x: i32) -> [__m256i; 2] {
        both!(_i => _mm256_set1_epi32(x))
    }

    #[inline(always)]
    fn widen(self, elements: &[i8; LANES]) -> [__m256i; 2] {
        unsafe {
            let bytes = _mm_loadu_si128(elements.as_ptr().cast());
            [_mm256_cvtepi8_epi32(bytes), _mm256_cvtepi8_epi32(_mm_unpackhi_epi64(bytes, bytes))]
        }
    }

    #[inline(always)]
    fn narrow(self, ints: [__m256i; 2]) -> [i8; LANES] {
        let mut elements = [0; LANES];
        unsafe {
            // The low byte of each lane, four together.
            let low = _mm256_set1_epi64x(0x0C08_0400);
            let a = _mm256_shuffle_epi8(ints[0], low);
            let b = _mm256_shuffle_epi8(ints[1], low);
            let pairs = _mm256_unpacklo_epi32(a, b);
            let bytes =
                _mm256_permutevar8x32_epi32(pairs, _mm256_setr_epi32(0, 4, 1, 5, 0, 0, 0, 0));
            _mm_storeu_si128(elements.as_mut_ptr().cast(), _mm256_castsi256_si128(bytes));
        }
        elements
    }

    #[inline(always)]
    fn splat_word(self, [a, b]: [i16; 2]) -> __m256i {
        unsafe { _mm256_set1_epi32(i32::from(a as u16) | i32::from(b) << 16) }
    }

    #[inline(always)]
    fn load_weights(self, weights: &Weights) -> [__m256i; 2] {
        let (low, high) = weights.0.split_at(LANES / 2);
        unsafe { [_mm256_load_si256(low.as_ptr().cast()), _mm256_load_si256(high.as_ptr().cast())] }
    }

    #[inline(always)]
    fn dot(self, sums: [__m256i; 2], word: __m256i, weights: [__m256i; 2]) -> [__m256i; 2] {
        both!(i => _mm256_add_epi32(sums[i], _mm256_madd_epi16(word, weights[i])))
    }

    const PAIR_ORDER: [usize; LANES] = [0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15];

    #[inline(always)]
    fn dot_pairs(
        self,
        sums: [__m256i; 2],
        taps: [&[i16; LANES]; 2],
        weights: [__m256i; 2],
    ) -> [__m256i; 2] {
        let pairs = unsafe {
            let a = _mm256_loadu_si256(taps[0].as_ptr().cast());
            let b = _mm256_loadu_si256(taps[1].as_ptr().cast());
            [_mm256_unpacklo_epi16(a, b), _mm256_unpackhi_epi16(a, b)]
        };
        both!(i => _mm256_add_epi32(sums[i], _mm256_madd_epi16(pairs[i], weights[i])))
    }

    #[inline(always)]
    fn in_order(self, [a, b]: [__m256i; 2]) -> [__m256i; 2] {
        unsafe {
            [_mm256_permute2x128_si256::<0x20>(a, b), _mm256_permute2x128_si256::<0x31>(a, b)]
        }
    }

    #[inline(always)]
    fn add(self, a: [__m256i; 2], b: [__m256i; 2]) -> [__m256i; 2] {
        both!(i => _mm256_add_epi32(a[i], b[i]))
    }

    #[inline(always)]
    fn sub(self, a: [__m256i; 2], b: [__m256i; 2]) -> [__m256i; 2] {
        both!(i => _mm256_sub_epi32(a[i], b[i]))
    }

    #[inline(always)]
    fn mul(self, a: [__m256i; 2], b: [__m256i; 2]) -> [__m256i; 2] {
        both!(i => _mm256_mullo_epi32(a[i], b[i]))
    }

    #[inline(always)]
    fn shift_left(self, ints: [__m256i; 2], by: u32) -> [__m256i; 2] {
        both!(i => _mm256_sll_epi32(ints[i], _mm_cvtsi32_si128(by as i32)))
    }

    #[inline(always)]
    fn clamp(self, ints: [__m256i; 2], clamp: Clamp) -> [__m256i; 2] {
        both!(i => {
            let raised = _mm256_max_epi32(ints[i], _mm256_set1_epi32(clamp.min));
            _mm256_min_epi32(raised, _mm256_set1_epi32(clamp.max))
        })
    }

    #[inline(always)]
    fn rescale(self, ints: [__m256i; 2], scale: &Scale) -> [__m256i; 2] {
        let [quantized, left, right, mask] = scale.parts();
        let (quantized, left) = (self.load(quantized), self.load(left));
        let (right, mask) = (self.load(right), self.load(mask));
        both!(i => {
            let shifted = _mm256_sllv_epi32(ints[i], left[i]);
            let rounding = _mm256_set1_epi64x(1 << 30);
            let even = _mm256_mul_epi32(shifted, quantized[i]);
            let odd = _mm256_mul_epi32(
                _mm256_srli_epi64::<32>(shifted),
                _mm256_srli_epi64::<32>(quantized[i]),
            );
            // Bits 31 to 62, which the lanes keep.
            let even = _mm256_srli_epi64::<31>(_mm256_add_epi64(even, rounding));
            let odd = _mm256_slli_epi64::<1>(_mm256_add_epi64(odd, rounding));
            let high = _mm256_blend_epi32::<0b1010_1010>(even, odd);
            let remainder = _mm256_and_si256(high, mask[i]);
            let negative = _mm256_srai_epi32::<31>(high);
            let threshold = _mm256_sub_epi32(_mm256_srli_epi32::<1>(mask[i]), negative);
            let up = _mm256_cmpgt_epi32(remainder, threshold);
            _mm256_sub_epi32(_mm256_srav_epi32(high, right[i]), up)
        })
    }
}

// SAFETY of all blocks: as above, with `Vnni`.
impl Lanes for Vnni {
    type Ints = __m512i;
    type Words = __m512i;
    type Weights = __m512i;
    type Input = u8;
    type Word = [u8; 4];

    const DEPTH: usize = 4;
    const SUMS: usize = 24;

    #[inline(always)]
    fn run<W: On<Self>>(self, work: W) {
        unsafe { on_vnni(self, work) }
    }

    #[inline(always)]
    fn input(x: i8, _zero_point: i32) -> u8 {
        x as u8 ^ 0x80
    }

    #[inline(always)]
    fn excess(zero_point: i32) -> i32 {
        // One factor of the products has no sign.
        128 + zero_point
    }

    #[inline(always)]
    fn padding(zero_point: i32) -> u8 {
        zero_point as u8 ^ 0x80
    }

    #[inline(always)]
    fn inputs<'a>(bytes: &'a mut [u8], _halves: &'a mut [i16]) -> &'a mut [u8] {
        bytes
    }

    #[inline(always)]
    fn words(inputs: &[u8]) -> &[[u8; 4]] {
        inputs.as_chunks().0
    }

    #[inline(always)]
    fn weights(weights: impl Fn(usize) -> i32) -> [i16; 2] {
        [0, 2].map(|i| i16::from_le_bytes([weights(i) as u8, weights(i + 1) as u8]))
    }

    #[inline(always)]
    fn load(self, line: &Line) -> __m512i {
        unsafe { _mm512_load_si512(line.0.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(self, ints: __m512i) -> Line {
        let mut line = Line::ZERO;
        unsafe { _mm512_store_si512(line.0.as_mut_ptr().cast(), ints) };
        line
    }

    #[inline(always)]
    fn splat(self, x: i32) -> __m512i {
        unsafe { _mm512_set1_epi32(x) }
    }

    #[inline(always)]
    fn widen(self, elements: &[i8; LANES]) -> __m512i {
        unsafe { _mm512_cvtepi8_epi32(_mm_loadu_si128(elements.as_ptr().cast())) }
    }

    #[inline(always)]
    fn narrow(self, ints: __m512i) -> [i8; LANES] {
        let mut elements = [0; LANES];
        unsafe { _mm_storeu_si128(elements.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(ints)) };
        elements
    }

    #[inline(always)]
    fn splat_word(self, word: [u8; 4]) -> __m512i {
        unsafe { _mm512_set1_epi32(i32::from_le_bytes(word)) }
    }

    #[inline(always)]
    fn load_weights(self, weights: &Weights) -> __m512i {
        unsafe { _mm512_load_si512(weights.0.as_ptr().cast()) }
    }

    #[inline(always)]
    fn dot(self, sums: __m512i, word: __m512i, weights: __m512i) -> __m512i {
        unsafe { _mm512_dpbusd_epi32(sums, word, weights) }
    }

    const PAIR_ORDER: [usize; LANES] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

    #[inline(always)]
    fn dot_pairs(self, sums: __m512i, taps: [&[i16; LANES]; 2], weights: __m512i) -> __m512i {
        unsafe {
            let a = _mm512_castsi256_si512(_mm256_loadu_si256(taps[0].as_ptr().cast()));
            let b = _mm512_castsi256_si512(_mm256_loadu_si256(taps[1].as_ptr().cast()));
            // An element of each in every lane.
            let first = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
            let places = _mm512_or_si512(
                _mm512_or_si512(first, _mm512_slli_epi32::<16>(first)),
                _mm512_set1_epi32(32 << 16),
            );
            let pairs = _mm512_permutex2var_epi16(a, places, b);
            _mm512_dpwssd_epi32(sums, pairs, weights)
        }
    }

    #[inline(always)]
    fn in_order(self, sums: __m512i) -> __m512i {
        sums
    }

    #[inline(always)]
    fn add(self, a: __m512i, b: __m512i) -> __m512i {
        unsafe { _mm512_add_epi32(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m512i, b: __m512i) -> __m512i {
        unsafe { _mm512_sub_epi32(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: __m512i, b: __m512i) -> __m512i {
        unsafe { _mm512_mullo_epi32(a, b) }
    }

    #[inline(always)]
    fn shift_left(self, ints: __m512i, by: u32) -> __m512i {
        unsafe { _mm512_sll_epi32(ints, _mm_cvtsi32_si128(by as i32)) }
    }

    #[inline(always)]
    fn clamp(self, ints: __m512i, clamp: Clamp) -> __m512i {
        unsafe {
            let raised = _mm512_max_epi32(ints, _mm512_set1_epi32(clamp.min));
            _mm512_min_epi32(raised, _mm512_set1_epi32(clamp.max))
        }
    }

    #[inline(always)]
    fn rescale(self, ints: __m512i, scale: &Scale) -> __m512i {
        let [quantized, left, right, mask] = scale.parts();
        let (quantized, left) = (self.load(quantized), self.load(left));
        let (right, mask) = (self.load(right), self.load(mask));
        unsafe {
            let shifted = _mm512_sllv_epi32(ints, left);
            let rounding = _mm512_set1_epi64(1 << 30);
            let even = _mm512_mul_epi32(shifted, quantized);
            let odd = _mm512_mul_epi32(
                _mm512_srli_epi64::<32>(shifted),
                _mm512_srli_epi64::<32>(quantized),
            );
            // Bits 31 to 62, which the lanes keep.
            let even = _mm512_srli_epi64::<31>(_mm512_add_epi64(even, rounding));
            let odd = _mm512_slli_epi64::<1>(_mm512_add_epi64(odd, rounding));
            let high = _mm512_mask_blend_epi32(0b1010_1010_1010_1010, even, odd);
            let remainder = _mm512_and_si512(high, mask);
            let negative = _mm512_srai_epi32::<31>(high);
            let threshold = _mm512_sub_epi32(_mm512_srli_epi32::<1>(mask), negative);
            let up = _mm512_cmpgt_epi32_mask(remainder, threshold);
            let down = _mm512_srav_epi32(high, right);
            _mm512_mask_add_epi32(down, up, down, _mm512_set1_epi32(1))
        }
    }
}
