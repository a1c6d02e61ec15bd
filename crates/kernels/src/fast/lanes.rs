// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Sixteen 32-bit integers at a time, as instructions of some processors or as plain loops.

use crate::multiplier::Multiplier;
use crate::params::Clamp;

/// Integers that are worked on together.
pub const LANES: usize = 16;

/// As many 32-bit integers; vectors of every width load it without crossing a cache
/// line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [i32; LANES]);

impl Line {
    /// Zeros.
    pub const ZERO: Self = Self([0; LANES]);
}

/// A word of weights for each lane: two of 16 bits, or four bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Weights(pub [[i16; 2]; LANES]);

impl Weights {
    /// Zeros.
    pub const ZERO: Self = Self([[0; 2]; LANES]);
}

/// What makes outputs of the sums of [`LANES`] channels.
#[derive(Clone, Copy, Debug)]
pub struct Channels {
    /// What sums begin with.
    pub(super) bias: Line,
    /// Rescales them.
    pub(super) scale: Scale,
}

impl Channels {
    /// Sums of no channels.
    pub const NONE: Self = Self { bias: Line::ZERO, scale: Scale::ZERO };
}

/// A multiplier for each lane, as [`Multiplier::apply`] takes it apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    quantized: Line,
    left: Line,
    right: Line,
    /// The bits that the shift to the right drops.
    mask: Line,
}

impl Scale {
    const ZERO: Self =
        Self { quantized: Line::ZERO, left: Line::ZERO, right: Line::ZERO, mask: Line::ZERO };

    /// The same for all lanes.
    #[inline(always)]
    pub(super) fn all(multiplier: Multiplier) -> Self {
        let mut scale = Self::ZERO;
        for lane in 0..LANES {
            scale.set(lane, multiplier);
        }
        scale
    }

    #[inline(always)]
    pub(super) fn set(&mut self, lane: usize, multiplier: Multiplier) {
        let Multiplier { quantized, exponent } = multiplier;
        let right = (-exponent).max(0);
        self.quantized.0[lane] = quantized;
        self.left.0[lane] = exponent.max(0);
        self.right.0[lane] = right;
        self.mask.0[lane] = ((1_i64 << right) - 1) as i32;
    }

    #[inline(always)]
    fn multiplier(&self, lane: usize) -> Multiplier {
        let [quantized, left, right, _] = self.parts();
        Multiplier { quantized: quantized.0[lane], exponent: left.0[lane] - right.0[lane] }
    }

    #[inline(always)]
    pub(super) fn parts(&self) -> [&Line; 4] {
        [&self.quantized, &self.left, &self.right, &self.mask]
    }
}

/// The instructions of some processors: proof that they are there, and what they do to [`LANES`] lanes.
///
/// A sum of products takes several inputs at a time, a word of them, which meets a word of weights in each lane.
pub(super) trait Lanes: Copy {
    /// [`LANES`] 32-bit integers in registers.
    type Ints: Copy;
    /// The same word in all lanes.
    type Words: Copy;
    /// A word of weights in each lane.
    type Weights: Copy;
    /// An input as sums of products take it.
    type Input: Copy;
    /// Inputs of 32 bits together.
    type Word: Copy;

    /// Inputs in a word.
    const DEPTH: usize;
    /// Registers' worth of sums that are best made at a time.
    const SUMS: usize;

    /// Runs `work` compiled for these instructions.
    fn run<W: On<Self>>(self, work: W);

    /// An input less the zero point, plus [`excess`](Self::excess).
    fn input(x: i8, zero_point: i32) -> Self::Input;
    /// What inputs have too much.
    fn excess(zero_point: i32) -> i32;
    /// An input of the padding.
    fn padding(zero_point: i32) -> Self::Input;
    /// The scratch that inputs go to.
    fn inputs<'a>(bytes: &'a mut [u8], halves: &'a mut [i16]) -> &'a mut [Self::Input];
    /// Inputs word by word.
    fn words(inputs: &[Self::Input]) -> &[Self::Word];
    /// [`DEPTH`](Self::DEPTH) weights as a word.
    fn weights(weights: impl Fn(usize) -> i32) -> [i16; 2];

    fn load(self, line: &Line) -> Self::Ints;
    fn store(self, ints: Self::Ints) -> Line;
    fn splat(self, x: i32) -> Self::Ints;
    fn widen(self, elements: &[i8; LANES]) -> Self::Ints;
    /// The low bytes.
    fn narrow(self, ints: Self::Ints) -> [i8; LANES];

    fn splat_word(self, word: Self::Word) -> Self::Words;
    fn load_weights(self, weights: &Weights) -> Self::Weights;
    /// Adds the products of a word with the word of weights in each lane.
    fn dot(self, sums: Self::Ints, word: Self::Words, weights: Self::Weights) -> Self::Ints;

