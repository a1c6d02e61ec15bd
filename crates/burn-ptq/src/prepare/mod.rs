//! Passes that prepare a float graph for quantization without changing what it computes.
//!
//! To add one: a file with a function `fn(&mut Graph) -> usize` (how many rewrites it made), and a
//! line in [`PASSES`].

mod fold_affine_after;
mod fold_affine_before;
mod fold_factor;
mod fold_normalize;
mod fuse_activation;
mod fuse_clip;
mod given;
mod merge_affine;
mod remove_dead;
mod storage;

pub(crate) use storage::insert_requantize;

use crate::graph::ops::{BatchNormStatistics, ChannelAffine};
use crate::graph::{Graph, GraphError, Op};

/// A rewrite of the graph that keeps its output.
#[derive(Clone, Copy)]
pub(crate) struct Pass {
    /// The name in logs.
    pub name: &'static str,
    /// Rewrites the graph and counts the rewrites.
    pub run: fn(&mut Graph) -> usize,
}

/// The passes, in the order in which they run; the list is repeated until nothing changes.
pub(crate) const PASSES: &[Pass] = &[
    // First: others fold factors of the pieces into the layers around.
    Pass { name: "fuse-activation", run: fuse_activation::run },
    Pass { name: "merge-affine", run: merge_affine::run },
    Pass { name: "fold-affine-after", run: fold_affine_after::run },
    Pass { name: "fold-affine-before", run: fold_affine_before::run },
    Pass { name: "fold-factor", run: fold_factor::run },
    Pass { name: "fold-normalize", run: fold_normalize::run },
    Pass { name: "fuse-clip", run: fuse_clip::run },
    Pass { name: "remove-dead", run: remove_dead::run },
];

/// Runs all passes until none changes the graph, settles the grids that a file gives, and verifies it.
///
/// # Errors
/// If a pass left the graph invalid.
pub fn prepare(mut graph: Graph) -> Result<Graph, GraphError> {
    loop {
        let mut rewrites = 0;
        for pass in PASSES {
            let count = (pass.run)(&mut graph);
            tracing::debug!(pass = pass.name, count, "ran a pass");
            graph.verify()?;
            rewrites += count;
        }
        if rewrites == 0 {
            given::settle(&mut graph);
            graph.verify()?;
            return Ok(graph);
        }
    }
}

impl Graph {
    /// The only node that reads the output of `node`, if that output is read once and is none of the
    /// graph's.
    fn sole_consumer(&self, node: usize) -> Option<usize> {
        let output = self.nodes[node].output;
        let reads: usize =
            (self.nodes.iter()).map(|n| n.inputs.iter().filter(|&&v| v == output).count()).sum();
        if reads != 1 || self.is_output(output) {
            return None;
        }
        let follower = self.nodes.iter().position(|n| n.inputs.contains(&output))?;
        // Where a file says the grid of a value, it is rounded to that.
        let given = self.value(output).given;
        let keeps = given.is_none() || self.value(self.nodes[follower].output).given == given;
        keeps.then_some(follower)
    }

    /// Lets `node` write what `follower`, its only consumer, wrote, and removes the follower.
    ///
    /// The statistics of the batch normalization stay those of the output: the last normalization's,
    /// mapped by an affine map after it.
    fn absorb(&mut self, node: usize, follower: usize) {
        // The value must still be written before it is read: nothing between the two reads it.
        let follower = self.nodes.remove(follower);
        let node = &mut self.nodes[node];
        node.output = follower.output;
        match (follower.batch_norm, &follower.op, &mut node.batch_norm) {
            (Some(statistics), ..) => node.batch_norm = Some(statistics),
            (None, Op::ChannelAffine(affine), Some(statistics)) => statistics.map(affine),
            _ => {}
        }
    }
}

impl BatchNormStatistics {
    /// Applies an affine map to the normalization's output.
    fn map(&mut self, affine: &ChannelAffine) {
        for c in 0..self.gamma.len() {
            self.gamma[c] *= affine.scale.data[c];
            self.beta[c] = self.beta[c] * affine.scale.data[c] + affine.shift.data[c];
        }
    }
}

#[cfg(test)]
mod tests;
