//! What a network predicts with, and how much predictions differ.

use burn::tensor::Tensor;
use burn::tensor::activation::{log_softmax, softmax};

use crate::graph::{Graph, ValueId};

/// What the network predicts with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// The value that holds the prediction.
    pub value: ValueId,
    /// Whether the value holds logits.
    pub logits: bool,
}

impl Prediction {
    /// The logits of a network that ends in a softmax, the output of any other.
    pub fn new(graph: &Graph) -> Self {
        match graph.final_softmax() {
            Some(softmax) => Self { value: softmax.inputs[0], logits: true },
            None => Self { value: graph.output, logits: false },
        }
    }

    /// How much a prediction differs.
    pub(crate) fn difference(
        self,
        found: Tensor<4>,
        wanted: Tensor<4>,
        temperature: f64,
    ) -> Tensor<1> {
        if self.logits {
            return divergence(found.flatten(1, 3), wanted.flatten(1, 3), temperature);
        }
        let variance = wanted.clone().var(0).mean().into_scalar::<f32>().max(f32::MIN_POSITIVE);
        (found - wanted).square().mean() / variance
    }
}

/// `KL(softmax(wanted / T) || softmax(found / T))`, the mean over samples.
fn divergence(found: Tensor<2>, wanted: Tensor<2>, temperature: f64) -> Tensor<1> {
    let samples = found.dims()[0] as f64;
    let (found, wanted) = (found / temperature, wanted / temperature);
    let wanted_log = log_softmax(wanted.clone(), 1);
    (softmax(wanted, 1) * (wanted_log - log_softmax(found, 1))).sum() / samples
}
