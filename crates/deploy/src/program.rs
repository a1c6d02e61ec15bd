//! The integer program: what is computed, and on which tensors. Where they lie in memory, a
//! [`Placed`](crate::place::Placed) program says.
//!
//! Tensors hold one sample in NHWC order (`[height, width, channels]`, or `[1, 1, features]`), so
//! that a batch of one needs no axis.

use burn_ptq_kernels::grid::Grid;
use burn_ptq_kernels::reference::log_softmax_integer_bits;
use serde::{Deserialize, Serialize};

pub use crate::border::Border;
pub use crate::op::{Broadcast, DType, IntOp, Weighted, Weights};
use crate::preprocess::Preprocessing;

/// The most operations, and the most tensors, streams and classes, that a program may have.
pub const MAX_NODES: usize = 1 << 14;

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
    /// The activation that the caller fills.
    pub input: TensorId,
    /// The activation that the caller reads.
    pub output: TensorId,
    /// How a sample of the source model becomes the input.
    pub input_border: Border,
    /// How the output becomes a sample of the source model.
    pub output_border: Border,
    /// Where the program came from.
    pub provenance: Provenance,
    /// How raw samples become the source model's input.
    pub preprocessing: Preprocessing,
    /// The names of the output's classes, if known; otherwise empty.
    pub classes: Vec<String>,
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
