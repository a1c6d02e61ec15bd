//! Execution of integer programs, for evaluation on the host.
//!
//! The interpreter works inside one arena at the planned offsets: that it gives the right outputs
//! shows that the plan is right. It copies the inputs of an operation out before the operation
//! writes, where generated C works truly in place.

mod fast;
mod pieces;
mod steps;
mod types;

use std::ops::Range;

pub use burn_ptq_kernels::fast::Instructions;
use burn_ptq_kernels::geometry::{ConvGeometry, DepthwiseGeometry, PoolGeometry};
use burn_ptq_kernels::grid::Grid;
use burn_ptq_kernels::params::Requantize;
use burn_ptq_kernels::reference::{self, Storage};
use burn_ptq_kernels::stream::{Rows, Step};
use bytemuck::Pod;

use crate::movement::MoveAxis;
use crate::op::{BinaryFunction, Broadcast, DType, IntOp, Weighted};
use crate::place::rows::RowProgram;
use crate::place::{Placed, Stream};
use crate::program::{IntNode, Loop, TensorId};

use fast::{Buffers, Fast};
use pieces::{Copied, Piece, requantize_of};

/// Which kernels run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// The plain loops.
    Reference,
    /// The quick ones, with the same bits out, and the fastest instructions that the processor has.
    Fast,
    /// The quick ones with these instructions.
    With(Instructions),
}

/// Samples of the wrong size for a program.
#[derive(Debug, thiserror::Error)]
#[error("expected inputs of {expected} bytes per sample, found {found} bytes")]
pub struct InputSizeError {
    /// Bytes of one sample, all inputs together.
    pub expected: usize,
    /// Bytes found.
    pub found: usize,
}

/// A program, ready to run sample after sample.
#[derive(Clone, Debug)]
pub struct Interpreter<'p> {
    program: &'p Placed,
    /// `None` on the reference path.
    fast: Option<Fast>,
    /// 64-bit words, so that elements of every type are aligned.
    arena: Vec<u64>,
    inputs: Vec<Copied>,
    /// The outputs of a program with several.
    outputs: Vec<u8>,
    buffers: Buffers,
}

impl<'p> Interpreter<'p> {
    /// Prepares `program`, reset.
    pub fn new(program: &'p Placed, path: Path) -> Self {
        let fast = match path {
            Path::Reference => None,
            Path::Fast => Some(Fast::new(program, Instructions::best())),
            Path::With(instructions) => Some(Fast::new(program, instructions)),
        };
        let mut interpreter = Self {
            program,
            fast,
            arena: vec![0; program.arena_bytes().div_ceil(8)],
            inputs: Vec::new(),
            outputs: Vec::new(),
            buffers: Buffers::default(),
        };
        interpreter.reset();
        interpreter
    }

