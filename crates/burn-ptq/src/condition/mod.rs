//! Pre-conditioning: rewrites of the prepared float graph that keep its output and make it easier to
//! quantize.
//!
//! They run on a graph whose batch normalizations are folded and whose activation functions are
//! fused, before its values are observed. To add one: a file with a struct that implements
//! [`Conditioning`], and a line in the list below.

mod absorb_bias;
mod channel_ranges;
mod equalize;
mod layer;
mod migrate;
mod readers;
mod split_channels;

pub use absorb_bias::AbsorbBias;
pub use channel_ranges::ChannelRanges;
pub use equalize::{Equalize, Relu6};
pub use migrate::Migrate;
pub use split_channels::SplitChannels;

use crate::graph::Graph;
use crate::recipe::choice::choices;

/// A rewrite of a prepared graph.
///
/// It is deterministic, leaves the graph valid, and keeps the index of every node and value.
pub trait Conditioning: Sync {
    /// Whether it reads channel ranges.
    fn needs_channel_ranges(&self) -> bool {
        false
    }

    /// Rewrites the graph and counts the rewrites.
    ///
    /// `ranges` were observed on `graph` as it is: another component's rewrites make them stale.
    ///
    /// # Panics
    /// If it needs channel ranges and is given none.
    fn condition(&self, graph: &mut Graph, ranges: Option<&ChannelRanges>) -> usize;
}

choices! {
    /// The pre-conditioning rewrites that a recipe can name.
    ConditioningChoice of Conditioning, a "conditioning" {
        "equalize" => Equalize: "cross-layer equalization of weight ranges",
        "absorb-bias" => AbsorbBias: "moves high biases into the next layer",
        "split-channels" => SplitChannels: "splits the input channels with the largest weights",
        "migrate" => Migrate: "moves activation ranges into weights (SmoothQuant)",
    }
}

#[cfg(test)]
mod tests;
