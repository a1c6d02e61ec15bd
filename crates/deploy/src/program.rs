//! The integer program: what is computed, and on which tensors. Where they lie in memory, a
//! [`Placed`](crate::place::Placed) program says.
//!
//! Tensors hold one sample in NHWC order (`[height, width, channels]`, or `[1, 1, features]`), so
//! that a batch of one needs no axis.

use burn_ptq_kernels::grid::Grid;
use burn_ptq_kernels::reference::log_softmax_integer_bits;
use serde::{Deserialize, Serialize};

pub use crate::border::Border;
pub use crate::loops::{Carried, Loop};
pub use crate::movement::MoveAxis;
pub use crate::op::{BinaryFunction, Broadcast, DType, IntOp, NormalizeAffine, Weighted, Weights};
use crate::preprocess::Preprocessing;

/// The most operations, and the most tensors, streams and classes, that a program may have.
pub const MAX_NODES: usize = 1 << 14;

/// The most inputs, and the most outputs, that a program may have.
pub const MAX_ENDS: usize = 64;

/// Operations in their order, with weights packed and multipliers derived, but without memory.
///
/// Nothing runs, prints or stores it: that takes a [`Placed`](crate::place::Placed) one, which
/// [`place`](Self::place) makes.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// The model's name, from the source file; exporters derive identifiers from it.
    pub name: String,
    /// All activations.
    pub tensors: Vec<IntTensor>,
    /// The operations in the order of execution.
    pub nodes: Vec<IntNode>,
    /// What the caller fills: at least one, at most [`MAX_ENDS`].
    pub inputs: Vec<Input>,
    /// What the caller reads: at least one, at most [`MAX_ENDS`].
    pub outputs: Vec<Output>,
    /// What the program keeps from one call to the next; empty if every call stands for itself.
    pub states: Vec<State>,
    /// Nodes that run once for each step of a sequence, in the order of execution; no node is in two loops.
    pub loops: Vec<Loop>,
    /// Where the program came from.
    pub provenance: Provenance,
}

/// What the caller fills. No two inputs are the same activation.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// The name in the source model; no two inputs have the same.
    pub name: String,
    /// The activation.
    pub tensor: TensorId,
    /// How a sample of the source model's input lies in it.
    pub border: Border,
    /// How raw samples become the source model's input.
    pub preprocessing: Preprocessing,
}

/// What the caller reads.
///
/// Nodes may read its activation too; it may be an input's, or that of another output, which then
/// reads the same elements by another border.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// The name in the source model; no two outputs have the same.
    pub name: String,
    /// The activation.
    pub tensor: TensorId,
    /// How a sample of the source model's output lies in it.
    pub border: Border,
    /// The names of its classes, if known; otherwise empty.
    pub classes: Vec<String>,
}

/// What a program keeps from one call to the next: an activation that a call finds as the call before
/// it left another one.
///
/// Both activations have the same shape and grid. Only states write the first, which is not an output; the
/// second is written by a node or is an input, and no other state has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The name, for messages and reports; no two states have the same.
    pub name: String,
    /// The activation that a call finds.
    pub input: TensorId,
    /// The activation that it leaves for the next call.
    pub output: TensorId,
    /// What every element of the input is after a reset.
    pub initial: i32,
}

impl Input {
    /// An input of samples that need no preprocessing.
    pub fn new(name: impl Into<String>, tensor: TensorId, border: Border) -> Self {
        Self { name: name.into(), tensor, border, preprocessing: Preprocessing::default() }
    }
}

impl Output {
    /// An output without names of classes.
    pub fn new(name: impl Into<String>, tensor: TensorId, border: Border) -> Self {
        Self { name: name.into(), tensor, border, classes: Vec::new() }
    }
}

/// The bytes of a sample: those of all inputs, or of all outputs, one after the other in the order of
/// the program.
impl Program {
    /// The activation of an input.
    pub fn input_tensor(&self, input: &Input) -> &IntTensor {
        &self.tensors[input.tensor.0]
    }

    /// The activation of an output.
    pub fn output_tensor(&self, output: &Output) -> &IntTensor {
        &self.tensors[output.tensor.0]
    }

