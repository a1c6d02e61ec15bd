// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Shapes of the windowed operations. All extents are in elements, layouts are NHWC with one
//! sample, padding at the bottom and right is implied by the output extents.

use core::ops::Range;

#[cfg(feature = "serde")]
use serde::{Deserialize, Serialize};

use crate::stream::Rows;

/// How a two-dimensional window walks over an input plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
pub struct Window {
    /// Kernel extents, height then width.
    pub kernel: [usize; 2],
    /// Steps between windows.
    pub stride: [usize; 2],
    /// Distance between two taps of the kernel.
    pub dilation: [usize; 2],
    /// Padding before the first row and column.
    pub pad: [usize; 2],
}

impl Window {
    /// The input coordinate along `axis` (0 height, 1 width) that tap `tap` of the window at
    /// `out` reads, or `None` in the padding.
    #[inline(always)]
    pub fn input(&self, axis: usize, out: usize, tap: usize, extent: usize) -> Option<usize> {
        let position = out * self.stride[axis] + tap * self.dilation[axis];
        position.checked_sub(self.pad[axis]).filter(|&p| p < extent)
    }

    /// The taps along `axis` of the window at `out` that read the input: they are neighbours.
    #[inline(always)]
    pub fn taps(&self, axis: usize, out: usize, extent: usize) -> Range<usize> {
        let Self { kernel, stride, dilation, pad } = *self;
        let [kernel, stride, dilation, pad] =
            [kernel, stride, dilation, pad].map(|axes| if axis == 0 { axes[0] } else { axes[1] });
        let origin = out * stride;
        // Most windows lie inside.
        if origin >= pad && origin + kernel.wrapping_sub(1) * dilation < pad + extent {
            return 0..kernel;
        }
        taps_at_border(origin, [kernel, dilation], [pad, pad + extent])
    }

    /// The input coordinate along `axis` that the first tap of the window at `out` reads; wrapped, if
    /// it lies in the padding.
    #[inline(always)]
    pub fn origin(&self, axis: usize, out: usize) -> usize {
        (out * self.stride[axis]).wrapping_sub(self.pad[axis])
    }

    /// The window as it stands on `rows` of an input, for one row of outputs.
    const fn on(self, rows: Rows) -> Self {
        Self { pad: [rows.pad, self.pad[1]], ..self }
    }
}

/// The taps of a window at `origin` that lie in the range from `pad` to before `end`.
#[inline(never)]
fn taps_at_border(
    origin: usize,
    [kernel, dilation]: [usize; 2],
    [pad, end]: [usize; 2],
) -> Range<usize> {
    let (mut first, mut last) = (0, kernel);
    while first < last && origin + first * dilation < pad {
        first += 1;
    }
    while last > first && origin + (last - 1) * dilation >= end {
        last -= 1;
    }
    first..last
}

/// A convolution: weights `[out_channels, kernel_h, kernel_w, in_channels / groups]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
pub struct ConvGeometry {
    /// Input height and width.
    pub input: [usize; 2],
    /// Output height and width.
    pub output: [usize; 2],
    /// Input channels, a multiple of `groups`.
    pub in_channels: usize,
    /// Output channels, a multiple of `groups`.
    pub out_channels: usize,
    /// Groups of channels that do not see each other.
    pub groups: usize,
    /// The window.
    pub window: Window,
}

impl ConvGeometry {
    /// Weights that one output channel uses.
    pub const fn weights_per_channel(&self) -> usize {
        self.window.kernel[0] * self.window.kernel[1] * self.inputs_per_group()
    }

    /// Input channels of a group.
    pub const fn inputs_per_group(&self) -> usize {
        per_group(self.in_channels, self.groups)
    }

    /// Output channels of a group.
    pub const fn filters_per_group(&self) -> usize {
        per_group(self.out_channels, self.groups)
    }

    /// Multiply-accumulates, counting the padding as the literature does.
    pub const fn macs(&self) -> usize {
        self.output[0] * self.output[1] * self.out_channels * self.weights_per_channel()
    }

