//! The operations of integer programs, and what the rest of the crate asks about them.
//!
//! Every match over [`IntOp`] names every operation, so that a new one does not compile until each
//! question has its answer.

use burn_ptq_kernels::geometry::{
    ConvGeometry, DepthwiseGeometry, MatMulGeometry, NormalizeGeometry, PoolGeometry,
    TransposeConvGeometry,
};
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::packing::PackedWeights;
use burn_ptq_kernels::params::{
    AddParams, Clamp, GateParams, NormalizeParams, PreluParams, Reduction, Selection, Strides,
};
use serde::{Deserialize, Serialize};

use crate::movement::MoveAxis;

mod answers;

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
    /// Extents of both, `[height, width, channels]`, that are equal or 1 on each axis: an input
    /// repeats where it has one step and the other has more.
    Shapes {
        /// Of the first input.
        a: [usize; 3],
        /// Of the second input.
        b: [usize; 3],
    },
}

impl Broadcast {
    /// Where inputs meet that give `length` elements of the output, the second of `b_length`.
    pub const fn strides(self, length: usize, b_length: usize) -> Strides {
        match self {
            Broadcast::None => Strides::of_shapes([1, 1, length], [1, 1, length]),
            Broadcast::Channels => {
                let rows = length.checked_div(b_length);
                let rows = if let Some(rows) = rows { rows } else { 0 };
                Strides::of_shapes([1, rows, b_length], [1, 1, b_length])
            }
            Broadcast::Scalar => Strides::of_shapes([1, 1, length], [1, 1, 1]),
            Broadcast::Shapes { a, b } => Strides::of_shapes(a, b),
        }
    }
}

/// What an operation of two values computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BinaryFunction {
    /// The first less the second.
    Sub(AddParams),
    /// The first divided by the second; the multiplier is `scale_a / (scale_b * scale_output)`.
    Div(Multiplier),
    /// The smaller one; inputs and output share the grid, which bounds the output.
    Minimum,
    /// The larger one; inputs and output share the grid, which bounds the output.
    Maximum,
    /// The first where it is not negative, otherwise its product with the second.
    Prelu(PreluParams),
}

/// Scales and shifts of normalized elements; see
/// [`ScalesAndShifts`](burn_ptq_kernels::reference::ScalesAndShifts).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NormalizeAffine {
    /// The scales.
    pub scales: Vec<i16>,
    /// The shifts, in 1/256 of a step of the output.
    pub shifts: Vec<i32>,
    /// Fraction bits of products of results and scales.
    pub fraction: u32,
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
    /// Fully connected layer on `rows` rows; weights `[out_features, in_features]`. The output of 8-bit inputs may
    /// have 16 bits, as gates have: sums have 32 bits then and are rescaled as those of 8-bit outputs.
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
        /// How both inputs are rescaled.
        params: AddParams,
        /// How the second input meets the first.
        broadcast: Broadcast,
        /// Bounds of the output.
        clamp: Clamp,
    },
    /// Element-wise product. That of 16-bit inputs of equal shapes may have 8 bits, as hidden states have.
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
        /// The number of rows.
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
        /// The number of rows.
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
        /// The number of steps.
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
    /// Products of matrices of two activations.
    BatchMatMul {
        /// Extents, and where elements are.
        geometry: MatMulGeometry,
        /// `scale_a * scale_b / scale_output`, times a constant factor.
        multiplier: Multiplier,
        /// Bounds of the output.
        clamp: Clamp,
    },
    /// Reduction of `[outer, reduced, inner]` to `[outer, inner]`.
    Reduce {
        /// What becomes of the reduced elements.
        reduction: Reduction,
        /// The number of runs of reduced elements.
        outer: usize,
        /// Elements that become one.
        reduced: usize,
        /// Elements between two that become one.
        inner: usize,
        /// Rescales the reduced value to the output.
        multiplier: Multiplier,
        /// Bounds of the output.
        clamp: Clamp,
    },
    /// Normalization of groups of elements.
    Normalize {
        /// The groups, and where their elements are.
        geometry: NormalizeGeometry,
        /// The arithmetic.
        params: NormalizeParams,
        /// Scales and shifts, if there are any.
        affine: Option<NormalizeAffine>,
        /// Bounds of the output.
        clamp: Clamp,
    },
    /// The first `k` elements of each of `rows` rows, sorted, or their places, in 16 bits on a grid of
    /// scale 1.
    TopK {
        /// Which elements, and what of them.
        selection: Selection,
        /// The number of rows.
        rows: usize,
        /// Elements of a row.
        depth: usize,
        /// Elements that are selected.
        k: usize,
    },
    /// Copies elements from anywhere: output element `(i, j, ..)` is the input's at
    /// `first + axes[0] at i + axes[1] at j + ..`; input and output share the grid.
    Rearrange {
        /// The place that steps count from.
        first: usize,
        /// The axes of the output, at most [`MAX_AXES`](burn_ptq_kernels::reference::MAX_AXES), the
        /// last one fastest.
        axes: Vec<MoveAxis>,
    },
    /// Transposed convolution; weights `[out_channels, kernel_h, kernel_w, in_channels / groups]`.
    TransposeConv2d {
        /// Shapes and window.
        geometry: TransposeConvGeometry,
        /// Weights and rescaling.
        weighted: Weighted,
    },
    /// Linear interpolation to other extents of `[height, width, channels]`; input and output share
    /// the grid. Positions between the input's elements have 10 fraction bits.
    ResizeLinear {
        /// The input's shape.
        input: [usize; 3],
        /// Where each row of the output lies.
        rows: Vec<u32>,
        /// Where each column of the output lies.
        columns: Vec<u32>,
    },
    /// Rows of a table of 8-bit elements by their numbers, which activations of scale 1 hold.
    Lookup8 {
        /// Elements of a row.
        width: usize,
        /// The rows, one after the other.
        table: Vec<i8>,
    },
    /// The same of 16-bit elements.
    Lookup16 {
        /// Elements of a row.
        width: usize,
        /// The rows, one after the other.
        table: Vec<i16>,
    },
    /// Copies constant elements from flash into the output; it has no input.
    Constant {
        /// The elements as memory holds them: one byte each, or two, the low one first.
        data: Vec<u8>,
    },
    /// A function of two values, element by element.
    Binary {
        /// The function.
        function: BinaryFunction,
        /// How the second input meets the first.
        broadcast: Broadcast,
        /// Bounds of the output.
        clamp: Clamp,
    },
    /// Copies the part of a step of a [`Loop`](crate::loops::Loop), between a sequence, which has as many parts as
    /// the loop has steps, and an activation of one part; input and output share the grid.
    ///
    /// It takes the part out of its input, which nodes before the loop have written, or puts it into its
    /// output, which nodes after the loop may read.
    Step {
        /// Whether the sequence is the output.
        put: bool,
        /// Whether the first step's part is the last of the sequence.
        reverse: bool,
    },
    /// Sigmoid or hyperbolic tangent of 16-bit activations as TensorFlow Lite Micro's LSTM has it, from a table that
    /// all gates share; output scale 2^-15.
    Gate {
        /// The function and how inputs are scaled.
        params: GateParams,
    },
}

