//! What a file gives of a network that is quantized already.

use burn_ptq_kernels::grid::Grid;

use super::ops::Requantize;
use super::{Graph, Node, Value, ValueId};

/// The grid of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GivenGrid {
    /// 2 to 8, or 16.
    pub bits: u8,
    /// The grid.
    pub grid: Grid,
}

/// The grid of a layer's weights, which all of them lie on.
#[derive(Clone, Debug, PartialEq)]
pub struct GivenWeights {
    /// 2 to 8.
    pub bits: u8,
    /// One scale an output channel.
    pub scales: Vec<f32>,
}

impl Node {
    /// A node that moves `from` to the grid of `to`, which it is called after.
    pub(crate) fn requantize(graph: &Graph, from: ValueId, to: ValueId) -> Self {
        Self {
            name: format!("{}.requantize", graph.value(to).name),
            op: Requantize.into(),
            clamp: None,
            batch_norm: None,
            given: None,
            inputs: vec![from],
            output: to,
        }
    }
}

impl Graph {
    /// Adds a value called `name` that has the elements of `from` on another grid; returns it with the node that writes
    /// it, for its place among the others.
    pub(crate) fn requantized(
        &mut self,
        from: ValueId,
        name: String,
        to: GivenGrid,
    ) -> (ValueId, Node) {
        let moved = Value { name, given: Some(to), ..self.value(from).clone() };
        self.values.push(moved);
        let output = ValueId(self.values.len() - 1);
        (output, Node::requantize(self, from, output))
    }

    /// Whether a file gives grids of values, or of weights: the network is quantized already.
    pub fn is_quantized(&self) -> bool {
        self.values.iter().any(|value| value.given.is_some())
            || self.nodes.iter().any(|node| node.given.is_some())
    }
}
