//! Execution of integer programs, for evaluation on the desk.
//!
//! The interpreter works inside one arena at the planned offsets: that it gives the right outputs
//! shows that the plan is right. It copies the inputs of an operation out before the operation
//! writes, where generated C works truly in place.

use std::sync::Arc;

use burn_ptq_kernels::fast;
use burn_ptq_kernels::grid::Grid;
use burn_ptq_kernels::params::Requantize;
use burn_ptq_kernels::reference::{self, Storage};
use bytemuck::Pod;
use rayon::prelude::*;

use crate::model::{DType, IntModel, IntNode, IntOp, IntTensor, Weighted};
use crate::verify::{VerifyError, verify};

/// Which kernels run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// The plain loops.
    Reference,
    /// The quick ones, with the same bits out.
    Fast,
}

/// Why a program cannot run.
#[derive(Debug, thiserror::Error)]
pub enum InterpreterError {
    /// The program breaks an invariant.
    #[error("the program is invalid: {0}")]
    Invalid(#[from] VerifyError),
    /// The input has the wrong size.
    #[error("expected inputs of {expected} bytes a sample, found {found} bytes")]
    InputSize {
        /// Bytes of one sample.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
}

/// A program, ready to run sample after sample.
#[derive(Clone, Debug)]
pub struct Interpreter<'m> {
    model: &'m IntModel,
    /// Each node's weights, widened; empty on the reference path and where there are none.
    weights: Option<Arc<Vec<Vec<i16>>>>,
    /// 64-bit words, so that elements of every type are aligned.
    arena: Vec<u64>,
    inputs: Vec<Vec<u64>>,
    patch: Vec<i16>,
    sums: Vec<i32>,
}

impl<'m> Interpreter<'m> {
    /// Verifies `model` and prepares it.
    ///
    /// # Errors
    /// If the model breaks an invariant.
    pub fn new(model: &'m IntModel, path: Path) -> Result<Self, InterpreterError> {
        verify(model)?;
        let widened = |node: &IntNode| match node.op.weighted() {
            Some(w) => w.weights.unpack().into_iter().map(i16::from).collect(),
            None => Vec::new(),
        };
        let weights = match path {
            Path::Reference => None,
            Path::Fast => Some(Arc::new(model.nodes.iter().map(widened).collect())),
        };
        Ok(Self {
            model,
            weights,
            arena: vec![0; model.arena_bytes.div_ceil(8)],
            inputs: Vec::new(),
            patch: Vec::new(),
            sums: Vec::new(),
        })
    }

    /// Runs one sample: bytes of the input tensor in, bytes of the output tensor out, 16-bit
    /// elements low byte first.
    ///
    /// # Errors
    /// If the input has another size.
    pub fn run(&mut self, input: &[u8]) -> Result<&[u8], InterpreterError> {
        self.run_observed(input, |_, _| {})
    }

    /// Runs one sample and shows each node's output, as it is written.
    ///
    /// # Errors
    /// If the input has another size.
    pub fn run_observed(
        &mut self,
        input: &[u8],
        mut observe: impl FnMut(usize, &[u8]),
    ) -> Result<&[u8], InterpreterError> {
        let model = self.model;
        let tensor = &model.tensors[model.input.0];
        if input.len() != tensor.bytes() {
            let (expected, found) = (tensor.bytes(), input.len());
            return Err(InterpreterError::InputSize { expected, found });
        }
        bytes_mut(&mut self.arena, tensor).copy_from_slice(input);
        for (index, node) in model.nodes.iter().enumerate() {
            self.execute(index, node);
            observe(index, bytes(&self.arena, &model.tensors[node.output.0]));
        }
        Ok(bytes(&self.arena, &model.tensors[model.output.0]))
    }

    /// Quantizes a sample in the program's order, runs it and dequantizes the output.
    ///
    /// # Errors
    /// If the input has another number of elements.
    pub fn run_f32(&mut self, input: &[f32]) -> Result<Vec<f32>, InterpreterError> {
        let tensor = &self.model.tensors[self.model.input.0];
        let integers = input.iter().map(|&x| tensor.grid.quantize(x));
        let quantized: Vec<u8> = match tensor.dtype {
            DType::I8 => integers.map(|q| q as u8).collect(),
            DType::I16 => integers.flat_map(|q| (q as i16).to_le_bytes()).collect(),
        };
        let tensor = &self.model.tensors[self.model.output.0];
        let output = self.run(&quantized)?;
        Ok(tensor_integers(tensor, output).map(|q| tensor.grid.dequantize(q)).collect())
    }