/// The operations without weights, as a pattern: the last arm of matches that are about weights.
macro_rules! weightless {
    () => {
        $crate::op::IntOp::Add { .. }
            | $crate::op::IntOp::Mul { .. }
            | $crate::op::IntOp::AveragePool { .. }
            | $crate::op::IntOp::MaxPool { .. }
            | $crate::op::IntOp::Table8 { .. }
            | $crate::op::IntOp::Table16 { .. }
            | $crate::op::IntOp::Gate { .. }
            | $crate::op::IntOp::Softmax { .. }
            | $crate::op::IntOp::LogSoftmax { .. }
            | $crate::op::IntOp::Requantize { .. }
            | $crate::op::IntOp::Concat { .. }
            | $crate::op::IntOp::Pad { .. }
            | $crate::op::IntOp::Transpose { .. }
            | $crate::op::IntOp::Pack
            | $crate::op::IntOp::Unpack
            | $crate::op::IntOp::BatchMatMul { .. }
            | $crate::op::IntOp::Reduce { .. }
            | $crate::op::IntOp::Normalize { .. }
            | $crate::op::IntOp::TopK { .. }
            | $crate::op::IntOp::Rearrange { .. }
            | $crate::op::IntOp::ResizeLinear { .. }
            | $crate::op::IntOp::Lookup8 { .. }
            | $crate::op::IntOp::Lookup16 { .. }
            | $crate::op::IntOp::Constant { .. }
            | $crate::op::IntOp::Step { .. }
            | $crate::op::IntOp::Binary { .. }
    };
}
pub(crate) use weightless;

/// The element types that an operation reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementTypes {
    /// Any type of whole bytes, the same in and out.
    Same,
    /// This type in and out.
    Only(DType),
    /// Any types of whole bytes.
    Any,
    /// Any type of whole bytes, the same in and out, or 8 bits in and 16 out.
    SameOrWider,
    /// Any type of whole bytes, the same in and out, or 16 bits in and 8 out.
    SameOrNarrower,
    /// Any type of whole bytes in, this one out.
    To(DType),
    /// The first type in and the second out, of at most 4 bits.
    Nibbles(DType, DType),
}
