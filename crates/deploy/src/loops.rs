//! Nodes that run once for each step of a sequence.
//!
//! A loop is a range of nodes that a call runs several times, one after the other. Its nodes read what was
//! written before the loop, what nodes before them have written in the same step, and what the step before has
//! left: [`Carried`] activations. [`IntOp::Step`](crate::op::IntOp::Step) takes the part of a step out of a
//! sequence, and puts it into one.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::program::{Program, TensorId};

/// The most steps that a loop may have.
pub const MAX_LOOP_STEPS: usize = 1 << 16;

/// Consecutive nodes that run once for each step of a sequence.
///
/// What one of them writes, later nodes find as the last step wrote it; what is put, they find of all steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loop {
    /// Index of the first node.
    pub first: usize,
    /// The number of nodes.
    pub count: usize,
    /// How often they run, from 1 to [`MAX_LOOP_STEPS`].
    pub steps: usize,
    /// What a step leaves for the next one.
    pub carried: Vec<Carried>,
}

/// What a step finds as the step before it left it.
///
/// Both activations have the same shape and grid. A node before the loop writes the first, which the first
/// step finds so; only steps change it, and nothing reads it after the loop. A node of the loop writes
/// the second, which after the loop is what the last step left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// The activation that a step finds.
    pub held: TensorId,
    /// The activation that it leaves for the next step.
    pub next: TensorId,
}

impl Loop {
    /// Index of the last node.
    pub fn last(&self) -> usize {
        self.first.saturating_add(self.count.saturating_sub(1))
    }

    /// The nodes.
    pub fn nodes(&self) -> Range<usize> {
        self.first..self.first.saturating_add(self.count)
    }
}

impl Program {
    /// The loop that the node at an index belongs to.
    pub fn loop_of(&self, node: usize) -> Option<&Loop> {
        // They are in the order of execution.
        let after = self.loops.partition_point(|other| other.first <= node);
        let last = after.checked_sub(1)?;
        self.loops.get(last).filter(|own| own.nodes().contains(&node))
    }

    /// How often a call runs the node at an index: the steps of its loop, or once.
    pub fn runs(&self, node: usize) -> usize {
        self.loop_of(node).map_or(1, |own| own.steps)
    }

    /// What the steps of all loops carry.
    pub fn carried(&self) -> impl Iterator<Item = &Carried> {
        self.loops.iter().flat_map(|own| &own.carried)
    }
}
