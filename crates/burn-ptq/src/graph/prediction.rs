//! What a network predicts with, and how much predictions differ.

use burn::tensor::Tensor;
use burn::tensor::activation::{log_softmax, softmax};

use super::{Graph, ValueId};

/// What the network predicts with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// The value that holds the prediction.
    pub value: ValueId,
    /// The axis of a sample along which the value holds the logits of classes, if it does: every
    /// position along the other axes is a prediction of its own.
    pub classes: Option<usize>,
}

impl Prediction {
    /// What each output of the network predicts with, in order and none twice.
    pub fn all(graph: &Graph) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for prediction in graph.outputs.iter().map(|&output| Self::of(graph, output)) {
            if !all.contains(&prediction) {
                all.push(prediction);
            }
        }
        all
    }

    /// The logits of an output that a softmax makes, the output itself of any other.
    pub fn of(graph: &Graph, output: ValueId) -> Self {
        let softmax = graph.final_softmax(output).map(|index| &graph.nodes[index]);
        let axis = softmax.and_then(|node| node.op.operator().class_axis());
        match softmax.zip(axis) {
            Some((softmax, axis)) => Self { value: softmax.inputs[0], classes: Some(axis) },
            None => Self { value: output, classes: None },
        }
    }

    /// How much a prediction differs.
    pub(crate) fn difference(
        self,
        found: Tensor<4>,
        wanted: Tensor<4>,
        temperature: f64,
    ) -> Tensor<1> {
        if let Some(axis) = self.classes {
            return divergence(logits(found, axis), logits(wanted, axis), temperature);
        }
        let variance = wanted.clone().var(0).mean().into_scalar::<f32>().max(f32::MIN_POSITIVE);
        (found - wanted).square().mean() / variance
    }
}

/// The logits of a batch with the classes along `axis` of a sample, a row for each position of each
/// sample.
pub(crate) fn logits(batch: Tensor<4>, axis: usize) -> Tensor<2> {
    let classes = batch.dims()[axis + 1];
    let rows = batch.dims().iter().product::<usize>() / classes;
    let mut order = [0, 1, 2, 3];
    order[axis + 1..].rotate_left(1);
    batch.permute(order.map(|axis| axis as isize)).reshape([rows, classes])
}

/// `KL(softmax(wanted / T) || softmax(found / T))`, the mean over rows.
fn divergence(found: Tensor<2>, wanted: Tensor<2>, temperature: f64) -> Tensor<1> {
    let rows = found.dims()[0] as f64;
    let (found, wanted) = (found / temperature, wanted / temperature);
    let wanted_log = log_softmax(wanted.clone(), 1);
    (softmax(wanted, 1) * (wanted_log - log_softmax(found, 1))).sum() / rows
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::graph::ops::{Reshape, Softmax};

    fn tensor(data: Vec<f32>, dims: [usize; 4]) -> Tensor<4> {
        Tensor::from_data(TensorData::new(data, dims), &Device::flex())
    }

    #[test]
    fn every_position_of_a_map_is_a_prediction_of_its_own() {
        // Two samples of two classes at three positions; one position of one sample differs.
        let dims = [2, 2, 3, 1];
        let wanted = vec![0.0, 1.0, 2.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 3.0, 3.0, 3.0];
        let mut found = wanted.clone();
        // The same for all classes of a position, which changes no probability.
        (found[0], found[3]) = (5.0, 5.0);
        found[1] = 0.0;
        let prediction = Prediction { value: ValueId(0), classes: Some(0) };
        let difference = prediction.difference(tensor(found, dims), tensor(wanted, dims), 1.0);
        let p = 1.0 / (1.0 + (-1.0_f32).exp());
        let expected = p * (p / 0.5).ln() + (1.0 - p) * ((1.0 - p) / 0.5).ln();
        let found = difference.into_scalar::<f32>();
        assert!((found - expected / 6.0).abs() < 1e-6, "{found} for {}", expected / 6.0);
    }

    #[test]
    fn logits_are_rows_whatever_the_axis_of_the_classes() {
        let batch = tensor((0..12).map(|x| x as f32).collect(), [1, 2, 2, 3]);
        let rows = |axis| -> Vec<f32> {
            logits(batch.clone(), axis).into_data().try_to_vec().expect("floats")
        };
        assert_eq!(rows(0)[..4], [0.0, 6.0, 1.0, 7.0]);
        assert_eq!(rows(1)[..4], [0.0, 3.0, 1.0, 4.0]);
        assert_eq!(rows(2), (0..12).map(|x| x as f32).collect::<Vec<_>>());
    }

    #[test]
    fn the_classes_are_those_of_the_softmax_at_the_end() {
        let mut graph = Graph::new("map", "x", vec![4, 3, 2]);
        let x = graph.input();
        let last = graph.push("softmax", Softmax { axis: 1 }, &[x], "p").expect("a softmax");
        let expected = Prediction { value: x, classes: Some(1) };
        assert_eq!(Prediction::all(&graph), [expected]);
        graph.push("flat", Reshape { shape: vec![24] }, &[last], "y").expect("a reshape");
        assert_eq!(Prediction::all(&graph), [expected]);
        let graph = Graph::new("none", "x", vec![4]);
        let input = Prediction { value: graph.input(), classes: None };
        assert_eq!(Prediction::all(&graph), [input]);
    }
}
