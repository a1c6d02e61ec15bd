//! Cross-layer equalization.

use super::layer::{
    divide_outputs, input_ranges, is_channel_by_channel, multiply_inputs, output_ranges,
};
use super::readers::{Link, is_homogeneous, links, scales};
use super::{ChannelRanges, Conditioning};
use crate::graph::{Clamp, Graph, Node, Op};

/// Gives the weights of neighbouring layers equal ranges, channel by channel.
///
/// With `r_k` the largest `|W_k|` of a channel in each of the layers that share it, and `m` their
/// geometric mean, layer `k` is multiplied with `m / r_k`. For a pair that is `s = sqrt(r1 / r2)`,
/// `W1 /= s`, `b1 /= s`, `W2 *= s`; a depthwise layer between two others shares the channel with both
/// (Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, section
/// 4.1). It rescues weights that are quantized per tensor; per-channel weights gain little.
///
/// Layers are neighbours if the second is the only reader of the first, and if between them stand only
/// operations that keep channels apart and commute with positive factors: ReLU, leaky ReLU, pools,
/// reshapes, zero pads. A channel that is zero in one of the layers keeps its weights, and one that
/// would need a factor beyond `limit` gets that.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Equalize {
    /// The maximum number of rounds over all layers; ranges of a layer change with those of its
    /// neighbors.
    pub iterations: usize,
    /// The largest factor that a channel is divided by or multiplied with; at least 1. The weights
    /// of a channel that training has disabled are nearly zero, and scaling them up would scale up
    /// the channel's bias without limit.
    pub limit: f32,
    /// What to do with a ReLU6, or another clip at a positive number, between two layers.
    pub relu6: Relu6,
}

/// What equalization does with a clip between 0 and a positive number, which does not commute with
/// factors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Relu6 {
    /// The clip stays, and the layers around it are not equalized.
    #[default]
    Keep,
    /// The clip becomes a ReLU. This changes the float network wherever the clip has an effect.
    Relu,
}

impl Default for Equalize {
    fn default() -> Self {
        Self { iterations: 40, limit: 10.0, relu6: Relu6::Keep }
    }
}

/// The mean distance of a round's factors from 1 at which nothing is left to equalize.
const TOLERANCE: f64 = 2e-7;

impl Conditioning for Equalize {
    fn condition(&self, graph: &mut Graph, _ranges: Option<&ChannelRanges>) -> usize {
        let accepts =
            |clamp| is_homogeneous(clamp) || (self.relu6 == Relu6::Relu && is_relu6(clamp));
        let rows = rows(graph, links(graph, &|node| scales(node, accepts)));
        for link in rows.iter().flatten() {
            for &index in link.between.iter().chain([&link.producer]) {
                unclip(&mut graph.nodes[index]);
            }
        }
        let limit = f64::from(self.limit.max(1.0));
        let mut totals: Vec<Factors> = rows.iter().map(|row| ones(row)).collect();
        for _ in 0..self.iterations {
            let (mut change, mut count) = (0.0, 0);
            for (row, totals) in rows.iter().zip(&mut totals) {
                for factor in equalize(graph, row, totals, limit).into_iter().flatten() {
                    change += (factor - 1.0).abs();
                    count += 1;
                }
            }
            if change <= TOLERANCE * f64::from(count) {
                break;
            }
        }
        rows.len()
    }
}

/// One factor a channel for each link of a row.
type Factors = Vec<Vec<f64>>;

fn ones(row: &[Link]) -> Factors {
    row.iter().map(|link| vec![1.0; link.channels]).collect()
}

fn is_relu6(clamp: Clamp) -> bool {
    clamp.min == 0.0 && clamp.max > 0.0
}

/// Removes the upper bound of a clip that does not commute.
fn unclip(node: &mut Node) {
    let clip = match &mut node.op {
        Op::Clip(clip) => Some(&mut clip.bounds),
        _ => None,
    };
    for bounds in clip.into_iter().chain(&mut node.clamp) {
        if is_relu6(*bounds) {
            *bounds = Clamp::RELU;
        }
    }
}

/// Joins links where the layer in the middle keeps channels apart, so that a channel is equalized over
/// all layers that share it; every link is in one row.
fn rows(graph: &Graph, links: Vec<Link>) -> Vec<Vec<Link>> {
    let mut rows: Vec<Vec<Link>> = Vec::new();
    for link in links {
        let middle = is_channel_by_channel(&graph.nodes[link.producer].op);
        // A verified graph is in order: the link into a producer comes before the link out of it.
        let row = rows.iter_mut().find(|row| {
            let last = &row[row.len() - 1];
            middle && last.consumer == link.producer && last.channels == link.channels
        });
        match row {
            Some(row) => row.push(link),
            None => rows.push(vec![link]),
        }
    }
    rows
}

/// Equalizes the layers of a row once, and returns the factors. `totals` are those of all rounds so
/// far, which stay within `limit`.
fn equalize(graph: &mut Graph, row: &[Link], totals: &mut Factors, limit: f64) -> Factors {
    let mut ranges: Vec<Vec<f64>> =
        row.iter().map(|link| output_ranges(&graph.nodes[link.producer].op)).collect();
    let last = &row[row.len() - 1];
    ranges.push(input_ranges(&graph.nodes[last.consumer].op, last.channels));
    let mut factors = ones(row);
    for channel in 0..last.channels {
        let of_layers = || ranges.iter().map(|layer| layer[channel]);
        let mean = (of_layers().map(f64::ln).sum::<f64>() / ranges.len() as f64).exp();
        // A range of 0 makes the mean 0; one that is not a number makes it undefined.
        if mean > 0.0 && mean.is_finite() {
            let mut wanted = 1.0;
            for (range, (factors, totals)) in of_layers().zip(factors.iter_mut().zip(&mut *totals))
            {
                wanted *= range / mean;
                let total = (totals[channel] * wanted).clamp(1.0 / limit, limit);
                factors[channel] = total / totals[channel];
                totals[channel] = total;
            }
        }
    }
    for (link, factors) in row.iter().zip(&factors) {
        divide_outputs(&mut graph.nodes[link.producer], factors);
        multiply_inputs(&mut graph.nodes[link.consumer].op, factors);
    }
    factors
}