    fn execute(&mut self, index: usize, node: &IntNode) {
        let model = self.model;
        self.inputs.resize_with(self.inputs.len().max(node.inputs.len()), Vec::new);
        for (copy, id) in self.inputs.iter_mut().zip(&node.inputs) {
            let source = bytes(&self.arena, &model.tensors[id.0]);
            copy.resize(source.len().div_ceil(8), 0);
            bytemuck::cast_slice_mut::<u64, u8>(copy)[..source.len()].copy_from_slice(source);
        }
        let wide = |id: crate::model::TensorId| model.tensors[id.0].dtype == DType::I16;
        match (&node.op, wide(node.inputs[0]), wide(node.output)) {
            (IntOp::Requantize { .. }, false, true) => self.requantize::<i8, i16>(node),
            (IntOp::Requantize { .. }, true, false) => self.requantize::<i16, i8>(node),
            (_, false, _) => self.execute_as::<i8>(index, node),
            (_, true, _) => self.execute_as::<i16>(index, node),
        }
    }

    fn requantize<S: Storage + Pod, T: Storage + Pod>(&mut self, node: &IntNode) {
        let IntOp::Requantize { multiplier, clamp } = node.op else { return };
        let [from, to] = [node.inputs[0], node.output].map(|id| &self.model.tensors[id.0]);
        let zero_points = [from.grid.zero_point, to.grid.zero_point];
        let input = elements::<S>(&self.inputs[0], from.len());
        let output = bytemuck::cast_slice_mut(bytes_mut(&mut self.arena, to));
        reference::requantize::<S, T>(multiplier, zero_points, clamp, input, output);
    }

