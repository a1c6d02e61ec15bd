//! How the channels of an operation's inputs meet those of its output.
//!
//! The channels of a tensor are the last axis of its shape. Buffers are flat: an operation may see its
//! input in another shape, as a fully connected layer behind a flatten does. Where that keeps element `i`
//! in channel `i % channels`, channels can still go.

use crate::movement::MoveAxis;
use crate::op::{Broadcast, IntOp};
use crate::program::{IntNode, Program, TensorId};

/// How an operation reads an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// As a whole: all its channels stay.
    Whole,
    /// By weights, one or more for each channel: a channel may go without one of the output.
    Weighted,
    /// Channel by channel: one goes with those of the output that are made of it.
    Paired(Pairs),
}

/// Channels of an input with those of the output that are made of them; the input's other channels are
/// not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pairs {
    /// The first channel of the input.
    pub input: usize,
    /// The first channel of the output.
    pub output: usize,
    /// Channels of the input.
    pub count: usize,
    /// Channels of the output for each of them, one after the other.
    pub times: usize,
}

impl Pairs {
    const fn all(count: usize) -> Self {
        Self { input: 0, output: 0, count, times: 1 }
    }

    /// Each channel of the input with one of the output.
    pub(super) fn iter(self) -> impl Iterator<Item = (usize, usize)> {
        let Self { input, output, count, times } = self;
        (0..count * times).map(move |i| (input + i / times, output + i))
    }
}

/// The links of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Links {
    /// One for each input.
    pub inputs: Vec<Link>,
    /// Whether the operation can do with fewer channels of its output.
    pub free: bool,
}

impl Links {
    fn whole(inputs: usize) -> Self {
        Self { inputs: vec![Link::Whole; inputs], free: false }
    }

    /// One input, channel by channel if `fits`.
    fn paired(fits: bool, pairs: Pairs) -> Self {
        let link = if fits { Link::Paired(pairs) } else { Link::Whole };
        Self { inputs: vec![link], free: fits }
    }
}

/// The links of a node of a valid program.
pub(super) fn links(program: &Program, node: &IntNode) -> Links {
    let channels = |id: TensorId| program.tensors[id.0].shape[2];
    let output = channels(node.output);
    let input = node.inputs.first().map_or(output, |&id| channels(id));
    match &node.op {
        IntOp::Conv2d { geometry: g, .. } => {
            dense([g.in_channels, g.out_channels], g.groups, [input, output])
        }
        IntOp::TransposeConv2d { geometry: g, .. } => {
            dense([g.in_channels, g.out_channels], g.groups, [input, output])
        }
        IntOp::FullyConnected { in_features, out_features, .. } => {
            dense([*in_features, *out_features], 1, [input, output])
        }
        IntOp::DepthwiseConv2d { geometry: g, .. } => Links::paired(
            [g.channels, g.out_channels()] == [input, output],
            Pairs { times: g.multiplier, ..Pairs::all(input) },
        ),
        IntOp::Add { broadcast, .. }
        | IntOp::Mul { broadcast, .. }
        | IntOp::Binary { broadcast, .. } => {
            let [a, b] = [node.inputs[0], node.inputs[1]];
            let b_length = program.tensors[b.0].len();
            elementwise(*broadcast, [channels(a), channels(b), output], b_length)
        }
        IntOp::AveragePool { geometry: g, .. } | IntOp::MaxPool { geometry: g, .. } => {
            Links::paired([input, output] == [g.channels; 2], Pairs::all(input))
        }
        IntOp::Table8 { .. }
        | IntOp::Table16 { .. }
        | IntOp::Gate { .. }
        | IntOp::Requantize { .. } => Links::paired(input == output, Pairs::all(input)),
        IntOp::Concat { chunks, .. } => {
            let inputs: Vec<usize> = node.inputs.iter().map(|&id| channels(id)).collect();
            concat(chunks, &inputs, output)
        }
        IntOp::Pad { input: shape, before, after, .. } => {
            let padded = before[2] + input + after[2];
            let pairs = Pairs { output: before[2], ..Pairs::all(input) };
            Links::paired(shape[2] == input && padded == output, pairs)
        }
        IntOp::Transpose { input: shape, axes } => {
            Links::paired(axes[2] == 2 && [input, output] == [shape[2]; 2], Pairs::all(input))
        }
        IntOp::Rearrange { first, axes } => match moved(*first, axes, [input, output]) {
            Some(pairs) => Links::paired(true, pairs),
            None => Links::whole(1),
        },
        IntOp::ResizeLinear { input: shape, .. } => {
            Links::paired([input, output] == [shape[2]; 2], Pairs::all(input))
        }
        IntOp::Reduce { inner, .. } => {
            Links::paired(input == output && inner.is_multiple_of(input), Pairs::all(input))
        }
        IntOp::Lookup8 { width, .. } | IntOp::Lookup16 { width, .. } => {
            Links { inputs: vec![Link::Whole], free: *width == output }
        }
        IntOp::Constant { .. } => Links { inputs: Vec::new(), free: true },
        // Rows as a whole decide, or rows have packed elements.
        IntOp::Softmax { .. }
        | IntOp::LogSoftmax { .. }
        | IntOp::Normalize { .. }
        | IntOp::TopK { .. }
        | IntOp::Pack
        | IntOp::Unpack => Links::whole(1),
        // Sequences and their parts keep all channels.
        IntOp::Step { .. } => Links::whole(1),
        // Its strides see both inputs in any shape.
        IntOp::BatchMatMul { .. } => Links::whole(2),
    }
}

