//! The program without the channels that go.

use burn_ptq_kernels::packing::{pack, packed_len};

use super::analysis::Analysis;
use super::layer::{Layer, Unweighted};
use super::links::Link;
use crate::movement::MoveAxis;
use crate::op::{Broadcast, IntOp, Weighted, Weights};
use crate::program::{IntNode, Program, TensorId};

/// The channels that stay.
pub(super) struct Kept {
    /// Of each channel of each tensor, whether it stays.
    stays: Vec<Vec<bool>>,
    /// Of each tensor, those that stay, in order.
    channels: Vec<Vec<usize>>,
}

impl Kept {
    pub(super) fn of(analysis: &Analysis) -> Self {
        let stays = analysis.kept();
        let places = |kept: &Vec<bool>| (0..kept.len()).filter(|&c| kept[c]).collect();
        let channels = stays.iter().map(places).collect();
        Self { stays, channels }
    }

    fn channels(&self, tensor: TensorId) -> &[usize] {
        &self.channels[tensor.0]
    }
}

/// The program on the channels that stay: what the others add is in biases.
pub(super) fn rewritten(analysis: &Analysis, kept: &Kept) -> Program {
    let mut program = analysis.program.clone();
    for (tensor, kept) in program.tensors.iter_mut().zip(&kept.channels) {
        tensor.shape[2] = kept.len();
    }
    for (index, node) in program.nodes.iter_mut().enumerate() {
        node.op = Rewrite { analysis, kept, index }.op();
    }
    program
}

/// A node that is written anew.
struct Rewrite<'a> {
    analysis: &'a Analysis<'a>,
    kept: &'a Kept,
    index: usize,
}

