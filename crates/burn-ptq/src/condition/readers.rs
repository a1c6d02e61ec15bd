//! Which layers read the output channels of a layer, through operations that keep channels apart.

use super::layer::{channel_axis, output_channels};
use crate::graph::ops::UnaryFunction;
use crate::graph::{Clamp, Graph, Node, Op};

/// What the output of a layer with weights reaches, up to the next layers with weights.
#[derive(Clone, Debug)]
pub(super) struct Readers {
    /// The output channels of the layer.
    pub channels: usize,
    /// The layers that read them, by index of the node.
    pub consumers: Vec<usize>,
    /// The nodes without weights in between.
    pub between: Vec<usize>,
}

/// The readers of the layer `producer`.
///
/// `None` if anything but a layer with weights reads its channels in the end, the graph's output
/// among them, or if `commutes` denies the producer or a node in between.
pub(super) fn readers(
    graph: &Graph,
    producer: usize,
    commutes: &dyn Fn(&Node) -> bool,
) -> Option<Readers> {
    let axis = channel_axis(&graph.nodes[producer].op)?;
    let channels = output_channels(&graph.nodes[producer].op);
    let mut found = Readers { channels, consumers: Vec::new(), between: Vec::new() };
    let mut open = vec![producer];
    while let Some(index) = open.pop() {
        let node = &graph.nodes[index];
        if graph.is_output(node.output) || !commutes(node) {
            return None;
        }
        for next in graph.consumers(node.output) {
            let op = &graph.nodes[next].op;
            if channel_axis(op) == Some(axis) {
                found.consumers.push(next);
            } else if op.operator().keeps_channels_apart(axis, channels) {
                found.between.push(next);
                open.push(next);
            } else {
                return None;
            }
        }
    }
    found.consumers.sort_unstable();
    found.between.sort_unstable();
    (!found.consumers.is_empty()).then_some(found)
}

/// A layer whose output channels a single layer reads.
#[derive(Clone, Debug)]
pub(super) struct Link {
    /// The layer that writes, by index of the node.
    pub producer: usize,
    /// The layer that reads.
    pub consumer: usize,
    /// The output channels of the producer.
    pub channels: usize,
    /// The nodes without weights in between.
    pub between: Vec<usize>,
}

/// All links of a graph, in the order of their producers.
pub(super) fn links(graph: &Graph, commutes: &dyn Fn(&Node) -> bool) -> Vec<Link> {
    let link = |producer| {
        let Readers { channels, consumers, between, .. } = readers(graph, producer, commutes)?;
        let [consumer] = consumers[..] else { return None };
        Some(Link { producer, consumer, channels, between })
    };
    (0..graph.nodes.len()).filter_map(link).collect()
}

/// Whether a node of [`readers`] gives `y / s` when the layer before it gives `x / s`, for every
/// `s > 0`; `accepts` judges its clamps.
pub(super) fn scales(node: &Node, accepts: impl Fn(Clamp) -> bool) -> bool {
    let op = match &node.op {
        Op::Unary(unary) => {
            matches!(unary.function, UnaryFunction::LeakyRelu { .. } | UnaryFunction::Abs)
        }
        Op::Clip(clip) => accepts(clip.bounds),
        Op::Pad(pad) => pad.value == 0.0,
        Op::Conv2d(_)
        | Op::Linear(_)
        | Op::ChannelAffine(_)
        | Op::Add(_)
        | Op::Mul(_)
        | Op::AveragePool(_)
        | Op::MaxPool(_)
        | Op::Reshape(_)
        | Op::Permute(_)
        | Op::Concat(_)
        | Op::Requantize(_)
        | Op::Softmax(_)
        | Op::LogSoftmax(_)
        | Op::MatMul(_)
        | Op::Reduce(_)
        | Op::Normalize(_)
        | Op::TopK(_)
        | Op::Rearrange(_)
        | Op::Dilate(_)
        | Op::ResizeLinear(_)
        | Op::Lookup(_)
        | Op::Binary(_)
        | Op::Step(_)
        | Op::Constant(_) => true,
    };
    op && node.clamp.is_none_or(accepts)
}

/// Whether clamping commutes with multiplication by every positive number.
pub(super) fn is_homogeneous(clamp: Clamp) -> bool {
    let scales = |bound: f32| bound == 0.0 || bound.is_infinite();
    scales(clamp.min) && scales(clamp.max)
}