    /// The channel whose sums [`dot_pairs`](Self::dot_pairs) makes in each lane.
    const PAIR_ORDER: [usize; LANES];
    /// Adds the products of pairs of elements, of two taps, with the pairs of 16-bit weights in the lanes.
    fn dot_pairs(
        self,
        sums: Self::Ints,
        taps: [&[i16; LANES]; 2],
        weights: Self::Weights,
    ) -> Self::Ints;
    /// Sums in [`PAIR_ORDER`](Self::PAIR_ORDER), in order.
    fn in_order(self, sums: Self::Ints) -> Self::Ints;

    fn add(self, a: Self::Ints, b: Self::Ints) -> Self::Ints;
    fn sub(self, a: Self::Ints, b: Self::Ints) -> Self::Ints;
    fn mul(self, a: Self::Ints, b: Self::Ints) -> Self::Ints;
    fn shift_left(self, ints: Self::Ints, by: u32) -> Self::Ints;
    fn clamp(self, ints: Self::Ints, clamp: Clamp) -> Self::Ints;
    /// [`Multiplier::apply`].
    fn rescale(self, ints: Self::Ints, scale: &Scale) -> Self::Ints;
}

/// Something to do with some instructions. What it calls must be inlined to be compiled for them.
pub(super) trait On<L> {
    fn run(self, lanes: L);
}

/// Something to do with any instructions.
pub(super) trait Work {
    fn run<L: Lanes>(self, lanes: L);
}

impl<L: Lanes, W: Work> On<L> for W {
    #[inline(always)]
    fn run(self, lanes: L) {
        Work::run(self, lanes);
    }
}

/// Loops that any processor runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Portable;

#[inline(always)]
fn each(f: impl Fn(usize) -> i32) -> Line {
    let mut line = Line::ZERO;
    for (lane, x) in line.0.iter_mut().enumerate() {
        *x = f(lane);
    }
    line
}

/// The compiler makes one instruction of it.
#[inline(always)]
fn products([a, b]: [i16; 2], [v, w]: [i16; 2]) -> i32 {
    i32::from(a) * i32::from(v) + i32::from(b) * i32::from(w)
}

impl Lanes for Portable {
    type Ints = Line;
    type Words = [i16; 2];
    type Weights = Weights;
    type Input = i16;
    type Word = [i16; 2];

    const DEPTH: usize = 2;
    const SUMS: usize = 1;

    #[inline(always)]
    fn run<W: On<Self>>(self, work: W) {
        work.run(self);
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
    fn load(self, line: &Line) -> Line {
        *line
    }

    #[inline(always)]
    fn store(self, ints: Line) -> Line {
        ints
    }

    #[inline(always)]
    fn splat(self, x: i32) -> Line {
        Line([x; LANES])
    }

    #[inline(always)]
    fn widen(self, elements: &[i8; LANES]) -> Line {
        each(|lane| i32::from(elements[lane]))
    }

    #[inline(always)]
    fn narrow(self, ints: Line) -> [i8; LANES] {
        ints.0.map(|x| x as i8)
    }

    #[inline(always)]
    fn splat_word(self, word: [i16; 2]) -> [i16; 2] {
        word
    }

    #[inline(always)]
    fn load_weights(self, weights: &Weights) -> Weights {
        *weights
    }

    #[inline(always)]
    fn dot(self, sums: Line, word: [i16; 2], weights: Weights) -> Line {
        each(|lane| sums.0[lane].wrapping_add(products(word, weights.0[lane])))
    }

    const PAIR_ORDER: [usize; LANES] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

    #[inline(always)]
    fn dot_pairs(self, sums: Line, [a, b]: [&[i16; LANES]; 2], weights: Weights) -> Line {
        each(|lane| {
            let products = products([a[lane], b[lane]], weights.0[lane]);
            sums.0[lane].wrapping_add(products)
        })
    }

    #[inline(always)]
    fn in_order(self, sums: Line) -> Line {
        sums
    }

    #[inline(always)]
    fn add(self, a: Line, b: Line) -> Line {
        each(|lane| a.0[lane].wrapping_add(b.0[lane]))
    }

    #[inline(always)]
    fn sub(self, a: Line, b: Line) -> Line {
        each(|lane| a.0[lane].wrapping_sub(b.0[lane]))
    }

    #[inline(always)]
    fn mul(self, a: Line, b: Line) -> Line {
        each(|lane| a.0[lane].wrapping_mul(b.0[lane]))
    }

    #[inline(always)]
    fn shift_left(self, ints: Line, by: u32) -> Line {
        each(|lane| ints.0[lane].wrapping_shl(by))
    }

    #[inline(always)]
    fn clamp(self, ints: Line, clamp: Clamp) -> Line {
        each(|lane| clamp.apply(ints.0[lane]))
    }

    #[inline(always)]
    fn rescale(self, ints: Line, scale: &Scale) -> Line {
        each(|lane| scale.multiplier(lane).apply(ints.0[lane]))
    }
}
