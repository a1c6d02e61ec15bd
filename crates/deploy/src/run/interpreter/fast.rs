//! What the fast kernels need: weights in their order, and working memory.

use std::sync::Arc;

use burn_ptq_kernels::fast::{
    self, Channels, Instructions, Points, Scratch, ScratchLen, Weights, as_convolution,
    conv2d_lines, depthwise_conv2d_lines, prepare_conv2d, prepare_depthwise_conv2d,
};

use super::*;

/// The fast kernels with what they read.
#[derive(Clone, Debug)]
pub(super) struct Fast {
    pub(super) instructions: Instructions,
    /// Of each node.
    pub(super) weights: Arc<Vec<Prepared>>,
}

/// Weights as kernels read them.
#[derive(Clone, Debug)]
pub(super) enum Prepared {
    /// There are none, or the reference kernels run.
    Nothing,
    /// In lines of channels, of layers with 8-bit inputs.
    Lines(Vec<Weights>, Vec<Channels>),
    /// In the order of the reference, widened.
    Wide(Vec<i16>),
}

impl Fast {
    pub(super) fn new(program: &Placed, instructions: Instructions) -> Self {
        let prepared = |node: &IntNode| prepared(program, node, instructions);
        let weights = Arc::new(program.nodes.iter().map(prepared).collect());
        Self { instructions, weights }
    }
}

fn prepared(program: &Placed, node: &IntNode, instructions: Instructions) -> Prepared {
    let Some(weighted) = node.op.weighted() else { return Prepared::Nothing };
    let tensors = [node.inputs[0], node.output].map(|id| &program.tensors[id.0]);
    let requantize = &requantize_of(weighted, tensors[0].grid, tensors[1].grid);
    let weights = &weighted.weights.unpack();
    let lines = |(lines, channels): (usize, usize)| {
        (vec![Weights::ZERO; lines], vec![Channels::NONE; channels])
    };
    let conv = |geometry: &ConvGeometry| {
        let (mut own, mut channels) = lines(conv2d_lines(instructions, geometry));
        prepare_conv2d(instructions, geometry, weights, requantize, &mut own, &mut channels);
        Prepared::Lines(own, channels)
    };
    let wide = tensors[0].dtype == DType::I16;
    match &node.op {
        IntOp::Conv2d { geometry, .. } if !wide => conv(geometry),
        IntOp::FullyConnected { in_features, out_features, .. } if !wide => {
            conv(&as_convolution(1, *in_features, *out_features))
        }
        IntOp::DepthwiseConv2d { geometry, .. } if !wide => {
            let (mut own, mut channels) = lines(depthwise_conv2d_lines(geometry));
            prepare_depthwise_conv2d(
                instructions,
                geometry,
                weights,
                requantize,
                &mut own,
                &mut channels,
            );
            Prepared::Lines(own, channels)
        }
        IntOp::DepthwiseConv2d { .. } => Prepared::Nothing,
        _ => Prepared::Wide(weights.iter().map(|&weight| i16::from(weight)).collect()),
    }
}

impl Interpreter<'_> {
    /// Runs a node on its fast kernel; `false` if it has none.
    pub(super) fn execute_fast(&mut self, index: usize, piece: &Piece) -> bool {
        let Some(own) = &self.fast else { return false };
        let node = &self.program.nodes[index];
        let Some(&first) = node.inputs.first() else { return false };
        let tensor = |id: TensorId| &self.program.tensors[id.0];
        let call = Call {
            instructions: own.instructions,
            op: &node.op,
            piece,
            grids: [tensor(first).grid, tensor(node.output).grid],
            second: node.inputs.get(1).map_or(0, |&id| tensor(id).grid.zero_point),
            weights: &own.weights[index],
            inputs: &self.inputs,
            buffers: &mut self.buffers,
        };
        let output = &mut arena_bytes(&mut self.arena)[piece.output.clone()];
        match [first, node.output].map(|id| tensor(id).dtype == DType::I16) {
            [false, false] => call.run8(bytemuck::cast_slice_mut(output)),
            [false, true] => call.conv2d::<i16>(bytemuck::cast_slice_mut(output)),
            [true, true] => call.run16(bytemuck::cast_slice_mut(output)),
            [true, false] => false,
        }
    }
}

/// A node on its way to its fast kernel.
struct Call<'a> {
    instructions: Instructions,
    op: &'a IntOp,
    piece: &'a Piece,
    /// Of the first input and the output.
    grids: [Grid; 2],
    /// The zero point of the second input.
    second: i32,
    weights: &'a Prepared,
    inputs: &'a [Copied],
    buffers: &'a mut Buffers,
}

