//! A layer's weights by output channel and by input channel.

use crate::graph::ops::Weighted;
use crate::graph::{Node, Op};

/// The axis of a sample that the input and output channels of a layer with weights lie along.
pub(super) fn channel_axis(op: &Op) -> Option<usize> {
    op.weighted().map(Weighted::channel_axis)
}

/// How many output channels a layer has; 0 if it has no weights.
pub(super) fn output_channels(op: &Op) -> usize {
    op.weight_and_bias().map_or(0, |(weight, _)| weight.shape[0])
}

/// Whether output channel `i` of a layer depends on its input channel `i` alone.
pub(super) fn is_channel_by_channel(op: &Op) -> bool {
    match op.weighted() {
        Some(Weighted::Conv2d(conv)) => conv.is_depthwise() && conv.weight.shape[0] == conv.groups,
        Some(Weighted::ChannelAffine(_)) => true,
        Some(Weighted::Linear(_)) | None => false,
    }
}

/// The input channels that a layer's weights are multiplied with, in blocks of equal length.
pub(super) struct InputBlocks {
    /// Neighbouring weights that share an input channel.
    pub len: usize,
    /// The input channel of each block.
    pub channels: Vec<usize>,
}

/// The blocks of a layer whose input axis holds `channels` runs of equal length, one a channel: where
/// a flatten stands before a linear layer, a channel is a run of features.
pub(super) fn input_blocks(op: &Op, channels: usize) -> InputBlocks {
    let (len, inputs, of): (usize, usize, Vec<usize>) = match op.weighted() {
        Some(Weighted::Conv2d(conv)) => {
            let shape = &conv.weight.shape;
            let (out, per_group) = (shape[0], shape[1]);
            let rows_per_group = out / conv.groups;
            let input = |b: usize| b / per_group / rows_per_group * per_group + b % per_group;
            (
                shape[2] * shape[3],
                per_group * conv.groups,
                (0..out * per_group).map(input).collect(),
            )
        }
        Some(Weighted::Linear(linear)) => {
            let features = linear.weight.shape[1];
            (1, features, (0..linear.weight.len()).map(|b| b % features).collect())
        }
        Some(Weighted::ChannelAffine(affine)) => {
            (1, affine.scale.len(), (0..affine.scale.len()).collect())
        }
        None => (1, channels, Vec::new()),
    };
    let run = inputs / channels;
    InputBlocks { len, channels: of.into_iter().map(|c| c / run).collect() }
}

/// The largest magnitude among the weights of each output channel.
pub(super) fn output_ranges(op: &Op) -> Vec<f64> {
    let Some((weight, _)) = op.weight_and_bias() else { return Vec::new() };
    weight.rows().map(largest).collect()
}

/// The largest magnitude among the weights that each of `channels` input channels is multiplied with.
pub(super) fn input_ranges(op: &Op, channels: usize) -> Vec<f64> {
    let mut ranges = vec![0.0; channels];
    if let Some((weight, _)) = op.weight_and_bias() {
        let blocks = input_blocks(op, channels);
        for (&c, weights) in blocks.channels.iter().zip(weight.data.chunks(blocks.len)) {
            ranges[c] = largest(weights).max(ranges[c]);
        }
    }
    ranges
}

fn largest(weights: &[f32]) -> f64 {
    weights.iter().fold(0.0, |m, w| f64::from(w.abs()).max(m))
}

/// Divides each output channel of a layer by its factor: weights, bias, and the statistics of the
/// output that its batch normalization left.
pub(super) fn divide_outputs(node: &mut Node, factors: &[f64]) {
    let divide = |x: &mut f32, factor: f64| *x = (f64::from(*x) / factor) as f32;
    if let Some((weight, bias)) = node.op.weight_and_bias_mut() {
        for ((row, bias), &factor) in weight.rows_mut().zip(&mut bias.data).zip(factors) {
            row.iter_mut().for_each(|w| divide(w, factor));
            divide(bias, factor);
        }
    }
    if let Some(statistics) = &mut node.batch_norm {
        for numbers in [&mut statistics.gamma, &mut statistics.beta] {
            numbers.iter_mut().zip(factors).for_each(|(x, &factor)| divide(x, factor));
        }
    }
}

/// Multiplies the weights of each input channel with the channel's factor.
pub(super) fn multiply_inputs(op: &mut Op, factors: &[f64]) {
    let blocks = input_blocks(op, factors.len());
    let Some((weight, _)) = op.weight_and_bias_mut() else { return };
    for (&c, weights) in blocks.channels.iter().zip(weight.data.chunks_mut(blocks.len)) {
        weights.iter_mut().for_each(|w| *w = (f64::from(*w) * factors[c]) as f32);
    }
}
