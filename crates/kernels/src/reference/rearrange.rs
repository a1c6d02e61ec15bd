// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Any movement whose axes do not depend on each other: slices, gathers, repetitions, flips, and
//! permutations of many axes.
//!
//! Output element `(i, j, ..)`, of at most [`MAX_AXES`] axes, is input element
//! `first + axes[0].place(i) + axes[1].place(j) + ..`.

use crate::rows::rows_mut;

/// The most axes of a movement.
pub const MAX_AXES: usize = 6;

/// How an axis of the output walks over the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steps<'a> {
    /// `count` elements, each `step` places behind the one before it.
    Even {
        /// The extent of the axis.
        count: usize,
        /// Places from one element to the next; 0 repeats one.
        step: isize,
    },
    /// The elements at these places.
    Listed(&'a [u32]),
}

impl Steps<'_> {
    /// The axis of extent 1, which stands in for those that a movement lacks.
    pub const ONE: Self = Self::Even { count: 1, step: 0 };

    #[inline(always)]
    const fn count(self) -> usize {
        match self {
            Steps::Even { count, .. } => count,
            Steps::Listed(places) => places.len(),
        }
    }

    /// Where element `index` lies, from `start` on.
    #[inline(always)]
    fn place(self, start: usize, index: usize) -> usize {
        match self {
            Steps::Even { step, .. } => {
                start.wrapping_add_signed(step.wrapping_mul(index.cast_signed()))
            }
            Steps::Listed(places) => {
                start.wrapping_add(places.get(index).map_or(0, |&place| place as usize))
            }
        }
    }
}

/// Writes the output along `axes`, the last one fastest, from `first` on; missing axes in front are
/// [`Steps::ONE`].
pub fn rearrange<T: Copy>(
    first: usize,
    axes: &[Steps<'_>; MAX_AXES],
    input: &[T],
    output: &mut [T],
) {
    let &[a, b, c, d, e, last] = axes;
    let mut runs = rows_mut(output, last.count());
    for i in 0..a.count() {
        let start = a.place(first, i);
        for i in 0..b.count() {
            let start = b.place(start, i);
            for i in 0..c.count() {
                let start = c.place(start, i);
                for i in 0..d.count() {
                    let start = d.place(start, i);
                    for i in 0..e.count() {
                        let Some(output) = runs.next() else { return };
                        run(last, e.place(start, i), input, output);
                    }
                }
            }
        }
    }
}

/// Writes the elements along the last axis.
#[inline(always)]
fn run<T: Copy>(axis: Steps<'_>, start: usize, input: &[T], output: &mut [T]) {
    if let Steps::Even { step: 1, .. } = axis {
        // Neighbours in the input too.
        let neighbours = input.get(start..).unwrap_or_default();
        for (output, &x) in output.iter_mut().zip(neighbours) {
            *output = x;
        }
        return;
    }
    for (i, output) in output.iter_mut().enumerate() {
        if let Some(&x) = input.get(axis.place(start, i)) {
            *output = x;
        }
    }
}
