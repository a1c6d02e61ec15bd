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

    /// The place in the input of each element of the output of a movement from `first` along `axes`.
    pub(crate) fn places(first: usize, axes: &[Self]) -> Vec<usize> {
        let mut places = vec![first as isize];
        for axis in axes {
            let steps: Vec<isize> = match axis {
                MoveAxis::Even { count, step } => (0..*count as isize).map(|i| i * step).collect(),
                MoveAxis::Listed(listed) => listed.iter().map(|&place| place as isize).collect(),
            };
            places = (places.iter())
                .flat_map(|place| steps.iter().map(move |step| place + step))
                .collect();
        }
        places.into_iter().map(|place| place as usize).collect()
    }

    /// Axes that lead through `places` from the first one on; `None` if they go back to before it.
    pub(crate) fn through(places: &[usize]) -> Option<Vec<Self>> {
        let step = |i: usize| places[i] as isize - places[0] as isize;
        let mut axes = Vec::new();
        if places.len() == 1 {
            axes.push(MoveAxis::Even { count: 1, step: 0 });
        }
        let mut block = 1;
        while block < places.len() {
            let own = step(block);
            let continues =
                |&i: &usize| i * block < places.len() && step(i * block) == own * i as isize;
            let count = (1..).take_while(continues).count() + 1;
            axes.insert(0, MoveAxis::Even { count, step: own });
            block *= count;
        }
        if Self::places(places[0], &axes) == places {
            return Some(axes);
        }
        let listed: Option<Vec<u32>> =
            (0..places.len()).map(|i| u32::try_from(step(i)).ok()).collect();
        Some(vec![MoveAxis::Listed(listed?)])
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
