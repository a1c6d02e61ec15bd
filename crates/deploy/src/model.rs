//! The integer program: what a microcontroller executes.
//!
//! An [`IntModel`] is complete: weights are packed, multipliers derived, every tensor has its place
//! in one arena. The interpreter runs it, exporters print it; neither computes anything anew.
//!
//! Tensors hold one sample in NHWC order (`[height, width, channels]`, or `[1, 1, features]`), so
//! that a batch of one needs no axis.

use std::fmt;
use std::marker::PhantomData;

use burn_ptq_kernels::grid::Grid;
use burn_ptq_kernels::reference::log_softmax_integer_bits;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

pub use crate::border::Border;
pub use crate::op::{Broadcast, DType, IntOp, Weighted, Weights};
use crate::preprocess::Preprocessing;

/// The most operations, and the most tensors, streams and classes, that a program may have.
pub const MAX_NODES: usize = 1 << 14;

/// An integer program with planned memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IntModel {
    /// The model's name, from the source file; exporters derive identifiers from it.
    pub name: String,
    /// All activations.
    #[serde(deserialize_with = "few")]
    pub tensors: Vec<IntTensor>,
    /// The operations in the order of execution.
    #[serde(deserialize_with = "few")]
    pub nodes: Vec<IntNode>,
    /// The activation that the caller fills.
    pub input: TensorId,
    /// The activation that the caller reads.
    pub output: TensorId,
    /// How a sample of the source model becomes the input.
    pub input_border: Border,
    /// How the output becomes a sample of the source model.
    pub output_border: Border,
    /// Bytes of the one arena that holds every activation and every scratch region.
    pub arena_bytes: usize,
    /// Where the program came from.
    pub provenance: Provenance,
    /// Nodes that run row by row, in the order of execution; no node is in two of them.
    #[serde(deserialize_with = "few")]
    pub streams: Vec<Stream>,
    /// How raw samples become the source model's input.
    pub preprocessing: Preprocessing,
    /// The names of the output's classes, if known; otherwise empty.
    #[serde(deserialize_with = "few")]
    pub classes: Vec<String>,
}

/// Reads a list of at most [`MAX_NODES`] elements: in memory they take many times the bytes that they
/// may have in a file.
fn few<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Few<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Few<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            write!(f, "a list of at most {MAX_NODES} elements")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut elements = Vec::new();
            while let Some(element) = list.next_element()? {
                if elements.len() == MAX_NODES {
                    return Err(A::Error::invalid_length(MAX_NODES + 1, &self));
                }
                elements.push(element);
            }
            Ok(elements)
        }
    }

    deserializer.deserialize_seq(Few(PhantomData))
}

impl IntModel {
    /// For each node, the first and the last node that run with it: those of its stream, or itself.
    pub fn spans(&self) -> Vec<(usize, usize)> {
        let mut spans: Vec<_> = (0..self.nodes.len()).map(|node| (node, node)).collect();
        for stream in &self.streams {
            if let Some(span) = spans.get_mut(stream.nodes()) {
                span.fill((stream.first, stream.last()));
            }
        }
        spans
    }

    /// For each tensor, the bytes of it that memory holds: all of them, or a few rows.
    pub fn held_bytes(&self) -> Vec<usize> {
        let mut held: Vec<_> = self.tensors.iter().map(IntTensor::bytes).collect();
        for stream in &self.streams {
            let nodes = self.nodes.get(stream.nodes()).unwrap_or_default();
            for (node, rows) in nodes.iter().zip(&stream.rows) {
                held[node.output.0] = rows * self.tensors[node.output.0].row_bytes();
            }
        }
        held
    }
}

/// Consecutive nodes that run row by row, so that memory holds a few rows of what they pass on to
/// each other.
///
/// The order of the rows is that of [`Run`](burn_ptq_kernels::stream::Run). The last node's output
/// may begin before an input of the stream in memory and reach into it, as long as every row lies
/// before the rows of the input that are still needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// Index of the first node.
    pub first: usize,
    /// For each node, the rows of its output that memory holds; all of them for the last.
    pub rows: Vec<usize>,
}

impl Stream {
    /// Index of the last node.
    pub fn last(&self) -> usize {
        self.first + self.rows.len().saturating_sub(1)
    }

    /// The nodes.
    pub fn nodes(&self) -> std::ops::Range<usize> {
        self.first..self.first.saturating_add(self.rows.len())
    }
}

/// Index into [`IntModel::tensors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TensorId(pub usize);

/// An activation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// Where the first element stands in the arena, in bytes; a multiple of the element's size.
    pub offset: usize,
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IntNode {
    /// The name of the node in the source model.
    pub name: String,
    /// What it computes.
    pub op: IntOp,
    /// The activations that it reads, in order.
    pub inputs: Vec<TensorId>,
    /// The activation that it writes.
    pub output: TensorId,
    /// Arena bytes that the operation may use while it runs.
    pub scratch: Region,
}

/// A part of the arena.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    /// First byte; a multiple of 8.
    pub offset: usize,
    /// Length in bytes; 0 if unused.
    pub bytes: usize,
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
