//! The axes of a movement: how [`IntOp::Rearrange`](crate::op::IntOp::Rearrange) walks over its input.

use burn_ptq_kernels::reference::{MAX_AXES, Steps};
use serde::{Deserialize, Serialize};

/// How an axis of the output of [`IntOp::Rearrange`](crate::op::IntOp::Rearrange) walks over the input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MoveAxis {
    /// `count` elements, each `step` places behind the one before it.
    Even {
        /// The extent of the axis.
        count: usize,
        /// Places from one element to the next; 0 repeats one, and negative ones go back.
        step: isize,
    },
    /// The elements at these places.
    Listed(Vec<u32>),
}

impl MoveAxis {
    /// The extent of the axis.
    pub const fn count(&self) -> usize {
        match self {
            MoveAxis::Even { count, .. } => *count,
            MoveAxis::Listed(places) => places.len(),
        }
    }

    /// The places listed; none where they follow from a step.
    pub fn listed(&self) -> &[u32] {
        match self {
            MoveAxis::Even { .. } => &[],
            MoveAxis::Listed(places) => places,
        }
    }

    /// The axis as kernels take it.
    pub fn steps(&self) -> Steps<'_> {
        match self {
            MoveAxis::Even { count, step } => Steps::Even { count: *count, step: *step },
            MoveAxis::Listed(places) => Steps::Listed(places),
        }
    }

    /// `axes` with axes of extent 1 in front, as many as kernels take.
    pub fn padded(axes: &[Self]) -> [Steps<'_>; MAX_AXES] {
        let mut steps = [Steps::ONE; MAX_AXES];
        for (steps, axis) in steps.iter_mut().rev().zip(axes.iter().rev()) {
            *steps = axis.steps();
        }
        steps
    }
}
