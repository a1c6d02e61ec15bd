//! Normalizations take up what belongs to them: the reshapes around a group normalization that is
//! written by instances, and a scale and a shift of channels behind.

use crate::graph::ops::{ChannelAffine, Normalize, NormalizeBy};
use crate::graph::{Array, Graph, Op};

pub(super) fn run(graph: &mut Graph) -> usize {
    let mut rewrites = 0;
    let mut index = 0;
    while index < graph.nodes.len() {
        if grouped(graph, index) || scaled(graph, index) {
            rewrites += 1;
        } else {
            index += 1;
        }
    }
    rewrites
}

/// Samples of `[channels, ...]` that are reshaped to `[groups, elements]`, normalized along the latter
/// and reshaped back are normalized in groups of channels.
fn grouped(graph: &mut Graph, index: usize) -> bool {
    let node = &graph.nodes[index];
    let Op::Normalize(op) = &node.op else { return false };
    let plain = op.scale.is_none() && op.shift.is_none() && node.clamp.is_none();
    if !plain || op.by != NormalizeBy::Deviation || op.parts != 1 || op.axes != [1] {
        return false;
    }
    let Some(before) = graph.producer(node.inputs[0]) else { return false };
    let Some(behind) = graph.sole_consumer(index) else { return false };
    let reshapes = [before, behind].map(|n| {
        let node = &graph.nodes[n];
        matches!(node.op, Op::Reshape(_)) && node.clamp.is_none()
    });
    let source = graph.nodes[before].inputs[0];
    let shape = graph.value(source).shape.clone();
    let [groups, elements] = graph.value(node.inputs[0]).shape[..] else { return false };
    let back = graph.value(graph.nodes[behind].output).shape == shape;
    if reshapes != [true; 2] || !back || !shape[0].is_multiple_of(groups) || shape.len() > 3 {
        return false;
    }
    let instances = groups == shape[0] && shape.len() > 1;
    let (axes, parts) = match instances {
        true => ((1..shape.len()).collect(), 1),
        false => ((0..shape.len()).collect(), groups),
    };
    let op = Normalize { axes, parts, elements, ..op.clone() };
    graph.nodes[index].op = op.into();
    graph.nodes[index].inputs[0] = source;
    graph.absorb(index, behind);
    true
}

/// A scale and a shift of channels right behind a normalization become its own.
fn scaled(graph: &mut Graph, index: usize) -> bool {
    let Some(affine) = graph.sole_consumer(index) else { return false };
    let node = &graph.nodes[index];
    let (Op::Normalize(op), Op::ChannelAffine(by)) = (&node.op, &graph.nodes[affine].op) else {
        return false;
    };
    if node.clamp.is_some() {
        return false;
    }
    let rank = graph.value(node.output).shape.len();
    let Some(op) = with(op, by, rank) else { return false };
    let clamp = graph.nodes[affine].clamp;
    graph.nodes[index].op = op.into();
    graph.nodes[index].clamp = clamp;
    graph.absorb(index, affine);
    true
}

fn with(op: &Normalize, by: &ChannelAffine, rank: usize) -> Option<Normalize> {
    let mut shape = vec![1; rank];
    shape[0] = by.scale.len();
    let own = [&op.scale, &op.shift].into_iter().flatten();
    if own.into_iter().any(|array| array.shape != shape) {
        return None;
    }
    let channel = |array: &Option<Array>, c: usize, none: f32| {
        array.as_ref().map_or(none, |array| array.data[c])
    };
    let channels = || 0..by.scale.len();
    let scale = channels().map(|c| channel(&op.scale, c, 1.0) * by.scale.data[c]).collect();
    let shift = channels()
        .map(|c| channel(&op.shift, c, 0.0) * by.scale.data[c] + by.shift.data[c])
        .collect();
    Some(Normalize {
        scale: Some(Array::new(shape.clone(), scale)),
        shift: Some(Array::new(shape, shift)),
        ..op.clone()
    })
}
