// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! The storage types of activations.

use core::ops::AddAssign;

use crate::multiplier::Multiplier;

mod sealed {
    pub trait Sealed {}
    impl Sealed for i8 {}
    impl Sealed for i16 {}
    impl Sealed for [i8; 2] {}
}

/// An element of an activation: `i8` with 32-bit accumulators and double rounding, or `i16` with
/// 64-bit accumulators and single rounding.
///
/// `[i8; 2]` is an `i16` in bytes, low byte first, so that a program's one arena of bytes can hold
/// both without a cast.
pub trait Storage: sealed::Sealed + Copy {
    /// The accumulator of a weighted operation.
    type Accumulator: Copy + From<i32> + AddAssign;

    /// Whether this is the 16-bit type.
    const WIDE: bool;

    /// The element as an integer.
    fn integer(self) -> i32;

    /// The element for an integer that lies in the type's range.
    fn from_integer(x: i32) -> Self;

    /// Adds with wrap-around; the verifier has bounded the sum.
    fn accumulate(sum: Self::Accumulator, x: i32) -> Self::Accumulator;

    /// Applies a multiplier to an accumulator.
    fn rescale(multiplier: Multiplier, sum: Self::Accumulator) -> i32;
}

impl Storage for i8 {
    type Accumulator = i32;
    const WIDE: bool = false;

    #[inline(always)]
    fn integer(self) -> i32 {
        i32::from(self)
    }

    #[inline(always)]
    fn from_integer(x: i32) -> Self {
        x as i8
    }

    #[inline(always)]
    fn accumulate(sum: i32, x: i32) -> i32 {
        sum.wrapping_add(x)
    }

    #[inline(always)]
    fn rescale(multiplier: Multiplier, sum: i32) -> i32 {
        multiplier.apply(sum)
    }
}

impl Storage for i16 {
    type Accumulator = i64;
    const WIDE: bool = true;

    #[inline(always)]
    fn integer(self) -> i32 {
        i32::from(self)
    }

    #[inline(always)]
    fn from_integer(x: i32) -> Self {
        x as i16
    }

    #[inline(always)]
    fn accumulate(sum: i64, x: i32) -> i64 {
        sum.wrapping_add(i64::from(x))
    }

    #[inline(always)]
    fn rescale(multiplier: Multiplier, sum: i64) -> i32 {
        multiplier.apply_wide(sum)
    }
}

impl Storage for [i8; 2] {
    type Accumulator = i64;
    const WIDE: bool = true;

    #[inline(always)]
    fn integer(self) -> i32 {
        i32::from(i16::from_le_bytes(self.map(|byte| byte as u8)))
    }

    #[inline(always)]
    fn from_integer(x: i32) -> Self {
        (x as i16).to_le_bytes().map(|byte| byte as i8)
    }

    #[inline(always)]
    fn accumulate(sum: i64, x: i32) -> i64 {
        sum.wrapping_add(i64::from(x))
    }

    #[inline(always)]
    fn rescale(multiplier: Multiplier, sum: i64) -> i32 {
        multiplier.apply_wide(sum)
    }
}