impl<'a> Call<'a> {
    fn input<S: Pod>(&self, index: usize) -> &'a [S] {
        self.inputs[index].elements()
    }

    fn points(&self, weighted: &Weighted) -> Points {
        Points::from(&requantize_of(weighted, self.grids[0], self.grids[1]))
    }

    /// A convolution or fully connected layer of 8-bit inputs.
    fn conv2d<T: Storage>(self, output: &mut [T]) -> bool {
        let Prepared::Lines(lines, channels) = self.weights else { return false };
        let input = self.input::<i8>(0);
        let (geometry, weighted) = match self.op {
            IntOp::Conv2d { geometry, weighted } => (self.piece.conv(geometry), weighted),
            IntOp::FullyConnected { in_features, out_features, weighted, .. } => {
                let rows = input.len() / in_features;
                (as_convolution(rows, *in_features, *out_features), weighted)
            }
            _ => return false,
        };
        let points = self.points(weighted);
        let instructions = self.instructions;
        let scratch = self.buffers.of(fast::conv2d_scratch(instructions, &geometry));
        fast::conv2d(instructions, &geometry, input, lines, channels, points, scratch, output);
        true
    }

    /// An operation with inputs and outputs of 8 bits.
    fn run8(self, output: &mut [i8]) -> bool {
        let (own, [from, to]) = (self.instructions, self.grids.map(|grid| grid.zero_point));
        let points = [from, self.second, to];
        match self.op {
            IntOp::Conv2d { .. } | IntOp::FullyConnected { .. } => return self.conv2d(output),
            IntOp::DepthwiseConv2d { geometry, weighted } => {
                let Prepared::Lines(lines, channels) = self.weights else { return false };
                let (input, points) = (self.input(0), self.points(weighted));
                let geometry = &self.piece.depthwise(geometry);
                let scratch = self.buffers.of(fast::depthwise_conv2d_scratch(geometry));
                fast::depthwise_conv2d(
                    own, geometry, input, lines, channels, points, scratch, output,
                );
            }
            IntOp::Add { broadcast: Broadcast::Shapes { .. }, .. }
            | IntOp::Mul { broadcast: Broadcast::Shapes { .. }, .. } => return false,
            IntOp::Add { params, clamp, .. } => {
                fast::add(own, params, points, *clamp, self.input(0), self.input(1), output);
            }
            IntOp::Mul { multiplier, clamp, .. } => {
                fast::mul(own, *multiplier, points, *clamp, self.input(0), self.input(1), output);
            }
            IntOp::Requantize { multiplier, clamp } => {
                fast::requantize(own, *multiplier, [from, to], *clamp, self.input(0), output);
            }
            _ => return self.run::<i8>(output),
        }
        true
    }

    /// An operation with inputs and outputs of 16 bits.
    fn run16(self, output: &mut [i16]) -> bool {
        let own = self.instructions;
        match (self.op, self.weights) {
            (IntOp::Conv2d { geometry, weighted }, Prepared::Wide(weights)) => {
                let input = self.input::<i16>(0);
                let requantize = requantize_of(weighted, self.grids[0], self.grids[1]);
                let geometry = &self.piece.conv(geometry);
                let scratch = self.buffers.of(fast::wide_conv2d_scratch(geometry));
                fast::wide_conv2d(own, geometry, input, weights, &requantize, scratch, output);
            }
            (
                IntOp::FullyConnected { in_features, out_features, weighted, .. },
                Prepared::Wide(weights),
            ) => {
                let input = self.input::<i16>(0);
                let requantize = requantize_of(weighted, self.grids[0], self.grids[1]);
                let features = [*in_features, *out_features];
                let scratch = self.buffers.of(fast::wide_fully_connected_scratch(features[0]));
                fast::wide_fully_connected(
                    own,
                    features,
                    input,
                    weights,
                    &requantize,
                    scratch,
                    output,
                );
            }
            _ => return self.run(output),
        }
        true
    }

    /// An operation with a fast kernel for elements of both types.
    fn run<S: Storage + Pod>(self, output: &mut [S]) -> bool {
        let (own, input) = (self.instructions, self.input::<S>(0));
        match self.op {
            IntOp::TransposeConv2d { geometry, weighted } => {
                let Prepared::Wide(weights) = self.weights else { return false };
                let requantize = requantize_of(weighted, self.grids[0], self.grids[1]);
                let scratch = self.buffers.of(fast::transpose_conv2d_scratch(geometry));
                fast::transpose_conv2d(own, geometry, input, weights, &requantize, scratch, output);
            }
            IntOp::AveragePool { geometry, clamp } => {
                let geometry = &self.piece.pool(geometry);
                let scratch = self.buffers.of(fast::pool_scratch(geometry));
                fast::average_pool(own, geometry, *clamp, input, scratch, output);
            }
            IntOp::MaxPool { geometry, clamp } => {
                let geometry = &self.piece.pool(geometry);
                let scratch = self.buffers.of(fast::pool_scratch(geometry));
                fast::max_pool(own, geometry, *clamp, input, scratch, output);
            }
            // The reference kernels run.
            _ => return false,
        }
        true
    }
}

/// Working memory that grows to what the largest operation needs.
#[derive(Clone, Debug, Default)]
pub(super) struct Buffers {
    bytes: Vec<u8>,
    halves: Vec<i16>,
    sums: Vec<i32>,
    places: Vec<usize>,
}

impl Buffers {
    fn of(&mut self, len: ScratchLen) -> Scratch<'_> {
        Scratch {
            bytes: grown(&mut self.bytes, len.bytes),
            halves: grown(&mut self.halves, len.halves),
            sums: grown(&mut self.sums, len.sums),
            places: grown(&mut self.places, len.places),
        }
    }
}

fn grown<T: Clone + Default>(buffer: &mut Vec<T>, len: usize) -> &mut [T] {
    if buffer.len() < len {
        buffer.resize(len, T::default());
    }
    &mut buffer[..len]
}
