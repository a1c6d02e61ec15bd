//! Means and deviations of output channels over batches.

use burn::tensor::Tensor;

use crate::graph::ops::Weighted;
use crate::graph::{Node, to_vec};

/// Sums over the elements of each output channel.
#[derive(Clone, Debug, Default)]
pub(super) struct ChannelStatistics {
    sums: Vec<[f64; 2]>,
    count: f64,
}

impl ChannelStatistics {
    /// Takes in a batch of what `node` gives.
    pub(super) fn add(&mut self, node: &Node, x: &Tensor<4>) {
        let axis = channel_axis(node);
        let channels = x.dims()[axis];
        let rows = to_vec(x.clone().swap_dims(0, axis));
        let len = (rows.len() / channels).max(1);
        self.sums.resize(channels, [0.0; 2]);
        self.count += len as f64;
        for (sums, row) in self.sums.iter_mut().zip(rows.chunks(len)) {
            for &x in row {
                sums[0] += f64::from(x);
                sums[1] += f64::from(x) * f64::from(x);
            }
        }
    }

    /// The mean of each channel.
    pub(super) fn means(&self) -> Vec<f64> {
        self.sums.iter().map(|sums| sums[0] / self.count.max(1.0)).collect()
    }

    /// The standard deviation of each channel.
    pub(super) fn deviations(&self) -> Vec<f64> {
        let deviation = |sums: &[f64; 2]| {
            let mean = sums[0] / self.count.max(1.0);
            (sums[1] / self.count.max(1.0) - mean * mean).max(0.0).sqrt()
        };
        self.sums.iter().map(deviation).collect()
    }
}

/// The axis of `[batch, d1, d2, d3]` that the output channels of a weighted node lie along.
fn channel_axis(node: &Node) -> usize {
    node.op.weighted().map_or(0, Weighted::channel_axis) + 1
}

/// One number a channel, in a shape that broadcasts over `like`.
pub(super) fn along_channels(node: &Node, numbers: &[f32], like: &Tensor<4>) -> Tensor<4> {
    let mut shape = [1; 4];
    shape[channel_axis(node)] = numbers.len();
    Tensor::<1>::from_floats(numbers, &like.device()).reshape::<4, _>(shape)
}