    /// The same for one row of outputs, whose windows cover `rows` of the input.
    pub const fn row(&self, rows: Rows) -> Self {
        let (input, output) = ([rows.count, self.input[1]], [1, self.output[1]]);
        Self { input, output, window: self.window.on(rows), ..*self }
    }
}

/// A transposed convolution: weights `[out_channels, kernel_h, kernel_w, in_channels / groups]`.
///
/// It is the transpose of a convolution whose window walks over the *output*: input pixel `i` meets
/// tap `t` of the kernel in output pixel `i * stride + t * dilation - pad`, if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
pub struct TransposeConvGeometry {
    /// Input height and width.
    pub input: [usize; 2],
    /// Output height and width.
    pub output: [usize; 2],
    /// Input channels, a multiple of `groups`.
    pub in_channels: usize,
    /// Output channels, a multiple of `groups`.
    pub out_channels: usize,
    /// Groups of channels that do not see each other.
    pub groups: usize,
    /// The window over the output.
    pub window: Window,
}

/// The taps of a transposed convolution that meet an input, along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeetingTaps {
    /// The first tap.
    pub tap: usize,
    /// From one tap to the next.
    pub tap_step: usize,
    /// How many there are.
    pub count: usize,
    /// The input coordinate that the first tap meets.
    pub input: usize,
    /// By how much the coordinate falls from one tap to the next.
    pub input_step: usize,
}

impl TransposeConvGeometry {
    /// Weights that one output channel uses.
    pub const fn weights_per_channel(&self) -> usize {
        self.window.kernel[0] * self.window.kernel[1] * self.inputs_per_group()
    }

    /// Input channels of a group.
    pub const fn inputs_per_group(&self) -> usize {
        per_group(self.in_channels, self.groups)
    }

    /// Output channels of a group.
    pub const fn filters_per_group(&self) -> usize {
        per_group(self.out_channels, self.groups)
    }

    /// Multiply-accumulates, counting what falls outside of the output as the literature does.
    pub const fn macs(&self) -> usize {
        self.input[0] * self.input[1] * self.out_channels * self.weights_per_channel()
    }

    /// The input coordinate along `axis` (0 height, 1 width) that tap `tap` meets in the output at
    /// `out`, or `None` if there is none.
    #[inline(always)]
    pub fn input(&self, axis: usize, out: usize, tap: usize) -> Option<usize> {
        let Self { window: Window { stride, dilation, pad, .. }, input, .. } = *self;
        let position = (out + pad[axis]).checked_sub(tap * dilation[axis])?;
        let place = position.checked_div(stride[axis])?;
        (place * stride[axis] == position && place < input[axis]).then_some(place)
    }

    /// The taps along `axis` that meet an input in the output at `out`.
    #[inline(always)]
    pub fn taps(&self, axis: usize, out: usize) -> MeetingTaps {
        let [kernel, stride, dilation] =
            [self.window.kernel, self.window.stride, self.window.dilation]
                .map(|axes| if axis == 0 { axes[0] } else { axes[1] });
        let common = greatest_common_divisor(stride, dilation);
        let steps = |of: usize| of.checked_div(common).unwrap_or(1);
        let (tap_step, input_step) = (steps(stride), steps(dilation));
        let none = MeetingTaps { tap: 0, tap_step, count: 0, input: 0, input_step };
        let mut meetings = (0..kernel).map(|tap| (tap, self.input(axis, out, tap)));
        let Some((tap, Some(input))) = meetings.find(|(_, input)| input.is_some()) else {
            return none;
        };
        // As many as the kernel and the inputs before this one have.
        let in_kernel = (kernel - 1 - tap).checked_div(tap_step).unwrap_or(0);
        let in_input = input.checked_div(input_step).unwrap_or(0);
        MeetingTaps { tap, count: in_kernel.min(in_input) + 1, input, ..none }
    }
}

const fn greatest_common_divisor(mut a: usize, mut b: usize) -> usize {
    while let Some(rest) = a.checked_rem(b) {
        (a, b) = (b, rest);
    }
    a
}

