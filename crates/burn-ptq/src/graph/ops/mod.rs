//! The float operations: a small closed set, one file each.
//!
//! To add one: a file with a struct that implements [`Operator`], and a line in the list below.
//! The compiler then asks for the arm in `lower`, and whether it is a layer with weights: see [`Weighted`].

use std::ops::RangeInclusive;

use burn::tensor::Tensor;

mod add;
mod average_pool;
mod binary;
mod broadcast;
mod channel_affine;
mod clip;
mod compare;
mod concat;
mod constant;
mod conv2d;
mod dilate;
mod linear;
mod log_softmax;
mod lookup;
mod mat_mul;
mod max_pool;
mod mul;
mod normalize;
mod pad;
mod permute;
mod rearrange;
mod reduce;
mod requantize;
mod reshape;
mod resize_linear;
mod softmax;
mod step;
mod top_k;
mod unary;
mod weighted;
mod window;

pub use add::Add;
pub use average_pool::AveragePool;
pub use binary::{Binary, BinaryFunction};
pub use channel_affine::{BatchNormStatistics, ChannelAffine};
pub use clip::Clip;
pub use compare::Comparison;
pub use concat::Concat;
pub use constant::Constant;
pub use conv2d::Conv2d;
pub use dilate::Dilate;
pub use linear::Linear;
pub use log_softmax::LogSoftmax;
pub use lookup::{Lookup, MAX_ROWS};
pub use mat_mul::MatMul;
pub use max_pool::MaxPool;
pub use mul::Mul;
pub use normalize::{Normalize, NormalizeBy};
pub use pad::Pad;
pub use permute::Permute;
pub use rearrange::Rearrange;
pub use reduce::{Reduce, ReduceFunction};
pub use requantize::Requantize;
pub use reshape::Reshape;
pub use resize_linear::{Positions, ResizeLinear};
pub use softmax::Softmax;
pub use step::{Step, StepRole};
pub use top_k::TopK;
pub use unary::{Unary, UnaryFunction};
pub use weighted::Weighted;
pub use window::Window;

use super::Array;

/// What the graph asks of an operation.
pub trait Operator {
    /// The name in reports, as ONNX users know it.
    fn name(&self) -> &'static str;

    /// The shape of an output sample, or why the inputs do not fit.
    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String>;

    /// Computes the output of a batch.
    ///
    /// # Shapes
    /// - inputs and output: `[batch, d1, d2, d3]`, as [`dims3`](super::dims3) says
    /// - parameters: as [`Op::parameters`] lists them
    fn forward(&self, inputs: &[Tensor<4>], parameters: &[Tensor<1>]) -> Tensor<4>;

    /// Where the output's grid comes from.
    fn output_grid(&self) -> OutputGrid;

    /// Multiply-accumulates of one sample.
    fn macs(&self, inputs: &[&[usize]], output: &[usize]) -> usize;

    /// How many inputs it takes.
    fn arity(&self) -> RangeInclusive<usize>;

    /// Whether every element of the output is an element of an input, unchanged.
    fn moves_elements(&self) -> bool;

    /// Whether it computes means, which lie between the levels of a grid of few bits and which the
    /// integer kernel rounds by a rule of its own, away from the integer zero.
    fn averages(&self) -> bool;

    /// The axis of a sample along which it turns logits of classes into probabilities or their
    /// logarithms, if it does; the integer kernel reads and writes 8 bits.
    fn class_axis(&self) -> Option<usize>;

    /// Whether the integer kernel can clamp its output.
    fn can_clamp(&self) -> bool;

    /// Whether each of `channels` equal runs along `axis` of the output depends on that run of the
    /// input alone, for operations without weights.
    fn keeps_channels_apart(&self, axis: usize, channels: usize) -> bool;
}

