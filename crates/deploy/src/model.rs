//! The integer program: what a microcontroller executes.
//!
//! An [`IntModel`] is complete: weights are packed, multipliers derived, every tensor has its place
//! in one arena. The interpreter runs it, exporters print it; neither computes anything anew.
//!
//! Tensors hold one sample in NHWC order (`[height, width, channels]`, or `[1, 1, features]`), so
//! that a batch of one needs no axis.

use std::fmt;
use std::marker::PhantomData;

use burn_ptq_kernels::geometry::{ConvGeometry, DepthwiseGeometry, PoolGeometry};
use burn_ptq_kernels::grid::Grid;
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::packing::PackedWeights;
use burn_ptq_kernels::params::{AddParams, Clamp};
use burn_ptq_kernels::reference::log_softmax_integer_bits;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

pub use crate::border::Border;
use crate::preprocess::Preprocessing;
use crate::verify::MAX_NODES;

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

/// Storage of an activation's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DType {
    /// Signed 8-bit integers; narrower grids use it too.
    I8,
    /// Signed 16-bit integers with zero point 0.
    I16,
    /// Signed 4-bit integers, two to a byte, the first in the low bits. Only [`IntOp::Pack`] writes
    /// them and only [`IntOp::Unpack`] reads them.
    I4,
}

impl DType {
    /// Bits of one element in a tensor.
    pub const fn bits(self) -> usize {
        match self {
            DType::I4 => 4,
            DType::I8 => 8,
            DType::I16 => 16,
        }
    }

    /// Bytes of one element by itself.
    pub const fn bytes(self) -> usize {
        self.bits().div_ceil(8)
    }
}

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

/// Packed weights and the scales that they were quantized with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weights {
    /// The shape, in the order that the operation documents.
    pub shape: Vec<usize>,
    /// Bits of the grid, 2..=8: values lie in
    /// [`weight_range(bits)`](burn_ptq_kernels::grid::weight_range).
    pub bits: u8,
    /// Bits that one weight takes in `data`: 2, 3, 4 or 8.
    pub storage: u8,
    /// The packed values.
    pub data: Vec<u8>,
    /// One scale an output channel, or a single one.
    pub scales: Vec<f32>,
}

impl Weights {
    /// The number of weights.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there is no weight.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The packed values, readable by index.
    pub fn packed(&self) -> PackedWeights<'_> {
        PackedWeights { bytes: &self.data, storage: self.storage }
    }

    /// The values, one byte each.
    pub fn unpack(&self) -> Vec<i8> {
        let packed = self.packed();
        (0..self.len()).map(|i| packed.get(i) as i8).collect()
    }
}

/// Weights, biases and rescaling of a convolution or fully connected layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weighted {
    /// The weights.
    pub weights: Weights,
    /// One bias an output channel, at scale `input * weight`.
    pub bias: Vec<i32>,
    /// One multiplier an output channel, or a single one.
    pub multipliers: Vec<Multiplier>,
    /// Bounds of the output.
    pub clamp: Clamp,
}

/// How the second input of an element-wise operation meets the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Broadcast {
    /// Both have the same number of elements.
    None,
    /// The second has one element a channel (`[1, 1, channels]`).
    Channels,
    /// The second has a single element.
    Scalar,
}