/// Of an operation whose every output has a weight for every input, `counts` of them for each position,
/// on tensors of `channels`.
fn dense(counts: [usize; 2], groups: usize, channels: [usize; 2]) -> Links {
    // Groups have equally many channels each, which removals would have to keep.
    let fits = |side: usize| groups == 1 && counts[side].is_multiple_of(channels[side]);
    Links { inputs: vec![if fits(0) { Link::Weighted } else { Link::Whole }], free: fits(1) }
}

/// Of an operation on two values with `channels` of the first, the second and the output.
fn elementwise(broadcast: Broadcast, channels: [usize; 3], b_length: usize) -> Links {
    let [a, b, output] = channels;
    let paired = Link::Paired(Pairs::all(output));
    let inputs = match broadcast {
        Broadcast::None if a == output && b == output => [paired; 2],
        Broadcast::Channels if a == output && b == output && b_length == b => [paired; 2],
        Broadcast::Scalar if a == output => [paired, Link::Whole],
        Broadcast::Shapes { a: a_shape, b: b_shape } => {
            let link = |channels: usize, extent: usize| match extent {
                _ if extent == output && channels == output => Some(paired),
                1 if channels == 1 => Some(Link::Whole),
                _ => None,
            };
            match (link(a, a_shape[2]), link(b, b_shape[2])) {
                (Some(a), Some(b)) if [a, b].contains(&paired) => [a, b],
                _ => return Links::whole(2),
            }
        }
        Broadcast::None | Broadcast::Channels | Broadcast::Scalar => return Links::whole(2),
    };
    Links { inputs: inputs.to_vec(), free: true }
}

/// Of inputs that are joined along their channels, or along another axis.
fn concat(chunks: &[usize], inputs: &[usize], output: usize) -> Links {
    if chunks == inputs && inputs.iter().sum::<usize>() == output {
        let mut start = 0;
        let link = |&count: &usize| {
            let pairs = Pairs { output: start, ..Pairs::all(count) };
            start += count;
            Link::Paired(pairs)
        };
        return Links { inputs: inputs.iter().map(link).collect(), free: true };
    }
    let along_another = inputs.iter().all(|&channels| channels == output)
        && chunks.iter().all(|chunk| chunk.is_multiple_of(output));
    if along_another {
        let link = Link::Paired(Pairs::all(output));
        return Links { inputs: vec![link; inputs.len()], free: true };
    }
    Links::whole(inputs.len())
}

/// The pairs of a movement that keeps channels, or some of them that are neighbours, together.
fn moved(first: usize, axes: &[MoveAxis], [input, output]: [usize; 2]) -> Option<Pairs> {
    let (last, others) = axes.split_last()?;
    let MoveAxis::Even { count, step: 1 } = *last else { return None };
    let by_pixels = others.iter().all(|axis| match axis {
        MoveAxis::Even { step, .. } => step.unsigned_abs().is_multiple_of(input),
        MoveAxis::Listed(places) => places.iter().all(|&p| (p as usize).is_multiple_of(input)),
    });
    let start = first % input;
    let whole_pixels = start == 0 && output == input && count.is_multiple_of(input);
    let some_channels = count == output && start + count <= input;
    (by_pixels && (whole_pixels || some_channels)).then_some(Pairs {
        input: start,
        count: output,
        ..Pairs::all(output)
    })
}
