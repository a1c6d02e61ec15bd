//! The layers with weights among the operations.

use super::{ChannelAffine, Conv2d, Linear, Op};
use crate::graph::Array;

/// An operation whose weights are quantized.
///
/// Whatever asks which of them a layer is names all of them, so that the compiler asks everywhere what holds
/// for another one.
#[derive(Clone, Copy, Debug)]
pub enum Weighted<'a> {
    /// See [`Conv2d`].
    Conv2d(&'a Conv2d),
    /// See [`Linear`].
    Linear(&'a Linear),
    /// See [`ChannelAffine`].
    ChannelAffine(&'a ChannelAffine),
}

impl<'a> Weighted<'a> {
    /// The weight and bias, output channels first.
    pub fn weight_and_bias(self) -> (&'a Array, &'a Array) {
        match self {
            Self::Conv2d(op) => (&op.weight, &op.bias),
            Self::Linear(op) => (&op.weight, &op.bias),
            Self::ChannelAffine(op) => (&op.scale, &op.shift),
        }
    }

    /// The axis of a sample that the input and output channels lie along.
    pub fn channel_axis(self) -> usize {
        match self {
            Self::Conv2d(_) | Self::ChannelAffine(_) => 0,
            Self::Linear(op) => op.axis,
        }
    }
}

impl Op {
    /// Which layer with weights it is, if it is one.
    pub fn weighted(&self) -> Option<Weighted<'_>> {
        match self {
            Op::Conv2d(op) => Some(Weighted::Conv2d(op)),
            Op::Linear(op) => Some(Weighted::Linear(op)),
            Op::ChannelAffine(op) => Some(Weighted::ChannelAffine(op)),
            Op::Add(_)
            | Op::Mul(_)
            | Op::AveragePool(_)
            | Op::MaxPool(_)
            | Op::Clip(_)
            | Op::Unary(_)
            | Op::Reshape(_)
            | Op::Permute(_)
            | Op::Concat(_)
            | Op::Pad(_)
            | Op::Requantize(_)
            | Op::Softmax(_)
            | Op::LogSoftmax(_)
            | Op::MatMul(_)
            | Op::Reduce(_)
            | Op::Normalize(_)
            | Op::TopK(_)
            | Op::Rearrange(_)
            | Op::Dilate(_)
            | Op::ResizeLinear(_)
            | Op::Lookup(_)
            | Op::Constant(_)
            | Op::Binary(_)
            | Op::Step(_) => None,
        }
    }

    /// The weight and bias of an operation whose weights are quantized, output channels first.
    pub fn weight_and_bias(&self) -> Option<(&Array, &Array)> {
        self.weighted().map(Weighted::weight_and_bias)
    }

    /// The weight and bias, mutably.
    pub fn weight_and_bias_mut(&mut self) -> Option<(&mut Array, &mut Array)> {
        match self {
            Op::Conv2d(op) => Some((&mut op.weight, &mut op.bias)),
            Op::Linear(op) => Some((&mut op.weight, &mut op.bias)),
            Op::ChannelAffine(op) => Some((&mut op.scale, &mut op.shift)),
            Op::Add(_)
            | Op::Mul(_)
            | Op::AveragePool(_)
            | Op::MaxPool(_)
            | Op::Clip(_)
            | Op::Unary(_)
            | Op::Reshape(_)
            | Op::Permute(_)
            | Op::Concat(_)
            | Op::Pad(_)
            | Op::Requantize(_)
            | Op::Softmax(_)
            | Op::LogSoftmax(_)
            | Op::MatMul(_)
            | Op::Reduce(_)
            | Op::Normalize(_)
            | Op::TopK(_)
            | Op::Rearrange(_)
            | Op::Dilate(_)
            | Op::ResizeLinear(_)
            | Op::Lookup(_)
            | Op::Constant(_)
            | Op::Binary(_)
            | Op::Step(_) => None,
        }
    }
}