/// The operations of integer programs.
///
/// Reshapes do not occur: buffers are flat, and an operation carries its own geometry. Unless said
/// otherwise, inputs and outputs have the same [`DType`]; zero points come from the tensors' grids.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum IntOp {
    /// Convolution; weights `[out_channels, kernel_h, kernel_w, in_channels / groups]`.
    Conv2d {
        /// Shapes and window.
        geometry: ConvGeometry,
        /// Weights and rescaling.
        weighted: Weighted,
    },
    /// Depthwise convolution; weights `[kernel_h, kernel_w, channels * multiplier]`.
    DepthwiseConv2d {
        /// Shapes and window.
        geometry: DepthwiseGeometry,
        /// Weights and rescaling.
        weighted: Weighted,
    },
    /// Fully connected layer on `rows` rows; weights `[out_features, in_features]`.
    FullyConnected {
        /// Rows of the input and the output.
        rows: usize,
        /// Elements of an input row.
        in_features: usize,
        /// Elements of an output row.
        out_features: usize,
        /// Weights and rescaling.
        weighted: Weighted,
    },
    /// Element-wise sum.
    Add {
        /// Rescaling.
        params: AddParams,
        /// How the second input meets the first.
        broadcast: Broadcast,
        /// Bounds of the output.
        clamp: Clamp,
    },
    /// Element-wise product.
    Mul {
        /// `scale_a * scale_b / scale_output`.
        multiplier: Multiplier,
        /// How the second input meets the first.
        broadcast: Broadcast,
        /// Bounds of the output.
        clamp: Clamp,
    },
    /// Average over the window's elements that are not padding; input and output share the grid.
    AveragePool {
        /// Shapes and window.
        geometry: PoolGeometry,
        /// Bounds of the output.
        clamp: Clamp,
    },
    /// Maximum over the window's elements that are not padding; input and output share the grid.
    MaxPool {
        /// Shapes and window.
        geometry: PoolGeometry,
        /// Bounds of the output.
        clamp: Clamp,
    },
    /// Any unary function of 8-bit activations: the output for each input from -128 to 127.
    Table8 {
        /// 256 outputs.
        table: Vec<i8>,
    },
    /// Any unary function of 16-bit activations, interpolated between 513 points.
    Table16 {
        /// 513 outputs, for inputs -32768, -32640, ... 32768.
        table: Vec<i16>,
    },
    /// Softmax over rows of 8-bit activations; output scale 1/256, zero point -128.
    Softmax {
        /// Rows.
        rows: usize,
        /// Elements of a row.
        depth: usize,
        /// Rescales differences to the exponential's input.
        input_multiplier: Multiplier,
        /// Differences below this count as minus infinity.
        diff_min: i32,
    },
    /// Logarithm of the softmax over rows of 8-bit activations; output scale 16/256 times a power of
    /// two, zero point 127.
    LogSoftmax {
        /// Rows.
        rows: usize,
        /// Elements of a row.
        depth: usize,
        /// `exp(-d * scale)` in Q0.20 for a difference `d` of 0..=255.
        exponentials: Vec<u32>,
        /// Rescales differences of inputs to the output.
        input_multiplier: Multiplier,
    },
    /// Moves values to another grid, and between 8 and 16 bits.
    Requantize {
        /// `scale_input / scale_output`.
        multiplier: Multiplier,
        /// Bounds of the output.
        clamp: Clamp,
    },
    /// Joins inputs of one grid: for each of `outer` steps, `chunks[i]` elements of input `i`.
    Concat {
        /// Steps.
        outer: usize,
        /// Elements of each input in one step.
        chunks: Vec<usize>,
    },
    /// Surrounds `[height, width, channels]` with copies of `value`.
    Pad {
        /// The input's shape.
        input: [usize; 3],
        /// Elements before each axis.
        before: [usize; 3],
        /// Elements after each axis.
        after: [usize; 3],
        /// The integer to write.
        value: i32,
    },
    /// Permutes axes: `output.shape[i] = input[axes[i]]`.
    Transpose {
        /// The input's shape.
        input: [usize; 3],
        /// The input axis of each output axis.
        axes: [usize; 3],
    },
    /// Stores elements of at most 4 bits two to a byte; input and output share the grid.
    Pack,
    /// Stores elements one to a byte again; input and output share the grid.
    Unpack,
}

impl IntOp {
    /// The operation's name in reports.
    pub const fn name(&self) -> &'static str {
        match self {
            IntOp::Conv2d { .. } => "Conv2d",
            IntOp::DepthwiseConv2d { .. } => "DepthwiseConv2d",
            IntOp::FullyConnected { .. } => "FullyConnected",
            IntOp::Add { .. } => "Add",
            IntOp::Mul { .. } => "Mul",
            IntOp::AveragePool { .. } => "AveragePool",
            IntOp::MaxPool { .. } => "MaxPool",
            IntOp::Table8 { .. } => "Table8",
            IntOp::Table16 { .. } => "Table16",
            IntOp::Softmax { .. } => "Softmax",
            IntOp::LogSoftmax { .. } => "LogSoftmax",
            IntOp::Requantize { .. } => "Requantize",
            IntOp::Concat { .. } => "Concat",
            IntOp::Pad { .. } => "Pad",
            IntOp::Transpose { .. } => "Transpose",
            IntOp::Pack => "Pack",
            IntOp::Unpack => "Unpack",
        }
    }

    /// Weights and rescaling, for the operations that have them.
    pub const fn weighted(&self) -> Option<&Weighted> {
        match self {
            IntOp::Conv2d { weighted, .. }
            | IntOp::DepthwiseConv2d { weighted, .. }
            | IntOp::FullyConnected { weighted, .. } => Some(weighted),
            _ => None,
        }
    }

    /// Multiply-accumulates of one inference.
    pub const fn macs(&self) -> usize {
        match self {
            IntOp::Conv2d { geometry, .. } => geometry.macs(),
            IntOp::DepthwiseConv2d { geometry, .. } => geometry.macs(),
            IntOp::FullyConnected { rows, in_features, out_features, .. } => {
                *rows * *in_features * *out_features
            }
            _ => 0,
        }
    }

    /// Whether the output may take the place of the first input in memory: element `i` of the
    /// output depends on no element of it but `i`.
    pub const fn is_elementwise(&self) -> bool {
        matches!(
            self,
            IntOp::Add { .. }
                | IntOp::Mul { .. }
                | IntOp::Table8 { .. }
                | IntOp::Table16 { .. }
                | IntOp::Requantize { .. }
        )
    }

    /// Bytes of constants (weights as stored, biases, multipliers, tables) that the operation keeps
    /// in flash.
    pub fn constant_bytes(&self) -> usize {
        match self {
            IntOp::Table8 { table } => table.len(),
            IntOp::Table16 { table } => table.len() * 2,
            IntOp::LogSoftmax { exponentials, .. } => exponentials.len() * 4,
            _ => self
                .weighted()
                .map_or(0, |w| w.weights.data.len() + w.bias.len() * 4 + w.multipliers.len() * 8),
        }
    }
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
