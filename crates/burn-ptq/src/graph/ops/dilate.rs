//! Insertion of zeros, the first half of a transposed convolution.

use std::ops::RangeInclusive;

use burn::tensor::{Tensor, ops::PadMode};

use super::{Operator, OutputGrid};
use crate::graph::dims3;

/// Spreads the elements of height and width, with zeros between, before and after them.
///
/// Element `i` of an axis moves to `i * stride + begin`, or is dropped if there is no such place. An
/// ordinary convolution over what comes out, with the kernel turned around, is a transposed
/// convolution: rounding, correction and reconstruction treat it as any other layer, and the integer
/// program joins the two again and skips the zeros.
#[derive(Clone, Debug, PartialEq)]
pub struct Dilate {
    /// The distance between two elements, along height and width.
    pub stride: [usize; 2],
    /// The place of the first element; below 0 if it is dropped.
    pub begin: [isize; 2],
    /// The extents of the output.
    pub output: [usize; 2],
}

impl Dilate {
    /// The first and the end of the places along `axis`, counted from that of the first of `extent`
    /// elements, that the output has: zeros behind an element belong to it.
    fn kept(&self, axis: usize, extent: usize) -> (usize, usize) {
        let begin = self.begin[axis];
        let first = begin.min(0).unsigned_abs();
        let end = (self.output[axis] as isize).saturating_sub(begin).max(0) as usize;
        (first, end.min(extent * self.stride[axis]))
    }
}

impl Operator for Dilate {
    fn name(&self) -> &'static str {
        "Dilate"
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        if !(2..=3).contains(&inputs[0].len()) {
            return Err(format!(
                "expected a sample of shape [channels, height, width], found {:?}",
                inputs[0]
            ));
        }
        let [channels, height, width] = dims3(inputs[0]);
        for (axis, extent) in [height, width].into_iter().enumerate() {
            let (first, end) = self.kept(axis, extent);
            if self.stride[axis] == 0 || first >= end {
                return Err(format!(
                    "none of {extent} elements, {} apart from {} on, lies within {} places",
                    self.stride[axis], self.begin[axis], self.output[axis]
                ));
            }
        }
        let mut shape = vec![channels, self.output[0], self.output[1]];
        shape.truncate(inputs[0].len());
        Ok(shape)
    }

    fn forward(&self, inputs: &[Tensor<4>], _parameters: &[Tensor<1>]) -> Tensor<4> {
        let [batch, channels, height, width] = inputs[0].dims();
        let [rows, columns] = self.stride;
        let zeros = PadMode::Constant(0.0);
        let mut spread = inputs[0].clone();
        if columns > 1 {
            let one_a_row = spread.reshape::<4, _>([batch, channels * height, width, 1]);
            spread = one_a_row.pad([(0, 0), (0, 0), (0, columns - 1)], zeros);
        }
        if rows > 1 {
            let one_a_plane =
                spread.reshape::<4, _>([batch, channels * height, 1, width * columns]);
            spread = one_a_plane.pad([(0, 0), (0, rows - 1), (0, 0)], zeros);
        }
        let spread = spread.reshape::<4, _>([batch, channels, height * rows, width * columns]);
        let [(top, bottom), (left, right)] = [self.kept(0, height), self.kept(1, width)];
        let kept = spread.slice([0..batch, 0..channels, top..bottom, left..right]);
        let padding = |axis: usize, (first, end): (usize, usize)| {
            let before = self.begin[axis].max(0).unsigned_abs();
            (before, self.output[axis] - before - (end - first))
        };
        let pairs = [(0, 0), padding(0, (top, bottom)), padding(1, (left, right))];
        if pairs == [(0, 0); 3] { kept } else { kept.pad(pairs, zeros) }
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
        false
    }

    fn class_axis(&self) -> Option<usize> {
        None
    }

    fn can_clamp(&self) -> bool {
        false
    }

    fn keeps_channels_apart(&self, axis: usize, _channels: usize) -> bool {
        axis == 0
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::graph::to_vec;

    #[test]
    fn elements_stand_where_they_should_and_zeros_between() {
        let device = Device::flex();
        let numbers: Vec<f32> = (1..=6).map(|x| x as f32).collect();
        let input = Tensor::<4>::from_data(TensorData::new(numbers, [1, 1, 2, 3]), &device);
        for (stride, begin, output) in [
            ([2, 3], [0, 0], [3, 7]),
            ([1, 2], [2, -1], [5, 4]),
            ([3, 1], [-1, 1], [7, 3]),
            ([2, 2], [-2, -4], [1, 1]),
            ([1, 1], [0, 0], [2, 3]),
        ] {
            let op = Dilate { stride, begin, output };
            let shape = op.infer_shape(&[&[1, 2, 3]]).expect("an element is kept");
            assert_eq!(shape, [1, output[0], output[1]]);
            let mut expected = vec![0.0; output[0] * output[1]];
            for (i, x) in (1..=6).enumerate() {
                let place = [i / 3, i % 3].map(|i| i as isize);
                let [y, x_place] = [0, 1].map(|a| place[a] * stride[a] as isize + begin[a]);
                let inside = |at: isize, extent: usize| (0..extent as isize).contains(&at);
                if inside(y, output[0]) && inside(x_place, output[1]) {
                    expected[y as usize * output[1] + x_place as usize] = x as f32;
                }
            }
            assert_eq!(to_vec(op.forward(std::slice::from_ref(&input), &[])), expected, "{op:?}");
        }
    }

    #[test]
    fn an_output_without_elements_is_refused() {
        let op = Dilate { stride: [1, 2], begin: [0, -6], output: [2, 3] };
        let refused = op.infer_shape(&[&[1, 2, 3]]).expect_err("nothing is kept");
        assert!(refused.contains("none of 3 elements, 2 apart from -6 on"), "{refused}");
    }
}
