//! What a file gives of a network that is quantized already.

use burn_ptq_kernels::grid::Grid;

use super::Graph;

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

impl Graph {
    /// Whether a file gives grids of values, or of weights: the network is quantized already.
    pub fn is_quantized(&self) -> bool {
        self.values.iter().any(|value| value.given.is_some())
            || self.nodes.iter().any(|node| node.given.is_some())
    }
}
