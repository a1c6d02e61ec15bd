//! A channel-wise affine map (batch normalization) before a convolution or linear layer folds into
//! its weights: `W'[o, i] = W[o, i] * scale[i]`, `b'[o] = b[o] + sum_i W[o, i] * shift[i]`.
//!
//! Before a padded convolution this holds only without a shift: the padding is 0, not `shift`.

use crate::graph::{Array, Graph, Op, ops::ChannelAffine};

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
    let absorbed = match &mut graph.nodes[consumer].op {
        Op::Conv2d(conv)
            if conv.window.is_unpadded() || affine.shift.data.iter().all(|&s| s == 0.0) =>
        {
            let per_group = conv.weight.shape[1];
            let rows_per_group = conv.weight.shape[0] / conv.groups;
            let channel = move |row: usize, block: usize| row / rows_per_group * per_group + block;
            absorb(&mut conv.weight, &mut conv.bias, per_group, &affine, channel);
            true
        }
        Op::Linear(linear) if linear.axis == 0 && linear.weight.shape[1] % channels == 0 => {
            absorb(&mut linear.weight, &mut linear.bias, channels, &affine, |_, block| block);
            true
        }
        _ => false,
    };
    if absorbed {
        let input = graph.nodes[index].inputs[0];
        let output = graph.nodes[index].output;
        graph.nodes.iter_mut().flat_map(|n| &mut n.inputs).for_each(|v| {
            if *v == output {
                *v = input;
            }
        });
        graph.nodes.remove(index);
    }
    absorbed
}

/// Scales the weights of each row in `blocks` equal blocks, one input channel each.
fn absorb(
    weight: &mut Array,
    bias: &mut Array,
    blocks: usize,
    affine: &ChannelAffine,
    channel: impl Fn(usize, usize) -> usize,
) {
    for (o, row) in weight.rows_mut().enumerate() {
        let block_len = row.len() / blocks;
        let mut shifted = f64::from(bias.data[o]);
        for (block, weights) in row.chunks_mut(block_len).enumerate() {
            let c = channel(o, block);
            for w in weights {
                shifted += f64::from(*w) * f64::from(affine.shift.data[c]);
                *w *= affine.scale.data[c];
            }
        }
        bias.data[o] = shifted as f32;
    }
}
