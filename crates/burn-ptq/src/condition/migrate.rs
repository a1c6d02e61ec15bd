//! Migration of ranges from activations to weights.

use super::layer::{divide_outputs, input_ranges, multiply_inputs};
use super::readers::{is_homogeneous, readers, scales};
use super::{ChannelRanges, Conditioning};
use crate::graph::Graph;

/// Shares the range of each channel between the activation and the weights that read it.
///
/// `s_j = max|X_j|^a / max|W_:j|^(1 - a)`, `X_j /= s_j`, `W_:j *= s_j`, where the layer that writes
/// `X` is divided by `s` (Xiao et al., SmoothQuant, equation 4). Channels with outliers then no longer
/// decide the grid of the whole value. At `a = 0.5` a channel and its weights get the same range.
///
/// It needs a layer with weights that writes the value, only layers with weights that read it (all are
/// rescaled; `W` is over all of them), and nothing in between that mixes channels or does not commute
/// with positive factors; a ReLU6 does not. A channel that is zero on either side keeps its range.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Migrate {
    /// The exponent `a`: how much of an activation's range goes to the weights; 0 to 1.
    pub strength: f32,
}

impl Default for Migrate {
    fn default() -> Self {
        Self { strength: 0.5 }
    }
}

impl Conditioning for Migrate {
    fn needs_channel_ranges(&self) -> bool {
        true
    }

    fn condition(&self, graph: &mut Graph, ranges: Option<&ChannelRanges>) -> usize {
        let ranges = ranges.expect("migration is given the channel ranges that it asks for");
        (0..graph.nodes.len()).filter(|&producer| self.migrate(graph, producer, ranges)).count()
    }
}

impl Migrate {
    fn migrate(&self, graph: &mut Graph, producer: usize, ranges: &ChannelRanges) -> bool {
        let commutes = |node: &_| scales(node, is_homogeneous);
        let Some(readers) = readers(graph, producer, &commutes) else { return false };
        let mut weights = vec![0.0_f64; readers.channels];
        for &consumer in &readers.consumers {
            let of_consumer = input_ranges(&graph.nodes[consumer].op, readers.channels);
            weights.iter_mut().zip(of_consumer).for_each(|(all, one)| *all = all.max(one));
        }
        let strength = f64::from(self.strength.clamp(0.0, 1.0));
        let factor = |(&x, w): (&f32, f64)| {
            let factor = f64::from(x).powf(strength) / w.powf(1.0 - strength);
            let live = x > 0.0 && w > 0.0 && factor.is_finite();
            if live { factor } else { 1.0 }
        };
        let activations = ranges.of(graph.nodes[producer].output);
        let factors: Vec<f64> = activations.iter().zip(weights).map(factor).collect();
        divide_outputs(&mut graph.nodes[producer], &factors);
        for consumer in readers.consumers {
            multiply_inputs(&mut graph.nodes[consumer].op, &factors);
        }
        true
    }
}
