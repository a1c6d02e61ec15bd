// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Sum, product and change of grid of 8-bit elements, and elements of real values.

use super::lanes::{LANES, Lanes, Scale, Work};
use super::{Instructions, write};
use crate::grid::Grid;
use crate::multiplier::Multiplier;
use crate::params::{AddParams, Clamp};
use crate::rows::{rows, rows_mut};

/// See [`reference::add`](crate::reference::add).
pub fn add(
    instructions: Instructions,
    params: &AddParams,
    zero_points: [i32; 3],
    clamp: Clamp,
    a: &[i8],
    b: &[i8],
    output: &mut [i8],
) {
    let left_shift = params.left_shift;
    let [first, second] = [params.a, params.b].map(|own| Shifted::new(own, left_shift));
    let sum = Scale::all(params.output);
    let function = Sum { left_shift, first, second, sum, zero_points, clamp };
    instructions.run(Pairs { function, a, b, output });
}

/// See [`reference::mul`](crate::reference::mul).
pub fn mul(
    instructions: Instructions,
    multiplier: Multiplier,
    zero_points: [i32; 3],
    clamp: Clamp,
    a: &[i8],
    b: &[i8],
    output: &mut [i8],
) {
    let function = Product { scale: Scale::all(multiplier), zero_points, clamp };
    instructions.run(Pairs { function, a, b, output });
}

/// See [`reference::requantize`](crate::reference::requantize).
pub fn requantize(
    instructions: Instructions,
    multiplier: Multiplier,
    zero_points: [i32; 2],
    clamp: Clamp,
    input: &[i8],
    output: &mut [i8],
) {
    let function = Moved { scale: Scale::all(multiplier), zero_points, clamp };
    instructions.run(Pairs { function, a: input, b: &[0], output });
}

/// [`Grid::quantize`] of every value, on a grid of 8 bits.
pub fn quantize(instructions: Instructions, grid: Grid, values: &[f32], output: &mut [i8]) {
    instructions.run(Quantize { grid, values, output });
}

struct Quantize<'a> {
    grid: Grid,
    values: &'a [f32],
    output: &'a mut [i8],
}

impl Work for Quantize<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, _lanes: L) {
        for (output, &x) in self.output.iter_mut().zip(self.values) {
            *output = self.grid.quantize(x) as i8;
        }
    }
}

/// What is made of two elements.
trait Function {
    fn apply<L: Lanes>(&self, lanes: L, a: L::Ints, b: L::Ints) -> L::Ints;
}

struct Sum {
    left_shift: u32,
    first: Shifted,
    second: Shifted,
    sum: Scale,
    zero_points: [i32; 3],
    clamp: Clamp,
}

/// A multiplier of integers that are shifted to the left before.
struct Shifted {
    scale: Scale,
    /// It is 1/2, as that of the input with the larger scale, and the shift less than 21 bits, which keeps all bits
    /// of differences of 8-bit elements: then this is a shift by one less.
    half: bool,
}

impl Shifted {
    fn new(multiplier: Multiplier, left_shift: u32) -> Self {
        let half = multiplier == Multiplier { quantized: 1 << 30, exponent: 0 };
        Self { scale: Scale::all(multiplier), half: half && (1..=20).contains(&left_shift) }
    }

    #[inline(always)]
    fn apply<L: Lanes>(&self, lanes: L, ints: L::Ints, left_shift: u32) -> L::Ints {
        match self.half {
            true => lanes.shift_left(ints, left_shift - 1),
            false => lanes.rescale(lanes.shift_left(ints, left_shift), &self.scale),
        }
    }
}

impl Function for Sum {
    #[inline(always)]
    fn apply<L: Lanes>(&self, lanes: L, a: L::Ints, b: L::Ints) -> L::Ints {
        let [x, y, z] = self.zero_points;
        let (x, y, z) = (lanes.splat(x), lanes.splat(y), lanes.splat(z));
        let a = self.first.apply(lanes, lanes.sub(a, x), self.left_shift);
        let b = self.second.apply(lanes, lanes.sub(b, y), self.left_shift);
        let sum = lanes.add(a, b);
        lanes.clamp(lanes.add(lanes.rescale(sum, &self.sum), z), self.clamp)
    }
}

struct Product {
    scale: Scale,
    zero_points: [i32; 3],
    clamp: Clamp,
}

impl Function for Product {
    #[inline(always)]
    fn apply<L: Lanes>(&self, lanes: L, a: L::Ints, b: L::Ints) -> L::Ints {
        let [x, y, z] = self.zero_points;
        let (x, y, z) = (lanes.splat(x), lanes.splat(y), lanes.splat(z));
        let product = lanes.mul(lanes.sub(a, x), lanes.sub(b, y));
        lanes.clamp(lanes.add(lanes.rescale(product, &self.scale), z), self.clamp)
    }
}

struct Moved {
    scale: Scale,
    zero_points: [i32; 2],
    clamp: Clamp,
}

impl Function for Moved {
    #[inline(always)]
    fn apply<L: Lanes>(&self, lanes: L, a: L::Ints, _b: L::Ints) -> L::Ints {
        let [x, y] = self.zero_points;
        let (x, y) = (lanes.splat(x), lanes.splat(y));
        lanes.clamp(lanes.add(lanes.rescale(lanes.sub(a, x), &self.scale), y), self.clamp)
    }
}

/// Elements of `a` with those of `b`, which repeats where it is shorter.
struct Pairs<'a, F> {
    function: F,
    a: &'a [i8],
    b: &'a [i8],
    output: &'a mut [i8],
}

impl<F: Function> Work for Pairs<'_, F> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { function, a, b, output } = self;
        if let [b] = *b {
            let b = [b; LANES];
            for (output, a) in output.chunks_mut(LANES).zip(a.chunks(LANES)) {
                line(lanes, &function, a, &b, output);
            }
            return;
        }
        for (output, a) in rows_mut(output, b.len()).zip(rows(a, b.len())) {
            let inputs = a.chunks(LANES).zip(b.chunks(LANES));
            for (output, (a, b)) in output.chunks_mut(LANES).zip(inputs) {
                line(lanes, &function, a, b, output);
            }
        }
    }
}

/// At most a line.
#[inline(always)]
fn line<L: Lanes>(lanes: L, function: &impl Function, a: &[i8], b: &[i8], output: &mut [i8]) {
    let [a, b] = [lanes.widen(&whole(a)), lanes.widen(&whole(b))];
    write(lanes, function.apply(lanes, a, b), output);
}

/// Elements, and zeros up to a line.
#[inline(always)]
fn whole(elements: &[i8]) -> [i8; LANES] {
    match elements.first_chunk() {
        Some(line) => *line,
        None => {
            let mut line = [0; LANES];
            line[..elements.len()].copy_from_slice(elements);
            line
        }
    }
}