/// There is at least one group; a division without that knowledge could panic.
const fn per_group(channels: usize, groups: usize) -> usize {
    match channels.checked_div(groups) {
        Some(share) => share,
        None => 0,
    }
}

/// A depthwise convolution: weights `[kernel_h, kernel_w, channels * multiplier]`; output channel
/// `c` reads input channel `c / multiplier`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
pub struct DepthwiseGeometry {
    /// Input height and width.
    pub input: [usize; 2],
    /// Output height and width.
    pub output: [usize; 2],
    /// Input channels.
    pub channels: usize,
    /// Output channels for each input channel.
    pub multiplier: usize,
    /// The window.
    pub window: Window,
}

impl DepthwiseGeometry {
    /// Output channels.
    pub const fn out_channels(&self) -> usize {
        self.channels * self.multiplier
    }

    /// Multiply-accumulates.
    pub const fn macs(&self) -> usize {
        let taps = self.window.kernel[0] * self.window.kernel[1];
        self.output[0] * self.output[1] * self.out_channels() * taps
    }

    /// The same for one row of outputs, whose windows cover `rows` of the input.
    pub const fn row(&self, rows: Rows) -> Self {
        let (input, output) = ([rows.count, self.input[1]], [1, self.output[1]]);
        Self { input, output, window: self.window.on(rows), ..*self }
    }
}

/// A pooling window over `[height, width, channels]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
pub struct PoolGeometry {
    /// Input height and width.
    pub input: [usize; 2],
    /// Output height and width.
    pub output: [usize; 2],
    /// Channels.
    pub channels: usize,
    /// The window; every window holds at least one element that is not padding.
    pub window: Window,
}

impl PoolGeometry {
    /// The same for one row of outputs, whose windows cover `rows` of the input.
    pub const fn row(&self, rows: Rows) -> Self {
        let (input, output) = ([rows.count, self.input[1]], [1, self.output[1]]);
        Self { input, output, window: self.window.on(rows), ..*self }
    }
}

/// A product of matrices of two activations, once for each of `batch` pairs.
///
/// The elements are read and written where strides say, so that any order of axes in memory, and a
/// transposed operand, costs nothing: element `(n, i, j)` of the product is at
/// `n * output[0] + i * output[1] + j * output[2]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
pub struct MatMulGeometry {
    /// Pairs of matrices.
    pub batch: usize,
    /// Rows of the first matrix and of the product.
    pub rows: usize,
    /// Columns of the second matrix and of the product.
    pub columns: usize,
    /// Columns of the first matrix and rows of the second.
    pub inner: usize,
    /// Steps in the first input from pair to pair (0 if all read the same matrix), row to row, and
    /// column to column.
    pub a: [usize; 3],
    /// The same in the second input.
    pub b: [usize; 3],
    /// The same in the output.
    pub output: [usize; 3],
}

impl MatMulGeometry {
    /// Multiply-accumulates.
    pub const fn macs(&self) -> usize {
        self.batch * self.rows * self.columns * self.inner
    }
}

/// Groups of elements that are normalized together.
///
/// A group has `outer` times `inner` elements; element `(g, i, j)` is at
/// `g * steps[0] + i * steps[1] + j * steps[2]` of the input and the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
pub struct NormalizeGeometry {
    /// Groups.
    pub groups: usize,
    /// Steps of the outer walk through a group.
    pub outer: usize,
    /// Steps of the inner walk.
    pub inner: usize,
    /// Elements from group to group, and from step to step of both walks.
    pub steps: [usize; 3],
    /// The same for the scales and shifts of elements.
    pub parameters: [usize; 3],
}

impl NormalizeGeometry {
    /// The elements of a group.
    pub const fn elements(&self) -> usize {
        self.outer * self.inner
    }

    /// The place that `(g, i, j)` has in memory in which `steps` lead.
    #[inline(always)]
    pub const fn place(steps: [usize; 3], g: usize, i: usize, j: usize) -> usize {
        g * steps[0] + i * steps[1] + j * steps[2]
    }
}
