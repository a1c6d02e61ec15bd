//! A channel-wise affine map (batch normalization) after a convolution or linear layer folds into
//! its weights: `W' = W * scale`, `b' = b * scale + shift`.

use std::sync::Arc;

use crate::graph::ops::Weighted;
use crate::graph::{Graph, Op};

pub(super) fn run(graph: &mut Graph) -> usize {
    let mut rewrites = 0;
    for index in 0.. {
        if index >= graph.nodes.len() {
            break;
        }
        rewrites += usize::from(fold(graph, index));
    }
    rewrites
}

fn fold(graph: &mut Graph, index: usize) -> bool {
    let Some(follower) = graph.sole_consumer(index) else { return false };
    let Op::ChannelAffine(affine) = &graph.nodes[follower].op else { return false };
    // The affine map runs over the first axis; a linear layer's output channels are its last.
    let channels_first = match graph.nodes[index].op.weighted() {
        Some(Weighted::Conv2d(_)) => true,
        Some(Weighted::Linear(linear)) => linear.axis == 0,
        Some(Weighted::ChannelAffine(_)) | None => false,
    };
    if !channels_first || graph.nodes[index].clamp.is_some() {
        return false;
    }
    let affine = affine.clone();
    let clamp = graph.nodes[follower].clamp;
    let node = &mut graph.nodes[index];
    node.clamp = clamp;
    let Some((weight, bias)) = node.op.weight_and_bias_mut() else { return false };
    if let Some(given) = &mut node.given {
        let scales = &mut Arc::make_mut(given).scales;
        let factors = affine.scale.data.iter().map(|factor| factor.abs());
        scales.iter_mut().zip(factors).filter(|(_, f)| *f > 0.0).for_each(|(s, f)| *s *= f);
    }
    for (c, row) in weight.rows_mut().enumerate() {
        let (scale, shift) = (f64::from(affine.scale.data[c]), f64::from(affine.shift.data[c]));
        row.iter_mut().for_each(|w| *w = (f64::from(*w) * scale) as f32);
        bias.data[c] = (f64::from(bias.data[c]) * scale + shift) as f32;
    }
    graph.absorb(index, follower);
    true
}
