//! The same outputs with less: channels that can take only one value, or that nothing depends on, go.
//!
//! [`Program::simplified`] computes an interval for each channel of each activation that holds for
//! every input, and from it what can go exactly. The share of a constant channel moves into the biases
//! of its readers. A table that gives back all that it can meet is passed over, and bounds that cannot
//! act become those of the grid. What cannot go exactly stays:
//!
//! - what the caller fills and reads, with the bounds that it has;
//! - a constant other than the zero point where a window with padding reads it: its share is another at
//!   the border;
//! - channels that an operation reads as a whole (softmax, normalization, products of matrices, groups);
//! - as many others as make groups of four, by which kernels work.
//!
//! A channel that stays without need has weights of 0 and a small bias, whatever it had before: so
//! that accumulators of a fast kernel, which hold less than 32 bits, are as small as they can be.
//!
//! It happens between lowering and placing, once: interpreter, files, sizes and exports all see the
//! program that is left. Names of nodes stay.

mod analysis;
mod interval;
mod intervals;
mod layer;
mod links;
mod pass;
mod rewrite;
mod two_values;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::program::Program;
use crate::verify::{VerifyError, verify};

use analysis::Analysis;
use rewrite::{Kept, rewritten};

/// Repetitions after which a program counts as simple: each can only uncover what the one before it has
/// left over.
const MOST_ROUNDS: usize = 8;

/// What simplifying a program has saved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Simplification {
    /// Weights before.
    pub weights: usize,
    /// Weights that are left.
    pub kept_weights: usize,
    /// Multiply-accumulates before.
    pub macs: usize,
    /// Multiply-accumulates that are left.
    pub kept_macs: usize,
    /// The nodes whose outputs have fewer channels, in order.
    pub nodes: Vec<FewerChannels>,
    /// The nodes that are passed over, in order.
    pub dropped: Vec<String>,
    /// The nodes whose bounds could not act, in order.
    pub unbounded: Vec<String>,
}

/// A node whose output has fewer channels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FewerChannels {
    /// The node's name.
    pub node: String,
    /// Channels before.
    pub channels: usize,
    /// Channels that are left.
    pub kept: usize,
}

/// For example `207600 weights, 36564 kept`.
impl fmt::Display for Simplification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} weights, {} kept", self.weights, self.kept_weights)
    }
}

impl Program {
    /// The same program without what cannot change its outputs, and what that saves.
    ///
    /// Outputs are the same bytes for every input, also for one whose elements lie outside of the
    /// input's grid.
    ///
    /// # Errors
    /// If the program breaks an invariant of the [verifier](crate::verify).
    pub fn simplified(&self) -> Result<(Program, Simplification), VerifyError> {
        verify(self)?;
        let mut program = self.clone();
        let mut simplification = Simplification::default();
        for _ in 0..MOST_ROUNDS {
            let mut simpler = pass::pass_over(&program, &mut simplification.dropped);
            pass::unbound(&mut simpler, &mut simplification.unbounded);
            let analysis = Analysis::of(&simpler);
            let simpler = rewritten(&analysis, &Kept::of(&analysis));
            if simpler == program {
                break;
            }
            program = simpler;
        }
        verify(&program)?;
        simplification.compare(self, &program);
        Ok((program, simplification))
    }

    /// The number of weights.
    pub fn weights(&self) -> usize {
        let weighted = self.nodes.iter().filter_map(|node| node.op.weighted());
        weighted.map(|weighted| weighted.weights.len()).sum()
    }

    /// Multiply-accumulates of one inference.
    pub fn macs(&self) -> usize {
        let nodes = self.nodes.iter().enumerate();
        nodes.map(|(index, node)| node.op.macs() * self.runs(index)).sum()
    }
}

impl Simplification {
    /// Counts what `before` had and `after` has.
    fn compare(&mut self, before: &Program, after: &Program) {
        (self.weights, self.kept_weights) = (before.weights(), after.weights());
        (self.macs, self.kept_macs) = (before.macs(), after.macs());
        let mut left = after.nodes.iter().peekable();
        for node in &before.nodes {
            let Some(same) = left.next_if(|other| other.name == node.name) else { continue };
            let channels = before.tensors[node.output.0].shape[2];
            let kept = after.tensors[same.output.0].shape[2];
            if kept < channels {
                self.nodes.push(FewerChannels { node: node.name.clone(), channels, kept });
            }
        }
    }
}
