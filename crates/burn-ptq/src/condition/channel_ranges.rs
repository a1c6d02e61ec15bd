//! Ranges of values by channel.

use burn::tensor::Tensor;

use super::layer::channel_axis;
use crate::graph::{Graph, ValueId, to_vec};

/// The largest magnitude of each channel of every value, gathered batch by batch in memory that does
/// not grow with the samples.
///
/// Channels lie along the first axis of a sample, and along the features of a value that a linear
/// layer over another axis writes or reads.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelRanges {
    values: Vec<Channels>,
}

#[derive(Clone, Debug, PartialEq)]
struct Channels {
    axis: usize,
    largest: Vec<f32>,
}

impl ChannelRanges {
    /// Ranges of the values of `graph`, of which nothing is known yet.
    pub fn new(graph: &Graph) -> Self {
        let mut axes = vec![None; graph.values.len()];
        // What writes a value decides before what reads it.
        for node in &graph.nodes {
            axes[node.output.0] = channel_axis(&node.op);
        }
        for node in &graph.nodes {
            let Some(input) = node.inputs.first() else { continue };
            let axis = &mut axes[input.0];
            *axis = axis.or(channel_axis(&node.op));
        }
        let channels = |(value, axis): (&crate::graph::Value, Option<usize>)| {
            let axis = axis.unwrap_or(0);
            Channels { axis, largest: vec![0.0; value.shape[axis]] }
        };
        Self { values: graph.values.iter().zip(axes).map(channels).collect() }
    }

    /// Takes in a batch of the value `id`.
    ///
    /// # Shapes
    /// - value: `[batch, d1, d2, d3]`, as the graph's execution shows it
    pub fn observe(&mut self, id: ValueId, value: &Tensor<4>) {
        let Channels { axis, largest } = &mut self.values[id.0];
        let inner: usize = value.dims()[*axis + 2..].iter().product();
        let channels = largest.len();
        for (run, elements) in to_vec(value.clone()).chunks(inner).enumerate() {
            let largest = &mut largest[run % channels];
            *largest = elements.iter().fold(*largest, |m, x| m.max(x.abs()));
        }
    }

    /// The largest magnitude of each channel of `id`; 0 before anything was observed.
    pub fn of(&self, id: ValueId) -> &[f32] {
        &self.values[id.0].largest
    }

    /// The axis of a sample of `id` that its channels lie along.
    pub fn axis(&self, id: ValueId) -> usize {
        self.values[id.0].axis
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::graph::ops::{Linear, Reshape};
    use crate::graph::{Array, Graph};

    #[test]
    fn ranges_follow_channels_over_batches() {
        let graph = Graph::new("g", "x", vec![2, 1, 3]);
        let mut ranges = ChannelRanges::new(&graph);
        for sign in [1.0, -2.0] {
            let data: Vec<f32> = (0..12).map(|i| sign * i as f32).collect();
            let data = TensorData::new(data, [2, 2, 1, 3]);
            ranges.observe(graph.input(), &Tensor::from_data(data, &Device::flex()));
        }
        // Channel 0 holds elements 0..3 and 6..9 of a batch, channel 1 the others.
        assert_eq!(ranges.of(graph.input()), [16.0, 22.0]);
    }

    #[test]
    fn a_linear_layer_over_the_last_axis_has_its_features_as_channels() {
        let mut graph = Graph::new("g", "x", vec![6]);
        let x = graph.push("r", Reshape { shape: vec![2, 3] }, &[graph.input()], "r").unwrap();
        let weight = Array::full([4, 3], 1.0);
        let y = graph
            .push("fc", Linear { weight, bias: Array::full([4], 0.0), axis: 1 }, &[x], "y")
            .unwrap();
        let mut ranges = ChannelRanges::new(&graph);
        assert_eq!((ranges.axis(graph.input()), ranges.axis(x), ranges.axis(y)), (0, 1, 1));
        assert_eq!(ranges.of(y).len(), 4);
        let data = TensorData::new(vec![1.0_f32, -2.0, 3.0, -4.0, 1.0, 0.0], [1, 2, 3, 1]);
        ranges.observe(x, &Tensor::from_data(data, &Device::flex()));
        assert_eq!(ranges.of(x), [4.0, 2.0, 3.0]);
    }
}
