//! A channel-wise affine map (batch normalization) before a convolution or linear layer folds into
//! its weights: `W'[o, i] = W[o, i] * scale[i]`, `b'[o] = b[o] + sum_i W[o, i] * shift[i]`.
//!
//! Before a padded convolution this holds only without a shift: the padding is 0, not `shift`.

use crate::graph::ops::{ChannelAffine, Weighted};
use crate::graph::{Array, Graph, Op};

pub(super) fn run(graph: &mut Graph) -> usize {
    let mut rewrites = 0;
    let mut index = 0;
    while index < graph.nodes.len() {
        if fold(graph, index) {
            rewrites += 1;
        } else {
            index += 1;
        }
    }
    rewrites
}

fn fold(graph: &mut Graph, index: usize) -> bool {
    let Op::ChannelAffine(affine) = &graph.nodes[index].op else { return false };
    let Some(mut consumer) = graph.sole_consumer(index) else { return false };
    if graph.nodes[index].clamp.is_some() {
        return false;
    }
    // Through a flatten, each channel becomes a run of features.
    let channels = affine.scale.len();
    if let Op::Reshape(reshape) = &graph.nodes[consumer].op {
        match graph.sole_consumer(consumer) {
            Some(next) if reshape.shape.len() == 1 => consumer = next,
            _ => return false,
        }
    }
    let affine = affine.clone();
    // How many input channels a row of weights has, and how many rows have the same ones.
    let (blocks, rows_per_group) = match graph.nodes[consumer].op.weighted() {
        Some(Weighted::Conv2d(conv))
            if conv.window.is_unpadded() || affine.shift.data.iter().all(|&s| s == 0.0) =>
        {
            (conv.weight.shape[1], conv.weight.shape[0] / conv.groups)
        }
        Some(Weighted::Linear(linear))
            if linear.axis == 0 && linear.weight.shape[1] % channels == 0 =>
        {
            (channels, linear.weight.shape[0])
        }
        Some(Weighted::Conv2d(_) | Weighted::Linear(_) | Weighted::ChannelAffine(_)) | None => {
            return false;
        }
    };
    let layer = &mut graph.nodes[consumer].op;
    let Some((weight, bias)) = layer.weight_and_bias_mut() else { return false };
    absorb(weight, bias, blocks, rows_per_group, &affine);
    let input = graph.nodes[index].inputs[0];
    let output = graph.nodes[index].output;
    graph.nodes.iter_mut().flat_map(|n| &mut n.inputs).for_each(|v| {
        if *v == output {
            *v = input;
        }
    });
    graph.nodes.remove(index);
    true
}

/// Scales the weights of each row in `blocks` equal blocks, one input channel each; the rows of each group of
/// `rows_per_group` have the next ones.
fn absorb(
    weight: &mut Array,
    bias: &mut Array,
    blocks: usize,
    rows_per_group: usize,
    affine: &ChannelAffine,
) {
    for (o, row) in weight.rows_mut().enumerate() {
        let block_len = row.len() / blocks;
        let mut shifted = f64::from(bias.data[o]);
        for (block, weights) in row.chunks_mut(block_len).enumerate() {
            let c = o / rows_per_group * blocks + block;
            for w in weights {
                shifted += f64::from(*w) * f64::from(affine.shift.data[c]);
                *w *= affine.scale.data[c];
            }
        }
        bias.data[o] = shifted as f32;
    }
}