    fn execute_as<S: Storage + Pod>(&mut self, index: usize, node: &IntNode) {
        let tensors = &self.model.tensors;
        let target = &tensors[node.output.0];
        let grid = |i: usize| tensors[node.inputs[i].0].grid;
        let inputs = &self.inputs;
        let input = |i: usize| elements::<S>(&inputs[i], tensors[node.inputs[i].0].len());
        let output: &mut [S] = bytemuck::cast_slice_mut(bytes_mut(&mut self.arena, target));
        let zero_points =
            |i: usize, j: usize| [grid(i).zero_point, grid(j).zero_point, target.grid.zero_point];
        let fast_weights = self.weights.as_ref().map(|weights| weights[index].as_slice());
        match &node.op {
            IntOp::Conv2d { geometry, weighted } => {
                let requantize = requantize_of(weighted, grid(0), target.grid);
                match fast_weights {
                    Some(weights) => {
                        self.patch.resize(fast::conv2d_scratch_len(geometry), 0);
                        let scratch = &mut self.patch;
                        fast::conv2d(geometry, input(0), weights, &requantize, scratch, output);
                    }
                    None => {
                        let weights = weighted.weights.packed();
                        reference::conv2d(geometry, input(0), weights, &requantize, output);
                    }
                }
            }
            IntOp::DepthwiseConv2d { geometry, weighted } => {
                let requantize = requantize_of(weighted, grid(0), target.grid);
                match fast_weights {
                    Some(weights) if !S::WIDE => {
                        self.sums.resize(fast::depthwise_conv2d_scratch_len(geometry), 0);
                        fast::depthwise_conv2d(
                            geometry,
                            bytemuck::cast_slice(input(0)),
                            weights,
                            &requantize,
                            &mut self.sums,
                            bytemuck::cast_slice_mut(output),
                        );
                    }
                    _ => {
                        let weights = weighted.weights.packed();
                        reference::depthwise_conv2d(
                            geometry,
                            input(0),
                            weights,
                            &requantize,
                            output,
                        );
                    }
                }
            }
            IntOp::FullyConnected { in_features, out_features, weighted, .. } => {
                let requantize = requantize_of(weighted, grid(0), target.grid);
                let (features, out) = (*in_features, *out_features);
                match fast_weights {
                    Some(weights) => {
                        self.patch.resize(fast::fully_connected_scratch_len(features), 0);
                        let patch = &mut self.patch;
                        fast::fully_connected(
                            features,
                            out,
                            input(0),
                            weights,
                            &requantize,
                            patch,
                            output,
                        );
                    }
                    None => {
                        let weights = weighted.weights.packed();
                        reference::fully_connected(
                            features,
                            out,
                            input(0),
                            weights,
                            &requantize,
                            output,
                        );
                    }
                }
            }
            IntOp::Add { params, clamp, .. } => {
                reference::add(params, zero_points(0, 1), *clamp, input(0), input(1), output);
            }
            IntOp::Mul { multiplier, clamp, .. } => {
                reference::mul(*multiplier, zero_points(0, 1), *clamp, input(0), input(1), output);
            }
            IntOp::AveragePool { geometry, clamp } => {
                reference::average_pool(geometry, *clamp, input(0), output);
            }
            IntOp::MaxPool { geometry, clamp } => {
                reference::max_pool(geometry, *clamp, input(0), output);
            }
            IntOp::Table8 { table } => {
                let input = bytemuck::cast_slice(input(0));
                reference::table_lookup8(table, input, bytemuck::cast_slice_mut(output));
            }
            IntOp::Table16 { table } => {
                reference::table_lookup16(table, input(0), output);
            }
            IntOp::Softmax { depth, input_multiplier, diff_min, .. } => {
                let (input, output) =
                    (bytemuck::cast_slice(input(0)), bytemuck::cast_slice_mut(output));
                reference::softmax(*depth, *input_multiplier, *diff_min, input, output);
            }
            IntOp::LogSoftmax { depth, exponentials, input_multiplier, .. } => {
                let (input, output) =
                    (bytemuck::cast_slice(input(0)), bytemuck::cast_slice_mut(output));
                reference::log_softmax(*depth, exponentials, *input_multiplier, input, output);
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
        }
    }
}

/// Runs samples, given back to back, on all cores; the outputs are back to back in the same order.
///
/// # Errors
/// If the program is invalid or the bytes are no whole number of samples.
pub fn run_batch(model: &IntModel, path: Path, inputs: &[u8]) -> Result<Vec<u8>, InterpreterError> {
    let interpreter = Interpreter::new(model, path)?;
    let [input, output] = [model.input, model.output].map(|id| model.tensors[id.0].bytes());
    if !inputs.len().is_multiple_of(input) {
        return Err(InterpreterError::InputSize { expected: input, found: inputs.len() });
    }
    let mut outputs = vec![0; inputs.len() / input * output];
    inputs.par_chunks(input).zip(outputs.par_chunks_mut(output)).try_for_each_init(
        || interpreter.clone(),
        |interpreter, (sample, output)| {
            output.copy_from_slice(interpreter.run(sample)?);
            Ok::<(), InterpreterError>(())
        },
    )?;
    Ok(outputs)
}

/// The integers in the bytes of a tensor.
pub fn tensor_integers<'a>(
    tensor: &IntTensor,
    bytes: &'a [u8],
) -> Box<dyn Iterator<Item = i32> + 'a> {
    match tensor.dtype {
        DType::I8 => Box::new(bytes.iter().map(|&b| i32::from(b as i8))),
        DType::I16 => {
            let pairs = bytes.chunks_exact(2);
            Box::new(pairs.map(|b| i32::from(i16::from_le_bytes([b[0], b[1]]))))
        }
    }
}

fn requantize_of(weighted: &Weighted, input: Grid, output: Grid) -> Requantize<'_> {
    Requantize {
        input_zero_point: input.zero_point,
        output_zero_point: output.zero_point,
        bias: &weighted.bias,
        multipliers: &weighted.multipliers,
        clamp: weighted.clamp,
    }
}

fn bytes<'a>(arena: &'a [u64], tensor: &IntTensor) -> &'a [u8] {
    &bytemuck::cast_slice(arena)[tensor.offset..tensor.offset + tensor.bytes()]
}

fn bytes_mut<'a>(arena: &'a mut [u64], tensor: &IntTensor) -> &'a mut [u8] {
    &mut bytemuck::cast_slice_mut(arena)[tensor.offset..tensor.offset + tensor.bytes()]
}

fn elements<S: Pod>(copy: &[u64], len: usize) -> &[S] {
    &bytemuck::cast_slice(copy)[..len]
}
