//! Any movement whose axes do not depend on each other.

use std::ops::RangeInclusive;

use burn::tensor::{Int, Tensor, TensorData};

use super::{Operator, OutputGrid};
use crate::graph::{dims3, strides};

/// A copy of elements from anywhere in a sample: slices, gathers by constants, repetitions, flips,
/// blocks of pixels out of channels, permutations of many axes.
///
/// Element `(i, j, ..)` of the output is element `places[0][i] + places[1][j] + ..` of the input,
/// counted in the order of the source.
#[derive(Clone, Debug, PartialEq)]
pub struct Rearrange {
    /// What reports call it: the operator of the source model.
    pub name: &'static str,
    /// The shape of an input sample.
    pub input: Vec<usize>,
    /// For each axis of the output, where each of its indices leads.
    pub places: Vec<Vec<usize>>,
}

impl Rearrange {
    /// The elements at `indices` of each axis of a sample of shape `input`.
    ///
    /// Every index lies in its axis.
    pub fn at(name: &'static str, input: &[usize], indices: &[Vec<usize>]) -> Self {
        let along = |(indices, stride): (&Vec<usize>, usize)| {
            indices.iter().map(|index| index * stride).collect()
        };
        let places = indices.iter().zip(strides(input)).map(along).collect();
        Self { name, input: input.to_vec(), places }
    }

    /// A sample of shape `input` with other axes: axis `i` of the output is axis `axes[i]` of it.
    ///
    /// The axes are a permutation of the sample's.
    pub fn permuted(name: &'static str, input: &[usize], axes: &[usize]) -> Self {
        let strides = strides(input);
        let along = |&axis: &usize| (0..input[axis]).map(|i| i * strides[axis]).collect();
        Self { name, input: input.to_vec(), places: axes.iter().map(along).collect() }
    }

    /// The shape of an output sample.
    pub fn shape(&self) -> Vec<usize> {
        self.places.iter().map(Vec::len).collect()
    }

    /// The input's element that each element of the output is.
    pub fn sources(&self) -> Vec<usize> {
        self.places.iter().fold(vec![0], |starts, places| {
            starts.iter().flat_map(|start| places.iter().map(move |place| start + place)).collect()
        })
    }

    /// Whether every element of the input stands in the output once.
    pub fn is_permutation(&self) -> bool {
        let mut seen = vec![false; self.input.iter().product()];
        let sources = self.sources();
        sources.len() == seen.len()
            && sources.into_iter().all(|source| !std::mem::replace(&mut seen[source], true))
    }
}

impl Operator for Rearrange {
    fn name(&self) -> &'static str {
        self.name
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let last: Option<usize> = self.places.iter().map(|places| places.iter().max()).sum();
        let fits = last.is_some_and(|last| last < self.input.iter().product());
        if inputs[0] != self.input || !fits {
            return Err(format!(
                "moves elements of samples of {:?}, up to element {}, and its input is {:?}",
                self.input,
                last.unwrap_or(0),
                inputs[0]
            ));
        }
        Ok(self.shape())
    }

    fn forward(&self, inputs: &[Tensor<4>], _parameters: &[Tensor<1>]) -> Tensor<4> {
        let [batch, ..] = inputs[0].dims();
        let len: usize = self.input.iter().product();
        let sources: Vec<i64> = self.sources().into_iter().map(|source| source as i64).collect();
        let count = sources.len();
        let device = inputs[0].device();
        let sources = Tensor::<1, Int>::from_data(TensorData::new(sources, [count]), &device);
        let [a, b, c] = dims3(&self.shape());
        let flat = inputs[0].clone().reshape::<2, _>([batch, len]);
        flat.select(1, sources).reshape::<4, _>([batch, a, b, c])
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
        true
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

    fn keeps_channels_apart(&self, axis: usize, channels: usize) -> bool {
        let (shape, rank) = (self.shape(), self.places.len());
        let extents = [self.input.get(axis), shape.get(axis)];
        let [Some(from), Some(to)] = extents else { return false };
        if rank != self.input.len()
            || !from.is_multiple_of(channels)
            || !to.is_multiple_of(channels)
        {
            return false;
        }
        // Elements of a channel's run, and those of all channels.
        let [run, to_run] = [&self.input, &shape].map(|s| strides(s)[axis] * (s[axis] / channels));
        let mut sources = self.sources().into_iter().enumerate();
        sources.all(|(to, from)| from / run % channels == to / to_run % channels)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::graph::to_vec;

    /// Samples that count up from 0.
    fn counted(batch: usize, shape: [usize; 3]) -> Tensor<4> {
        let [a, b, c] = shape;
        let numbers = (0..batch * a * b * c).map(|i| i as f32).collect::<Vec<_>>();
        Tensor::from_data(TensorData::new(numbers, [batch, a, b, c]), &Device::flex())
    }

    #[test]
    fn elements_at_indices_are_copied_for_every_sample() {
        let op = Rearrange::at("Gather", &[3, 2, 2], &[vec![2, 0], vec![1, 0], vec![0, 0, 1]]);
        assert_eq!(op.infer_shape(&[&[3, 2, 2]]), Ok(vec![2, 2, 3]));
        let output = op.forward(&[counted(2, [3, 2, 2])], &[]);
        assert_eq!(output.dims(), [2, 2, 2, 3]);
        let first = [10.0, 10.0, 11.0, 8.0, 8.0, 9.0, 2.0, 2.0, 3.0, 0.0, 0.0, 1.0];
        let both: Vec<f32> = first.into_iter().chain(first.map(|x| x + 12.0)).collect();
        assert_eq!(to_vec(output), both);
        assert!(!op.is_permutation());
        assert!(op.infer_shape(&[&[3, 2]]).is_err());
        assert!(Rearrange::at("", &[3], &[vec![3]]).infer_shape(&[&[3]]).is_err());
        assert!(Rearrange::at("", &[3], &[vec![]]).infer_shape(&[&[3]]).is_err());
    }

    #[test]
    fn four_axes_are_permuted_where_the_first_two_are_merged() {
        let op = Rearrange::permuted("Transpose", &[2, 3, 1, 2], &[1, 0, 2, 3]);
        let output = op.forward(&[counted(1, [6, 1, 2])], &[]);
        assert_eq!(output.dims(), [1, 6, 1, 2]);
        let expected = [0.0, 1.0, 6.0, 7.0, 2.0, 3.0, 8.0, 9.0, 4.0, 5.0, 10.0, 11.0];
        assert_eq!(to_vec(output), expected);
        assert!(op.is_permutation());
    }

    #[test]
    fn channels_stay_apart_where_only_the_other_axes_move() {
        let rows = Rearrange::at("Slice", &[4, 3], &[vec![0, 1, 2, 3], vec![2, 1]]);
        assert!(rows.keeps_channels_apart(0, 4) && rows.keeps_channels_apart(0, 2));
        assert!(rows.keeps_channels_apart(1, 1) && !rows.keeps_channels_apart(1, 3));
        let channels = Rearrange::at("Slice", &[4, 3], &[vec![1, 0], vec![0, 1, 2]]);
        assert!(!channels.keeps_channels_apart(0, 4) && !channels.keeps_channels_apart(0, 2));
    }
}
