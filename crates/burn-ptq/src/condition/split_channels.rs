//! Outlier channel splitting.

use super::layer::{channel_axis, input_ranges, is_channel_by_channel, output_channels};
use super::readers::{Link, links};
use super::{ChannelRanges, Conditioning};
use crate::graph::ops::Weighted;
use crate::graph::{Array, Graph, Node, Op};

/// Halves the largest weights of a layer by feeding it their input channel twice.
///
/// `w x = (w / 2) x + (w / 2) x`: the input channel with the largest `|W|` is duplicated, and its
/// weights are halved in both copies, `ceil(expand * C)` times per layer (Zhao et al., Improving
/// Neural Network Quantization without Retraining using Outlier Channel Splitting). The range of
/// the layer's weights falls, at the price of more weights and a wider value before it. The halves
/// are the naive ones, which round to the same integer; the paper's `w / 2 - 1/4` and `w / 2 + 1/4`
/// in steps of the grid would change the float weights.
///
/// The layer before writes the channel twice; where that is a depthwise layer, the one before it too.
/// A layer is left alone if it is depthwise or grouped, or if something else reads one of these
/// values.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SplitChannels {
    /// How many splits a layer gets, as a share of its input channels, rounded up; 0 to 1.
    pub expand: f32,
}

impl Default for SplitChannels {
    fn default() -> Self {
        Self { expand: 0.02 }
    }
}

impl Conditioning for SplitChannels {
    fn condition(&self, graph: &mut Graph, _ranges: Option<&ChannelRanges>) -> usize {
        // A movement has the shapes that it was made for.
        let links = links(graph, &|node| !matches!(node.op, Op::Rearrange(_)));
        let mut rewrites = 0;
        for consumer in 0..graph.nodes.len() {
            let Some(path) = path(graph, &links, consumer) else { continue };
            // The nearest f32 may lie above the decimal: 0.1 of 10 channels is one split.
            let share = f64::from(self.expand.clamp(0.0, 1.0)) * (1.0 - f64::from(f32::EPSILON));
            let splits = (share * path[0].channels as f64).ceil() as usize;
            rewrites += (0..splits).filter(|_| split(graph, &path, consumer)).count();
        }
        rewrites
    }
}

/// The links from `consumer` back to the layer that can give it a channel twice, which is the first
/// one that mixes channels.
fn path<'a>(graph: &Graph, links: &'a [Link], consumer: usize) -> Option<Vec<&'a Link>> {
    let mixes = |op: &Op| match op.weighted() {
        Some(Weighted::Conv2d(conv)) => conv.groups == 1,
        Some(Weighted::Linear(_)) => true,
        Some(Weighted::ChannelAffine(_)) | None => false,
    };
    if !mixes(&graph.nodes[consumer].op) {
        return None;
    }
    let mut path: Vec<&Link> = Vec::new();
    loop {
        let layer = path.last().map_or(consumer, |link| link.producer);
        let link = links.iter().find(|link| link.consumer == layer)?;
        if path.last().is_some_and(|next| next.channels != link.channels) {
            return None;
        }
        path.push(link);
        let producer = &graph.nodes[link.producer].op;
        if mixes(producer) {
            return Some(path);
        }
        if !is_channel_by_channel(producer) {
            return None;
        }
    }
}

/// Splits the input channel of `consumer` with the largest weights, unless all are zero.
fn split(graph: &mut Graph, path: &[&Link], consumer: usize) -> bool {
    let channels = output_channels(&graph.nodes[path[0].producer].op);
    let ranges = input_ranges(&graph.nodes[consumer].op, channels);
    let mut channel = 0;
    for (c, range) in ranges.iter().enumerate() {
        if *range > ranges[channel] {
            channel = c;
        }
    }
    if ranges[channel] == 0.0 {
        return false;
    }
    for link in path {
        let Some(axis) = channel_axis(&graph.nodes[link.producer].op) else { continue };
        duplicate_output(&mut graph.nodes[link.producer], channel);
        for &index in [&link.producer].into_iter().chain(&link.between) {
            let shape = &mut graph.values[graph.nodes[index].output.0].shape;
            shape[axis] += shape[axis] / channels;
            if let Op::Reshape(reshape) = &mut graph.nodes[index].op {
                reshape.shape.clone_from(shape);
            }
        }
    }
    split_input(&mut graph.nodes[consumer].op, channel, channels);
    true
}

/// Appends a copy of an output channel; a depthwise layer reads a copy of its input channel for it.
fn duplicate_output(node: &mut Node, channel: usize) {
    if let Op::Conv2d(conv) = &mut node.op
        && conv.is_depthwise()
    {
        conv.groups += 1;
    }
    if let Some((weight, bias)) = node.op.weight_and_bias_mut() {
        for array in [weight, bias] {
            let len = array.len() / array.shape[0];
            array.data.extend_from_within(channel * len..(channel + 1) * len);
            array.shape[0] += 1;
        }
    }
    if let Some(s) = &mut node.batch_norm {
        for numbers in [&mut s.gamma, &mut s.beta, &mut s.mean, &mut s.variance] {
            numbers.push(numbers[channel]);
        }
    }
}

/// Halves the weights of one of `channels` equal runs of inputs, and appends them once more.
fn split_input(op: &mut Op, channel: usize, channels: usize) {
    let Some((weight, _)) = op.weight_and_bias_mut() else { return };
    let mut shape = weight.shape.clone();
    shape[1] += shape[1] / channels;
    let mut data = Vec::with_capacity(shape.iter().product());
    for row in weight.rows() {
        let run = row.len() / channels;
        let halves = row[channel * run..][..run].iter().map(|w| w / 2.0);
        data.extend_from_slice(&row[..channel * run]);
        data.extend(halves.clone());
        data.extend_from_slice(&row[(channel + 1) * run..]);
        data.extend(halves);
    }
    *weight = Array::new(shape, data);
}