impl Rewrite<'_> {
    fn node(&self) -> &IntNode {
        &self.analysis.program.nodes[self.index]
    }

    fn channels(&self, tensor: TensorId) -> usize {
        self.analysis.program.tensors[tensor.0].shape[2]
    }

    /// Elements of the `input`-th input after the removal, where there are `elements` of whole pixels.
    fn fewer(&self, input: usize, elements: usize) -> usize {
        let id = self.node().inputs[input];
        elements / self.channels(id) * self.kept.channels(id).len()
    }

    /// The same of elements of the output.
    fn fewer_outputs(&self, elements: usize) -> usize {
        let id = self.node().output;
        elements / self.channels(id) * self.kept.channels(id).len()
    }

    fn op(&self) -> IntOp {
        let node = self.node();
        let links = &self.analysis.links[self.index];
        let paired = |i: usize| matches!(links.inputs[i], Link::Paired(_));
        let weighted = links.inputs.first() == Some(&Link::Weighted);
        let mut op = node.op.clone();
        match &mut op {
            IntOp::Conv2d { geometry, weighted: w } => {
                if weighted {
                    geometry.in_channels = self.fewer(0, geometry.in_channels);
                }
                if links.free {
                    geometry.out_channels = self.fewer_outputs(geometry.out_channels);
                }
                let [height, width] = geometry.window.kernel;
                let shape = [geometry.out_channels, height, width, geometry.inputs_per_group()];
                self.weights(w, shape.to_vec());
            }
            IntOp::TransposeConv2d { geometry, weighted: w } => {
                if weighted {
                    geometry.in_channels = self.fewer(0, geometry.in_channels);
                }
                if links.free {
                    geometry.out_channels = self.fewer_outputs(geometry.out_channels);
                }
                let [height, width] = geometry.window.kernel;
                let shape = [geometry.out_channels, height, width, geometry.inputs_per_group()];
                self.weights(w, shape.to_vec());
            }
            IntOp::FullyConnected { in_features, out_features, weighted: w, .. } => {
                if weighted {
                    *in_features = self.fewer(0, *in_features);
                }
                if links.free {
                    *out_features = self.fewer_outputs(*out_features);
                }
                self.weights(w, vec![*out_features, *in_features]);
            }
            IntOp::DepthwiseConv2d { geometry, weighted: w } => {
                if paired(0) {
                    geometry.channels = self.fewer(0, geometry.channels);
                }
                let [height, width] = geometry.window.kernel;
                self.weights(w, vec![height, width, geometry.out_channels()]);
            }
            IntOp::Add { broadcast, .. }
            | IntOp::Mul { broadcast, .. }
            | IntOp::Binary { broadcast, .. } => {
                if let Broadcast::Shapes { a, b } = broadcast {
                    for (i, shape) in [a, b].into_iter().enumerate() {
                        if paired(i) {
                            shape[2] = self.fewer(i, shape[2]);
                        }
                    }
                }
            }
            IntOp::AveragePool { geometry, .. } | IntOp::MaxPool { geometry, .. } => {
                if paired(0) {
                    geometry.channels = self.fewer(0, geometry.channels);
                }
            }
            IntOp::Concat { chunks, .. } => {
                for (i, chunk) in chunks.iter_mut().enumerate() {
                    if paired(i) {
                        *chunk = self.fewer(i, *chunk);
                    }
                }
            }
            IntOp::Pad { input, before, after, .. } => {
                if let Link::Paired(pairs) = links.inputs[0] {
                    input[2] = self.fewer(0, input[2]);
                    let kept = self.kept.channels(node.output);
                    let end = pairs.output + pairs.count;
                    before[2] = kept.iter().filter(|&&channel| channel < pairs.output).count();
                    after[2] = kept.iter().filter(|&&channel| channel >= end).count();
                }
            }
            IntOp::Transpose { input, .. } | IntOp::ResizeLinear { input, .. } => {
                if paired(0) {
                    input[2] = self.fewer(0, input[2]);
                }
            }
            IntOp::Rearrange { first, axes } => {
                if let Link::Paired(pairs) = links.inputs[0] {
                    let kept = self.kept.channels(node.inputs[0]);
                    let before = kept.iter().filter(|&&channel| channel < pairs.input).count();
                    *first = self.fewer(0, *first - pairs.input) + before;
                    self.move_by_fewer(axes);
                }
            }
            IntOp::Reduce { inner, .. } => {
                if paired(0) {
                    *inner = self.fewer(0, *inner);
                }
            }
            IntOp::Lookup8 { width, table } => {
                if links.free {
                    *table = self.columns(table);
                    *width = self.fewer_outputs(*width);
                }
            }
            IntOp::Lookup16 { width, table } => {
                if links.free {
                    *table = self.columns(table);
                    *width = self.fewer_outputs(*width);
                }
            }
            IntOp::Constant { data } => {
                let bytes = self.analysis.program.tensors[node.output.0].dtype.bytes();
                let elements: Vec<&[u8]> = data.chunks(bytes).collect();
                *data = self.columns(&elements).concat();
            }
            IntOp::Table8 { .. }
            | IntOp::Table16 { .. }
            | IntOp::Gate { .. }
            | IntOp::Requantize { .. }
            | IntOp::Softmax { .. }
            | IntOp::LogSoftmax { .. }
            | IntOp::Pack
            | IntOp::Unpack
            | IntOp::BatchMatMul { .. }
            | IntOp::Normalize { .. }
            | IntOp::TopK { .. }
            | IntOp::Step { .. } => {}
        }
        op
    }

    /// The elements of rows of all the output's channels that stay.
    fn columns<T: Copy>(&self, elements: &[T]) -> Vec<T> {
        let id = self.node().output;
        let kept = self.kept.channels(id);
        let rows = elements.chunks(self.channels(id));
        rows.flat_map(|row| kept.iter().map(|&channel| row[channel])).collect()
    }

    /// Steps and places of axes along pixels, and the extent of the last axis, along channels.
    fn move_by_fewer(&self, axes: &mut [MoveAxis]) {
        let Some((last, others)) = axes.split_last_mut() else { return };
        for axis in others {
            match axis {
                MoveAxis::Even { step, .. } => {
                    let fewer = self.fewer(0, step.unsigned_abs()) as isize;
                    *step = fewer * step.signum();
                }
                MoveAxis::Listed(places) => {
                    for place in places {
                        *place = self.fewer(0, *place as usize) as u32;
                    }
                }
            }
        }
        if let MoveAxis::Even { count, .. } = last {
            *count = self.fewer_outputs(*count);
        }
    }

    /// The weights, biases and multipliers that stay, as weights of `shape`.
    fn weights(&self, weighted: &mut Weighted, shape: Vec<usize>) {
        let Some(layer) = &self.analysis.layers[self.index] else { return };
        let node = self.node();
        let stays = |tensor: TensorId, channel: Option<usize>| {
            channel.is_none_or(|c| self.kept.stays[tensor.0][c])
        };
        let outputs: Vec<usize> =
            (0..layer.outputs).filter(|&o| stays(node.output, layer.output_channel(o))).collect();
        let inputs = |o: usize| {
            (0..layer.depth).filter(move |&i| stays(node.inputs[0], layer.input_channel(o, i)))
        };
        let mut values = layer.weights.clone();
        let mut whole = weighted.clone();
        for &output in &outputs {
            self.settle(layer, output, &mut values, &mut whole);
        }
        let depthwise = matches!(node.op, IntOp::DepthwiseConv2d { .. });
        let mut kept = Vec::with_capacity(shape.iter().product());
        if depthwise {
            for tap in 0..layer.taps {
                kept.extend(outputs.iter().map(|&output| values[layer.place(output, tap, 0)]));
            }
        } else {
            for &output in &outputs {
                let inputs: Vec<usize> = inputs(output).collect();
                for tap in 0..layer.taps {
                    kept.extend(
                        inputs.iter().map(|&input| values[layer.place(output, tap, input)]),
                    );
                }
            }
        }
        let Weights { bits, storage, scales, .. } = whole.weights;
        let mut data = vec![0; packed_len(kept.len(), storage)];
        pack(&kept, storage, &mut data);
        weighted.bias = of_channels(&whole.bias, layer.outputs, &outputs);
        weighted.multipliers = of_channels(&whole.multipliers, layer.outputs, &outputs);
        let scales = of_channels(&scales, layer.outputs, &outputs);
        weighted.weights = Weights { shape, bits, storage, data, scales };
    }

    /// Gives an output channel its bias, with the shares of inputs that go, and takes their weights.
    ///
    /// One that is constant or not needed keeps no weights, and has a small bias: those of dead
    /// channels are often so large that no fast kernel could hold them.
    fn settle(&self, layer: &Layer, output: usize, values: &mut [i8], weighted: &mut Weighted) {
        let mut unweight = |input: usize| {
            for tap in 0..layer.taps {
                values[layer.place(output, tap, input)] = 0;
            }
        };
        if let Some(Unweighted { bias, like }) = self.analysis.unweighted(self.index, output) {
            weighted.bias[output] = bias;
            copy(&mut weighted.multipliers, like, output);
            copy(&mut weighted.weights.scales, like, output);
            (0..layer.depth).for_each(unweight);
            return;
        }
        let id = self.node().inputs[0];
        for input in 0..layer.depth {
            let Some(channel) = layer.input_channel(output, input) else { continue };
            let interval = self.analysis.intervals[id.0][channel];
            if self.analysis.needed[id.0][channel] {
                continue;
            }
            // It has one, or the channel would be needed.
            let Some(share) = layer.share(output, input, interval) else { continue };
            weighted.bias[output] += share as i32;
            unweight(input);
        }
    }
}

/// Gives channel `to` of a list of one element a channel the element of `from`.
fn copy<T: Copy>(list: &mut [T], from: usize, to: usize) {
    if list.len() > 1 {
        list[to] = list[from];
    }
}

/// What a list of one element a channel, or of one for all, holds for some channels.
fn of_channels<T: Copy>(list: &[T], channels: usize, kept: &[usize]) -> Vec<T> {
    if list.len() == channels {
        kept.iter().map(|&channel| list[channel]).collect()
    } else {
        list.to_vec()
    }
}
