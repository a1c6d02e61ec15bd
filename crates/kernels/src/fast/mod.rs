// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! The operations for speed, on hosts; every function gives the bits of its twin in
//! [`reference`](mod@crate::reference), with every set of instructions.
//!
//! Sixteen channels, or elements, are worked on together. The operations are written once, on the trait `Lanes`;
//! [`Instructions`] picks what implements it: plain loops for any processor, or instructions that the processor
//! has. Only `x86` knows instructions. Weights come in lines of sixteen channels and inputs with their padding, so
//! that the inner loops neither unpack nor branch: `prepare_conv2d` and `prepare_depthwise_conv2d` bring them in
//! this order once. Layers with 16-bit inputs and transposed convolutions take weights widened to `i16`, and the
//! compiler forms the instructions.

mod depthwise;
mod elementwise;
mod image;
mod lanes;
mod matrix;
mod pool;
mod wide;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use depthwise::{
    depthwise_conv2d, depthwise_conv2d_lines, depthwise_conv2d_scratch, prepare_depthwise_conv2d,
};
pub use elementwise::{add, mul, quantize, requantize};
pub use lanes::{Channels, LANES, Weights};
pub use matrix::{as_convolution, conv2d, conv2d_lines, conv2d_scratch, prepare_conv2d};
pub use pool::{average_pool, max_pool, pool_scratch};
pub use wide::{
    transpose_conv2d, transpose_conv2d_scratch, wide_conv2d, wide_conv2d_scratch,
    wide_fully_connected, wide_fully_connected_scratch,
};

use lanes::{Lanes, Portable, Work};

use crate::params::{Clamp, Requantize};
use crate::reference::Storage;

/// Instructions that this processor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instructions(Set);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    Portable(Portable),
    #[cfg(target_arch = "x86_64")]
    Avx2(x86::Avx2),
    #[cfg(target_arch = "x86_64")]
    Vnni(x86::Vnni),
}

impl Instructions {
    /// Those that every processor of the architecture has.
    pub const PORTABLE: Self = Self(Set::Portable(Portable));

    /// All sets that this processor has, the fastest first.
    pub fn available() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let own = [x86::Vnni::new().map(Set::Vnni), x86::Avx2::new().map(Set::Avx2)];
        #[cfg(not(target_arch = "x86_64"))]
        let own: [Option<Set>; 0] = [];
        own.into_iter().flatten().map(Self).chain([Self::PORTABLE])
    }

    /// The fastest.
    pub fn best() -> Self {
        Self::available().next().unwrap_or(Self::PORTABLE)
    }

    /// The name.
    pub const fn name(self) -> &'static str {
        match self.0 {
            Set::Portable(_) => "portable",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Set::Vnni(_) => "avx512-vnni",
        }
    }

    #[inline(always)]
    fn run(self, work: impl Work) {
        match self.0 {
            Set::Portable(lanes) => lanes.run(work),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(lanes) => lanes.run(work),
            #[cfg(target_arch = "x86_64")]
            Set::Vnni(lanes) => lanes.run(work),
        }
    }

    /// Inputs in a word of a sum of products.
    fn depth(self) -> usize {
        match self.0 {
            Set::Portable(_) => Portable::DEPTH,
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(_) => x86::Avx2::DEPTH,
            #[cfg(target_arch = "x86_64")]
            Set::Vnni(_) => x86::Vnni::DEPTH,
        }
    }

    /// Whether the words are of bytes.
    fn takes_bytes(self) -> bool {
        self.depth() == 4
    }
}

/// Zero points of inputs and outputs, and bounds of outputs.
#[derive(Clone, Copy, Debug)]
pub struct Points {
    /// Zero point of the input.
    pub input_zero_point: i32,
    /// Zero point of the output.
    pub output_zero_point: i32,
    /// Bounds of the output.
    pub clamp: Clamp,
}

impl From<&Requantize<'_>> for Points {
    fn from(requantize: &Requantize) -> Self {
        let Requantize { input_zero_point, output_zero_point, clamp, .. } = *requantize;
        Self { input_zero_point, output_zero_point, clamp }
    }
}

/// Working memory; what it holds does not matter.
#[derive(Debug)]
pub struct Scratch<'a> {
    /// Bytes.
    pub bytes: &'a mut [u8],
    /// 16-bit integers.
    pub halves: &'a mut [i16],
    /// 32-bit integers.
    pub sums: &'a mut [i32],
    /// Places.
    pub places: &'a mut [usize],
}

/// The lengths of [`Scratch`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScratchLen {
    /// Bytes.
    pub bytes: usize,
    /// 16-bit integers.
    pub halves: usize,
    /// 32-bit integers.
    pub sums: usize,
    /// Places.
    pub places: usize,
}

/// Makes outputs of the sums of `V` lines of channels, as many as `output` has.
#[inline(always)]
fn finish<L: Lanes, T: Storage, const V: usize>(
    lanes: L,
    sums: [L::Ints; V],
    channels: &[Channels],
    points: Points,
    output: &mut [T],
) {
    let zero_point = lanes.splat(points.output_zero_point);
    let mut rest = output;
    for v in 0..V {
        let scaled = lanes.rescale(sums[v], &channels[v].scale);
        let ints = lanes.clamp(lanes.add(scaled, zero_point), points.clamp);
        let (own, others) = rest.split_at_mut(rest.len().min(LANES));
        write(lanes, ints, own);
        rest = others;
    }
}

/// Writes the first elements of a line, as many as `output` has.
#[inline(always)]
fn write<L: Lanes, T: Storage>(lanes: L, ints: L::Ints, output: &mut [T]) {
    if T::WIDE {
        for (output, x) in output.iter_mut().zip(lanes.store(ints).0) {
            *output = T::from_integer(x);
        }
        return;
    }
    let narrow = lanes.narrow(ints);
    let mut elements = [T::from_integer(0); LANES];
    for (element, x) in elements.iter_mut().zip(narrow) {
        *element = T::from_integer(i32::from(x));
    }
    if let Some(output) = output.first_chunk_mut::<LANES>() {
        *output = elements;
        return;
    }
    // A copy of unknown length would be a call.
    let (halves, _) = elements.as_chunks::<{ LANES / 2 }>();
    for (output, half) in output.chunks_mut(LANES / 2).zip(halves) {
        match output.first_chunk_mut() {
            Some(output) => *output = *half,
            None => {
                for (output, &x) in output.iter_mut().zip(half) {
                    *output = x;
                }
            }
        }
    }
}
