//! Ranges of integers.

use burn_ptq_kernels::params::Clamp;

use crate::program::IntTensor;

/// All integers from `min` to `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interval {
    pub min: i32,
    pub max: i32,
}

impl Interval {
    pub(super) const fn point(value: i32) -> Self {
        Self { min: value, max: value }
    }

    pub(super) const fn of(clamp: Clamp) -> Self {
        Self { min: clamp.min, max: clamp.max }
    }

    /// Whatever the bytes of a tensor may hold.
    ///
    /// Not the grid's bounds: nothing hinders a caller from passing other integers, and outputs stay
    /// the same for them too.
    pub(super) const fn stored(tensor: &IntTensor) -> Self {
        let half = 1 << (tensor.dtype.bits() - 1);
        Self { min: -half, max: half - 1 }
    }

    /// The only value, if there is one.
    pub(super) fn constant(self) -> Option<i32> {
        (self.min == self.max).then_some(self.min)
    }

    /// The smallest interval that holds both.
    pub(super) fn hull(self, other: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
    }

    pub(super) fn clamped(self, clamp: Clamp) -> Self {
        Self { min: clamp.apply(self.min), max: clamp.apply(self.max) }
    }

    pub(super) fn lies_in(self, other: Self) -> bool {
        other.min <= self.min && self.max <= other.max
    }

    /// The value of the interval that is closest to `value`.
    pub(super) fn nearest(self, value: i32) -> i32 {
        Clamp { min: self.min, max: self.max }.apply(value)
    }
}

/// The smallest interval that holds all; `None` of nothing.
pub(super) fn hull(intervals: &[Interval]) -> Option<Interval> {
    intervals.iter().copied().reduce(Interval::hull)
}

/// Calls for elements of a type what is generic over [`Storage`](burn_ptq_kernels::reference::Storage).
macro_rules! of_type {
    ($dtype:expr, $storage:ident => $body:expr) => {
        match $dtype {
            DType::I16 => {
                type $storage = i16;
                $body
            }
            DType::I8 | DType::I4 => {
                type $storage = i8;
                $body
            }
        }
    };
}
pub(super) use of_type;