    /// The program.
    pub fn program(&self) -> &'p Placed {
        self.program
    }

    /// Forgets what earlier samples left for later ones.
    pub fn reset(&mut self) {
        for state in &self.program.states {
            let tensor = &self.program.tensors[state.input.0];
            let place = self.program.range(state.input);
            let bytes = &mut arena_bytes(&mut self.arena)[place];
            match tensor.dtype {
                DType::I8 | DType::I4 => bytes.fill(state.initial as i8 as u8),
                DType::I16 => {
                    bytemuck::cast_slice_mut::<u8, i16>(bytes).fill(state.initial as i16);
                }
            }
        }
    }

    /// Runs one sample, which finds the states as the sample before it left them: bytes of the inputs in,
    /// one after the other, bytes of the outputs out, one after the other, 16-bit elements low byte first.
    ///
    /// # Errors
    /// If the input has another size.
    pub fn run(&mut self, input: &[u8]) -> Result<&[u8], InputSizeError> {
        self.run_observed(input, |_, _| {})
    }

    /// Runs one sample and shows the output of each node that memory holds as a whole, as it is
    /// written: of a stream, the last one's. A node of a loop comes once for each step; of one that puts a
    /// step into a sequence, what is shown is the part.
    ///
    /// # Errors
    /// If the input has another size.
    pub fn run_observed(
        &mut self,
        input: &[u8],
        mut observe: impl FnMut(usize, &[u8]),
    ) -> Result<&[u8], InputSizeError> {
        let program = self.program;
        if input.len() != program.input_bytes() {
            let (expected, found) = (program.input_bytes(), input.len());
            return Err(InputSizeError { expected, found });
        }
        let mut rest = input;
        for input in &program.inputs {
            let place = program.range(input.tensor);
            let (own, others) = rest.split_at(place.len());
            arena_bytes(&mut self.arena)[place].copy_from_slice(own);
            rest = others;
        }
        let mut streams = program.row_programs().peekable();
        let (mut index, mut step) = (0, 0);
        while index < program.nodes.len() {
            let written;
            match streams.next_if(|(stream, _)| stream.first == index) {
                Some((stream, rows)) => {
                    self.stream(stream, rows);
                    index = stream.last();
                    written = program.range(program.nodes[index].output);
                }
                None => {
                    let piece = self.whole(index, step);
                    self.execute(index, &piece);
                    written = piece.output;
                }
            }
            observe(index, &bytemuck::cast_slice(&self.arena)[written]);
            match program.loop_of(index).filter(|own| own.last() == index) {
                Some(own) => {
                    self.carry(own);
                    (index, step) = match step + 1 < own.steps {
                        true => (own.first, step + 1),
                        false => (index + 1, 0),
                    };
                }
                None => index += 1,
            }
        }
        for (from, to) in program.copied_states() {
            let from = program.range(from);
            arena_bytes(&mut self.arena).copy_within(from, program.offset(to));
        }
        if let [only] = &program.outputs[..] {
            return Ok(self.bytes(only.tensor));
        }
        self.outputs.clear();
        for output in &program.outputs {
            let bytes = &bytemuck::cast_slice(&self.arena)[program.range(output.tensor)];
            self.outputs.extend_from_slice(bytes);
        }
        Ok(&self.outputs)
    }

    /// What the arena holds of a tensor.
    fn bytes(&self, tensor: TensorId) -> &[u8] {
        &bytemuck::cast_slice(&self.arena)[self.program.range(tensor)]
    }

    fn stream(&mut self, stream: &Stream, rows: &RowProgram) {
        for step in rows.run() {
            let index = stream.first + step.stage;
            let piece = self.row(&self.program.nodes[index], &step);
            self.execute(index, &piece);
        }
    }

    /// Makes room for one row, and says where it and its inputs are.
    fn row(&mut self, node: &IntNode, step: &Step) -> Piece {
        let program = self.program;
        let rows = |id: TensorId, slot: usize, count: usize| {
            let bytes = program.tensors[id.0].row_bytes();
            let start = program.offset(id) + slot * bytes;
            start..start + count * bytes
        };
        let base = rows(node.output, 0, 0).start;
        let output = rows(node.output, step.slot, 1);
        let by_rows = node.op.inputs_by_rows();
        let mut inputs: Vec<_> = node.inputs[..by_rows]
            .iter()
            .zip(step.inputs)
            .map(|(&id, seen)| rows(id, seen.slot, seen.count))
            .collect();
        inputs.extend(node.inputs[by_rows..].iter().map(|&id| program.range(id)));
        let buffer = &mut arena_bytes(&mut self.arena)[base..];
        step.make_room(bytemuck::cast_slice_mut(buffer), output.len());
        Piece { inputs, output, rows: Some(step.inputs[0]) }
    }

    fn execute(&mut self, index: usize, piece: &Piece) {
        let (program, node) = (self.program, &self.program.nodes[index]);
        self.inputs.resize_with(self.inputs.len().max(piece.inputs.len()), Copied::default);
        for (copy, source) in self.inputs.iter_mut().zip(&piece.inputs) {
            copy.fill(&bytemuck::cast_slice(&self.arena)[source.clone()]);
        }
        if self.execute_fast(index, piece) {
            return;
        }
        let wide = |id: TensorId| program.tensors[id.0].dtype == DType::I16;
        let input = node.inputs.first().copied().unwrap_or(node.output);
        match (&node.op, wide(input), wide(node.output)) {
            (IntOp::Requantize { .. }, false, true) => self.requantize::<i8, i16>(node, piece),
            (IntOp::Requantize { .. }, true, false) => self.requantize::<i16, i8>(node, piece),
            (IntOp::FullyConnected { .. }, from, to) => match (from, to) {
                (false, false) => self.fully_connected::<i8, i8>(index, piece),
                (false, true) => self.fully_connected::<i8, i16>(index, piece),
                (true, _) => self.fully_connected::<i16, i16>(index, piece),
            },
            (IntOp::Mul { .. }, true, false) => self.narrow_product(node, piece),
            (IntOp::TopK { selection, depth, k, .. }, false, true) => {
                let input = self.inputs[0].elements::<i8>();
                let output = &mut arena_bytes(&mut self.arena)[piece.output.clone()];
                let output: &mut [i16] = bytemuck::cast_slice_mut(output);
                reference::top_k(*selection, *depth, *k, input, output);
            }
            (IntOp::Lookup8 { width, table }, _, _) => self.lookup(node, piece, *width, table),
            (IntOp::Lookup16 { width, table }, _, _) => self.lookup(node, piece, *width, table),
            (_, false, _) => self.execute_as::<i8>(index, piece),
            (_, true, _) => self.execute_as::<i16>(index, piece),
        }
    }

    fn execute_as<S: Storage + Pod>(&mut self, index: usize, piece: &Piece) {
        let tensors = &self.program.tensors;
        let node = &self.program.nodes[index];
        let target = &tensors[node.output.0];
        let grid = |i: usize| tensors[node.inputs[i].0].grid;
        let inputs = &self.inputs;
        let input = |i: usize| inputs[i].elements::<S>();
        let output: &mut [S] =
            bytemuck::cast_slice_mut(&mut arena_bytes(&mut self.arena)[piece.output.clone()]);
        let zero_points =
            |i: usize, j: usize| [grid(i).zero_point, grid(j).zero_point, target.grid.zero_point];
        match &node.op {
            IntOp::Conv2d { geometry, weighted } => {
                let geometry = &piece.conv(geometry);
                let (weights, input) = (weighted.weights.packed(), input(0));
                let requantize = requantize_of(weighted, grid(0), target.grid);
                reference::conv2d(geometry, input, weights, &requantize, output);
            }
            IntOp::DepthwiseConv2d { geometry, weighted } => {
                let geometry = &piece.depthwise(geometry);
                let (weights, input) = (weighted.weights.packed(), input(0));
                let requantize = requantize_of(weighted, grid(0), target.grid);
                reference::depthwise_conv2d(geometry, input, weights, &requantize, output);
            }
            IntOp::TransposeConv2d { geometry, weighted } => {
                let (weights, input) = (weighted.weights.packed(), input(0));
                let requantize = requantize_of(weighted, grid(0), target.grid);
                reference::transpose_conv2d(geometry, input, weights, &requantize, output);
            }
            IntOp::Add { params, broadcast: shapes @ Broadcast::Shapes { .. }, clamp } => {
                let strides = shapes.strides(output.len(), input(1).len());
                let zero_points = zero_points(0, 1);
                let (a, b) = (input(0), input(1));
                reference::add_strided(params, zero_points, *clamp, &strides, a, b, output);
            }
            IntOp::Mul { multiplier, broadcast: shapes @ Broadcast::Shapes { .. }, clamp } => {
                let strides = shapes.strides(output.len(), input(1).len());
                let zero_points = zero_points(0, 1);
                let (a, b) = (input(0), input(1));
                reference::mul_strided(*multiplier, zero_points, *clamp, &strides, a, b, output);
            }
            IntOp::Binary { function, broadcast, clamp } => {
                let (a, b, clamp, points) = (input(0), input(1), *clamp, zero_points(0, 1));
                let strides = &broadcast.strides(output.len(), b.len());
                match function {
                    BinaryFunction::Sub(params) => {
                        reference::sub(params, points, clamp, strides, a, b, output);
                    }
                    BinaryFunction::Div(multiplier) => {
                        reference::div(*multiplier, points, clamp, strides, a, b, output);
                    }
                    BinaryFunction::Prelu(params) => {
                        reference::prelu(params, points, clamp, strides, a, b, output);
                    }
                    BinaryFunction::Minimum => reference::minimum(strides, a, b, output),
                    BinaryFunction::Maximum => reference::maximum(strides, a, b, output),
                }
            }
            IntOp::Add { params, clamp, .. } => {
                reference::add(params, zero_points(0, 1), *clamp, input(0), input(1), output);
            }
            IntOp::Mul { multiplier, clamp, .. } => {
                reference::mul(*multiplier, zero_points(0, 1), *clamp, input(0), input(1), output);
            }
            IntOp::AveragePool { geometry, clamp } => {
                reference::average_pool(&piece.pool(geometry), *clamp, input(0), output);
            }
            IntOp::MaxPool { geometry, clamp } => {
                reference::max_pool(&piece.pool(geometry), *clamp, input(0), output);
            }
            IntOp::Table8 { table } => {
                let input = bytemuck::cast_slice(input(0));
                reference::table_lookup8(table, input, bytemuck::cast_slice_mut(output));
            }
            IntOp::Table16 { table } => {
                reference::table_lookup16(table, input(0), output);
            }
            IntOp::Gate { params } => reference::gate16(*params, input(0), output),
            IntOp::Softmax { depth, input_multiplier, diff_min, .. } => {
                let (input, output) =
                    (bytemuck::cast_slice(input(0)), bytemuck::cast_slice_mut(output));
                reference::softmax(*depth, *input_multiplier, *diff_min, input, output);
            }
            IntOp::LogSoftmax { depth, exponentials, input_multiplier, .. } => {
                let (input, output) =
                    (bytemuck::cast_slice(input(0)), bytemuck::cast_slice_mut(output));
                let bits = target.log_softmax_integer_bits();
                reference::log_softmax(
                    *depth,
                    exponentials,
                    *input_multiplier,
                    bits,
                    input,
                    output,
                );
            }
            IntOp::Requantize { multiplier, clamp } => {
                let zero_points = [grid(0).zero_point, target.grid.zero_point];
                reference::requantize(*multiplier, zero_points, *clamp, input(0), output);
            }
            IntOp::Concat { chunks, .. } => {
                let step = chunks.iter().sum();
                let mut offset = 0;
                for (i, &chunk) in chunks.iter().enumerate() {
                    reference::concat(chunk, offset, step, input(i), output);
                    offset += chunk;
                }
            }
            IntOp::Pad { input: extents, before, after, value } => {
                let value = S::from_integer(*value);
                reference::pad(*extents, *before, *after, value, input(0), output);
            }
            IntOp::Transpose { input: extents, axes } => {
                reference::transpose(*extents, *axes, input(0), output);
            }
            IntOp::Rearrange { first, axes } => {
                reference::rearrange(*first, &MoveAxis::padded(axes), input(0), output);
            }
            IntOp::ResizeLinear { input: extents, rows, columns } => {
                reference::resize_linear(*extents, rows, columns, input(0), output);
            }
            IntOp::Step { .. } => output.copy_from_slice(input(0)),
            IntOp::Pack => {
                let input = bytemuck::cast_slice(input(0));
                reference::pack_nibbles(input, bytemuck::cast_slice_mut(output));
            }
            IntOp::Unpack => {
                let input = bytemuck::cast_slice(input(0));
                reference::unpack_nibbles(input, bytemuck::cast_slice_mut(output));
            }
            IntOp::BatchMatMul { geometry, multiplier, clamp } => {
                let zero_points = zero_points(0, 1);
                let (a, b) = (input(0), input(1));
                reference::batch_matmul(geometry, *multiplier, zero_points, *clamp, a, b, output);
            }
            IntOp::Reduce { reduction, reduced, inner, multiplier, clamp, .. } => {
                let zero_points = [grid(0).zero_point, target.grid.zero_point];
                let (extents, input) = ([*reduced, *inner], input(0));
                let (reduction, multiplier, clamp) = (*reduction, *multiplier, *clamp);
                reference::reduce(
                    reduction,
                    extents,
                    multiplier,
                    zero_points,
                    clamp,
                    input,
                    output,
                );
            }
            IntOp::Normalize { geometry, params, affine, clamp } => {
                let zero_points = [grid(0).zero_point, target.grid.zero_point];
                let affine = affine.as_ref().map(|affine| reference::ScalesAndShifts {
                    scales: &affine.scales,
                    shifts: &affine.shifts,
                    fraction: affine.fraction,
                });
                let input = input(0);
                reference::normalize(geometry, params, affine, zero_points, *clamp, input, output);
            }
            IntOp::TopK { selection, depth, k, .. } => {
                reference::top_k(*selection, *depth, *k, input(0), output);
            }
            // They have element types of their own: see `execute`.
            IntOp::FullyConnected { .. } | IntOp::Lookup8 { .. } | IntOp::Lookup16 { .. } => {}
            IntOp::Constant { data } => {
                reference::constant(data, bytemuck::cast_slice_mut::<S, u8>(output));
            }
        }
    }
}

fn arena_bytes(arena: &mut [u64]) -> &mut [u8] {
    bytemuck::cast_slice_mut(arena)
}
