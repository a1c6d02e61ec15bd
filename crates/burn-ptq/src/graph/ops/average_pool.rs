//! Average pooling.

use std::ops::RangeInclusive;

use burn::tensor::{
    Tensor, TensorData,
    module::{avg_pool2d, conv2d},
    ops::{AvgPoolOptions, ConvOptions, PadMode},
};

use super::window::{Window, windowed_shape};
use super::{Operator, OutputGrid};
use crate::graph::dims3;

/// Average over windows of height and width; global pooling is a window as large as the input.
#[derive(Clone, Debug)]
pub struct AveragePool {
    /// The window, its end padded further where a ceiling rounds the output extents up.
    pub window: Window,
    /// Whether the divisor counts padding.
    pub count_include_pad: bool,
    /// How much of the end padding comes from the ceiling; it never counts.
    pub ceil_extra: [usize; 2],
}

impl AveragePool {
    /// The number of elements that the window at `position` of `axis` averages over.
    fn count(&self, axis: usize, position: usize, extent: usize) -> usize {
        let w = &self.window;
        let (begin, end) = (w.begin[axis], w.begin[axis] + extent);
        let counted = if self.count_include_pad {
            0..end + w.end[axis] - self.ceil_extra[axis]
        } else {
            begin..end
        };
        w.taps_inside(axis, position, &counted)
    }
}

impl Operator for AveragePool {
    fn name(&self) -> &'static str {
        "AveragePool"
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let [channels, height, width] = dims3(inputs[0]);
        let shape = windowed_shape(inputs[0], &self.window, channels)?;
        let extents = [height, width];
        self.window.check_counts(extents, |axis, p| self.count(axis, p, extents[axis]))?;
        Ok(shape)
    }

    fn forward(&self, inputs: &[Tensor<4>], _parameters: &[Tensor<1>]) -> Tensor<4> {
        let w = &self.window;
        let [_, channels, height, width] = inputs[0].dims();
        let mut input = inputs[0].clone();
        if !w.is_unpadded() {
            input = input.pad(w.padding(), PadMode::Constant(0.0));
        }
        let taps = w.kernel[0] * w.kernel[1];
        let average = if w.dilation == [1; 2] {
            let mut options = AvgPoolOptions::new(w.kernel);
            options.stride = w.stride;
            avg_pool2d(input, options)
        } else {
            let ones = Tensor::<4>::full(
                [channels, 1, w.kernel[0], w.kernel[1]],
                1.0 / taps as f32,
                &input.device(),
            );
            conv2d(input, ones, None, ConvOptions::new(w.stride, [0; 2], w.dilation, channels))
        };
        let [_, _, out_h, out_w] = average.dims();
        let mut corrections = Vec::with_capacity(out_h * out_w);
        for y in 0..out_h {
            let rows = self.count(0, y, height);
            for x in 0..out_w {
                corrections.push(taps as f32 / (rows * self.count(1, x, width)) as f32);
            }
        }
        if corrections.iter().all(|&c| c == 1.0) {
            return average;
        }
        let corrections = TensorData::new(corrections, [1, 1, out_h, out_w]);
        average.clone() * Tensor::from_data(corrections, &average.device())
    }

    fn output_grid(&self) -> OutputGrid {
        OutputGrid::Shared
    }

    fn macs(&self, _inputs: &[&[usize]], _output: &[usize]) -> usize {
        0
    }

    fn arity(&self) -> RangeInclusive<usize> {
        1..=1
    }

    fn moves_elements(&self) -> bool {
        false
    }

    fn averages(&self) -> bool {
        true
    }

    fn class_axis(&self) -> Option<usize> {
        None
    }

    fn can_clamp(&self) -> bool {
        true
    }

    fn keeps_channels_apart(&self, axis: usize, _channels: usize) -> bool {
        axis == 0
    }
}
