//! Bits: how wide every weight and every value of a network is.
//!
//! A recipe is [resolved](crate::recipe::Recipe::bit_plan) into a plan once. Stages read the plan and
//! never the recipe, so that there is one place that decides.

use std::collections::BTreeMap;

use crate::graph::{Node, ValueId};
use crate::quant::{Granularity, Scheme, SchemeError};

/// The bits of every weight and every value of a prepared graph, and what their grids have in common.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BitPlan {
    /// The bits of the weights of each layer, one per output channel, by the layer's name.
    pub(crate) weights: BTreeMap<String, Vec<u8>>,
    /// The bits of each value, by index.
    pub(crate) values: Vec<u8>,
    /// What shares a scale of weights.
    pub(crate) granularity: Granularity,
    /// Whether scales of weights are powers of two.
    pub(crate) power_of_two_weights: bool,
    /// Whether scales of values are powers of two.
    pub(crate) power_of_two_activations: bool,
}

impl BitPlan {
    /// The bits of a value.
    pub(crate) fn value(&self, value: ValueId) -> u8 {
        self.values[value.0]
    }

    /// The scheme of a value's grid.
    ///
    /// # Errors
    /// If there is none for its bits.
    pub(crate) fn value_scheme(&self, value: ValueId) -> Result<Scheme, SchemeError> {
        let scheme = Scheme::activations(self.value(value))?;
        Ok(Scheme { power_of_two: self.power_of_two_activations, ..scheme })
    }

    /// The scheme of the weights of `layer`, wide enough for every channel.
    ///
    /// # Errors
    /// If there is none for their bits.
    pub(crate) fn weight_scheme(&self, layer: &Node) -> Result<Scheme, SchemeError> {
        let channels = self.weights.get(&layer.name).map_or(&[][..], Vec::as_slice);
        let bits = channels.iter().copied().max().unwrap_or(0);
        let scheme = Scheme::weights(bits, self.granularity)?;
        Ok(Scheme { power_of_two: self.power_of_two_weights, ..scheme })
    }
}
