//! Samples and values on the host.

use burn::tensor::{Device, Tensor, TensorData};

use super::Graph;

/// Puts samples, one after the other, into a tensor `[batch, d1, d2, d3]`.
pub fn to_tensor(graph: &Graph, samples: Vec<f32>, device: &Device) -> Tensor<4> {
    let [a, b, c] = graph.value(graph.input).dims();
    let batch = samples.len() / (a * b * c);
    Tensor::from_data(TensorData::new(samples, [batch, a, b, c]), device)
}

/// The elements of a tensor, in order.
pub fn to_vec<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_to_vec().expect("a float tensor holds floats")
}