/// Where the quantization grid of a node's output comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OutputGrid {
    /// From the observed range of the output.
    Observed,
    /// The output has the grid of its inputs, which share one.
    Shared,
    /// Fixed by the operation at 8 bits: scale and zero point.
    Fixed {
        /// The scale.
        scale: f32,
        /// The zero point.
        zero_point: i32,
        /// How often the scale may double until the grid reaches what was observed.
        doublings: u32,
    },
    /// Places of elements: 16 bits, scale 1, zero point 0.
    Places,
}

macro_rules! ops {
    ($($name:ident),* $(,)?) => {
        /// An operation of the float graph.
        #[derive(Clone, Debug)]
        pub enum Op {
            $(#[doc = concat!("See [`", stringify!($name), "`].")] $name($name),)*
        }

        impl Op {
            /// The operation behind the variant.
            pub fn operator(&self) -> &dyn Operator {
                match self { $(Op::$name(op) => op,)* }
            }
        }

        $(impl From<$name> for Op {
            fn from(op: $name) -> Self { Op::$name(op) }
        })*
    };
}

ops! {
    Conv2d, Linear, ChannelAffine, Add, Mul, AveragePool, MaxPool, Clip, Unary, Reshape, Permute,
    Concat, Pad, Requantize, Softmax, LogSoftmax, MatMul, Reduce,
    Dilate, ResizeLinear, Normalize, Rearrange, TopK, Lookup, Constant, Binary, Step,
}

impl Op {
    /// Whether the elements of its only input move, unchanged.
    pub fn rearranges(&self) -> bool {
        let operator = self.operator();
        operator.moves_elements() && operator.arity() == (1..=1)
    }

    /// Whether it gives the elements of its only input another shape or order, and keeps each of them.
    pub fn reorders(&self) -> bool {
        match self {
            Op::Reshape(_) | Op::Permute(_) => true,
            Op::Rearrange(op) => op.is_permutation(),
            Op::Conv2d(_)
            | Op::Linear(_)
            | Op::ChannelAffine(_)
            | Op::Add(_)
            | Op::Mul(_)
            | Op::AveragePool(_)
            | Op::MaxPool(_)
            | Op::Clip(_)
            | Op::Unary(_)
            | Op::Concat(_)
            | Op::Pad(_)
            | Op::Requantize(_)
            | Op::Softmax(_)
            | Op::LogSoftmax(_)
            | Op::MatMul(_)
            | Op::Reduce(_)
            | Op::Normalize(_)
            | Op::TopK(_)
            | Op::Dilate(_)
            | Op::ResizeLinear(_)
            | Op::Lookup(_)
            | Op::Constant(_)
            | Op::Binary(_)
            | Op::Step(_) => false,
        }
    }

    /// Whether samples may have more than three axes: where their elements only move, or each meets
    /// itself alone.
    pub(super) fn takes_more_axes(&self) -> bool {
        match self {
            Op::Reshape(_)
            | Op::Rearrange(_)
            | Op::Clip(_)
            | Op::Unary(_)
            | Op::Requantize(_)
            | Op::Add(_)
            | Op::Mul(_)
            | Op::Binary(_)
            | Op::Constant(_)
            | Op::ChannelAffine(_) => true,
            Op::Conv2d(_)
            | Op::Linear(_)
            | Op::AveragePool(_)
            | Op::MaxPool(_)
            | Op::Permute(_)
            | Op::Concat(_)
            | Op::Pad(_)
            | Op::Softmax(_)
            | Op::LogSoftmax(_)
            | Op::MatMul(_)
            | Op::Reduce(_)
            | Op::Normalize(_)
            | Op::TopK(_)
            | Op::Dilate(_)
            | Op::ResizeLinear(_)
            | Op::Lookup(_)
            | Op::Step(_) => false,
        }
    }

    /// The constants that [`Operator::forward`] expects, in order: weight, then bias (or scale,
    /// then shift); the elements of a constant.
    pub fn parameters(&self) -> Vec<&Array> {
        if let Op::Constant(constant) = self {
            return vec![&constant.array];
        }
        self.weight_and_bias().map_or(Vec::new(), |(weight, bias)| vec![weight, bias])
    }
}