    /// The activations of the inputs, in order.
    pub fn input_tensors(&self) -> impl Iterator<Item = &IntTensor> {
        self.inputs.iter().map(|input| self.input_tensor(input))
    }

    /// The activations of the outputs, in order.
    pub fn output_tensors(&self) -> impl Iterator<Item = &IntTensor> {
        self.outputs.iter().map(|output| self.output_tensor(output))
    }

    /// Bytes of all inputs together.
    pub fn input_bytes(&self) -> usize {
        self.input_tensors().map(IntTensor::bytes).sum()
    }

    /// Bytes of all outputs together.
    pub fn output_bytes(&self) -> usize {
        self.output_tensors().map(IntTensor::bytes).sum()
    }

    /// Elements of all inputs together.
    pub fn input_len(&self) -> usize {
        self.input_tensors().map(IntTensor::len).sum()
    }

    /// Elements of all outputs together.
    pub fn output_len(&self) -> usize {
        self.output_tensors().map(IntTensor::len).sum()
    }

    /// Whether the caller fills the activation.
    pub fn is_input(&self, tensor: TensorId) -> bool {
        self.inputs.iter().any(|input| input.tensor == tensor)
    }

    /// Whether the caller reads the activation.
    pub fn is_output(&self, tensor: TensorId) -> bool {
        self.outputs.iter().any(|output| output.tensor == tensor)
    }

    /// The activations that are there before the first node runs: the inputs, then the states.
    pub fn given(&self) -> impl Iterator<Item = TensorId> {
        let inputs = self.inputs.iter().map(|input| input.tensor);
        inputs.chain(self.states.iter().map(|state| state.input))
    }

    /// The activations that are read after the last node has run, by the caller or the next call.
    pub fn left(&self) -> impl Iterator<Item = TensorId> {
        let outputs = self.outputs.iter().map(|output| output.tensor);
        outputs.chain(self.states.iter().map(|state| state.output))
    }

    /// Whether the activation is read after the last node has run.
    pub fn is_left(&self, tensor: TensorId) -> bool {
        self.left().any(|id| id == tensor)
    }

    /// Bytes of all states together.
    pub fn state_bytes(&self) -> usize {
        self.states.iter().map(|state| self.tensors[state.input.0].bytes()).sum()
    }
}

/// Index into [`Program::tensors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TensorId(pub usize);

/// An activation.
#[derive(Clone, Debug, PartialEq)]
pub struct IntTensor {
    /// The name of the value in the source model.
    pub name: String,
    /// `[height, width, channels]`.
    pub shape: [usize; 3],
    /// Storage of the elements.
    pub dtype: DType,
    /// Bits of the grid: 2..=8, or 16.
    pub bits: u8,
    /// The grid.
    pub grid: Grid,
}

impl IntTensor {
    /// The number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of all elements.
    pub fn bytes(&self) -> usize {
        self.len() * self.dtype.bits() / 8
    }

    /// The integer bits of the output of a log-softmax; verified programs have grids with such.
    pub fn log_softmax_integer_bits(&self) -> u32 {
        log_softmax_integer_bits(self.grid.scale).unwrap_or(4)
    }

    /// Bytes of one row.
    pub fn row_bytes(&self) -> usize {
        self.shape[1] * self.shape[2] * self.dtype.bits() / 8
    }
}

/// An operation of the program.
#[derive(Clone, Debug, PartialEq)]
pub struct IntNode {
    /// The name of the node in the source model.
    pub name: String,
    /// What it computes.
    pub op: IntOp,
    /// The activations that it reads, in order.
    pub inputs: Vec<TensorId>,
    /// The activation that it writes.
    pub output: TensorId,
}

/// Where a program came from, for every report and file that it travels in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The version of burn-ptq that made it.
    pub version: String,
    /// The recipe, as TOML.
    pub recipe: String,
    /// The seed.
    pub seed: u64,
    /// Hash of the source model's file.
    pub model_hash: String,
    /// Hash of the calibration data.
    pub calibration_hash: String,
}
