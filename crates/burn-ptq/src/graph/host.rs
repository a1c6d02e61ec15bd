//! Samples and values on the host.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};

use super::{Graph, ValueId};

/// Samples of a network's inputs on the host, one after the other.
///
/// A sample of a network with several inputs is the elements of all of them, one input after the other
/// in the order of the graph.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The elements, sample after sample, each in the order of the graph's inputs.
    pub values: Vec<f32>,
    /// How many samples there are.
    pub count: usize,
}

impl Batch {
    /// Samples of `len` elements each.
    pub fn new(values: Vec<f32>, len: usize) -> Self {
        let count = values.len() / len.max(1);
        Self { values, count }
    }

    /// The samples of a tensor, whose first axis is the batch.
    pub fn of<const D: usize>(tensor: Tensor<D>) -> Self {
        let count = tensor.dims()[0];
        Self { values: to_vec(tensor), count }
    }

    /// The samples of one tensor for each input, whose first axes are the batch.
    ///
    /// # Panics
    /// If their batches are not equally large.
    pub fn of_inputs(tensors: Vec<Tensor<4>>) -> Self {
        let counts: Vec<usize> = tensors.iter().map(|tensor| tensor.dims()[0]).collect();
        Self::of_parts(tensors.into_iter().map(to_vec).collect(), &counts)
    }

    /// The samples of several parts, of which each has as many as `counts` says.
    ///
    /// # Panics
    /// If these are not equal.
    pub(crate) fn of_parts(parts: Vec<Vec<f32>>, counts: &[usize]) -> Self {
        let count = counts.first().copied().unwrap_or(0);
        assert!(counts.iter().all(|other| *other == count), "every input has the same batch");
        Self { values: interleaved(&parts, count), count }
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many elements a sample has.
    pub fn sample_len(&self) -> usize {
        self.values.len() / self.count.max(1)
    }

    /// The samples.
    pub fn samples(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks(self.sample_len().max(1))
    }

    /// Those of the samples in `range` that there are.
    pub fn select(&self, range: Range<usize>) -> Self {
        let (start, end) = (range.start.min(self.count), range.end.min(self.count));
        let len = self.sample_len();
        let count = end.saturating_sub(start);
        Self { values: self.values[start * len..(start + count) * len].to_vec(), count }
    }

    /// The first samples, `count` at the most.
    pub fn first(&self, count: usize) -> Self {
        self.select(0..count)
    }

    /// The samples in batches of `count`, the last with the rest.
    pub fn chunks(&self, count: usize) -> impl Iterator<Item = Self> {
        let count = count.max(1);
        (0..self.count).step_by(count).map(move |start| self.select(start..start + count))
    }

    /// Appends the samples of another batch.
    pub fn append(&mut self, mut other: Self) {
        self.values.append(&mut other.values);
        self.count += other.count;
    }

    /// A tensor `[batch, d1, d2, d3]` for each input of `graph`.
    ///
    /// # Panics
    /// If a sample has another number of elements than the inputs together.
    pub fn into_tensors(self, graph: &Graph, device: &Device) -> Vec<Tensor<4>> {
        let tensor = |values: Vec<f32>, [a, b, c]: [usize; 3]| {
            Tensor::from_data(TensorData::new(values, [self.count, a, b, c]), device)
        };
        if let [only] = graph.inputs[..] {
            return vec![tensor(self.values, graph.value(only).dims())];
        }
        let mut start = 0;
        let part = |&id: &ValueId| {
            let own = start..start + graph.value(id).len();
            start = own.end;
            let len = graph.sample_len();
            let values = self.values.chunks(len).flat_map(|sample| &sample[own.clone()]).copied();
            tensor(values.collect(), graph.value(id).dims())
        };
        graph.inputs.iter().map(part).collect()
    }
}

/// `count` samples of several parts, the parts of each sample one after the other.
pub fn interleaved(parts: &[Vec<f32>], count: usize) -> Vec<f32> {
    if let [only] = parts {
        return only.clone();
    }
    let mut values = Vec::with_capacity(parts.iter().map(Vec::len).sum());
    for sample in 0..count {
        for part in parts {
            let len = part.len() / count;
            values.extend_from_slice(&part[sample * len..(sample + 1) * len]);
        }
    }
    values
}

/// The elements of a tensor, in order.
pub fn to_vec<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_to_vec().expect("a float tensor holds floats")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_batch_hold_whole_samples() {
        let batch = Batch::new((0..10).map(|x| x as f32).collect(), 2);
        assert_eq!((batch.count, batch.sample_len()), (5, 2));
        assert_eq!(batch.select(1..3).values, [2.0, 3.0, 4.0, 5.0]);
        assert_eq!(batch.select(4..9), Batch { values: vec![8.0, 9.0], count: 1 });
        assert!(batch.select(7..9).is_empty() && batch.first(0).is_empty());
        let counts: Vec<usize> = batch.chunks(2).map(|chunk| chunk.count).collect();
        assert_eq!(counts, [2, 2, 1]);
        let mut again = Batch::default();
        batch.chunks(2).for_each(|chunk| again.append(chunk));
        assert_eq!(again, batch);
        assert_eq!(batch.samples().last(), Some(&[8.0, 9.0][..]));
    }

    #[test]
    fn a_batch_survives_a_tensor() {
        let graph = Graph::new("net", "x", vec![3, 2]);
        let batch = Batch::new((0..12).map(|x| x as f32).collect(), 6);
        let tensors = batch.clone().into_tensors(&graph, &Device::flex());
        assert_eq!(tensors[0].dims(), [2, 3, 2, 1]);
        assert_eq!(Batch::of_inputs(tensors), batch);
    }

    #[test]
    fn samples_of_several_inputs_are_one_input_after_the_other() {
        let mut graph = Graph::new("net", "x", vec![2]);
        graph.add_input("y", vec![3, 1]);
        let batch = Batch::new((0..10).map(|x| x as f32).collect(), 5);
        let tensors = batch.clone().into_tensors(&graph, &Device::flex());
        assert_eq!(
            tensors.iter().map(Tensor::dims).collect::<Vec<_>>(),
            [[2, 2, 1, 1], [2, 3, 1, 1]]
        );
        assert_eq!(to_vec(tensors[0].clone()), [0.0, 1.0, 5.0, 6.0]);
        assert_eq!(to_vec(tensors[1].clone()), [2.0, 3.0, 4.0, 7.0, 8.0, 9.0]);
        assert_eq!(Batch::of_inputs(tensors), batch);
    }
}
