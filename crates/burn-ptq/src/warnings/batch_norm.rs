//! How a network's first batch normalization fits calibration samples.

use std::cell::RefCell;
use std::sync::Arc;

use burn::tensor::{Device, Tensor};

use super::scaling::{SCALINGS, Scaling, scaling};
use crate::calibrate::{to_tensor, to_vec};
use crate::graph::{BatchNormStatistics, Graph, Node, Parameters, execute};

/// The outputs of the first normalized layer against what its batch normalization remembers of
/// training.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNormFit {
    /// The normalization's name.
    pub name: String,
    /// How far the channels' means are from those of training, in the deviations of training: the
    /// median over channels.
    pub shift: f64,
    /// How many times the deviations of training the channels' deviations are: the median.
    pub stretch: f64,
    /// A scaling of the inputs with which both agree.
    pub rescaled: Option<Scaling>,
}

/// Means this far off, in deviations, are not those of training.
const FAR: f64 = 1.5;

/// Deviations so many times larger or smaller are not those of training.
const STRETCHED: f64 = 3.0;

impl BatchNormFit {
    /// Whether the samples are unlike what the network was trained with.
    pub fn is_far(&self) -> bool {
        self.shift > FAR || !(1.0 / STRETCHED..=STRETCHED).contains(&self.stretch)
    }

    /// Runs `samples`, one after the other, through the prepared float graph, whose normalizations are
    /// kept behind their layers.
    ///
    /// `None` if there is no batch normalization.
    pub fn measure(graph: &Arc<Graph>, samples: &[f32], device: &Device) -> Option<Self> {
        let first = graph.nodes.iter().position(|n| n.batch_norm.is_some())?;
        let layers: Vec<Parameters> =
            graph.nodes.iter().map(|n| Parameters::new(n.op.parameters(), device)).collect();
        let fit = |samples: Vec<f32>| {
            let found = RefCell::new(None);
            let compute = |index: usize, node: &Node, x: &[Tensor<4>], parameters: &[Tensor<1>]| {
                let output = node.op.operator().forward(x, parameters);
                if index == first {
                    *found.borrow_mut() =
                        node.batch_norm.as_ref().and_then(|s| compare(s, &output));
                }
                output
            };
            execute(graph, &layers, to_tensor(graph, samples, device), compute, |_, value| value);
            found.into_inner()
        };
        let (name, (shift, stretch)) =
            (graph.nodes[first].batch_norm.as_ref()?.name.clone(), fit(samples.to_vec())?);
        let mut found = Self { name, shift, stretch, rescaled: None };
        // No scaling makes constant inputs vary.
        if found.is_far() && found.stretch > 0.0 {
            let unlikeness = |&scaling: &Scaling| {
                let (shift, stretch) = fit(scaling.apply(samples))?;
                let other = Self { shift, stretch, ..found.clone() };
                (!other.is_far()).then_some((shift + stretch.log2().abs(), scaling))
            };
            let fitting = SCALINGS.iter().filter_map(&unlikeness);
            let usual = fitting.min_by(|a, b| a.0.total_cmp(&b.0));
            // Outputs of the first layer grow as its inputs do.
            let by_deviation = scaling((1.0 / found.stretch) as f32, 0.0, "inputs as in training");
            found.rescaled = usual.or_else(|| unlikeness(&by_deviation)).map(|best| best.1);
        }
        Some(found)
    }
}

/// The smallest deviation that counts, as a share of the layer's largest: training switched off the
/// channels below it.
const SMALLEST_DEVIATION: f64 = 0.05;

/// The medians over channels of shift and stretch; `None` if no channel varied in training.
fn compare(statistics: &BatchNormStatistics, output: &Tensor<4>) -> Option<(f64, f64)> {
    let [batch, channels, height, width] = output.dims();
    let rows = output.clone().swap_dims(0, 1);
    let rows = to_vec(rows.reshape::<2, _>([channels, batch * height * width]));
    let deviations = statistics.deviations();
    let largest = deviations.iter().copied().fold(0.0, f64::max);
    let (mut shifts, mut stretches) = (Vec::new(), Vec::new());
    let of_training = statistics.beta.iter().zip(&deviations);
    for (row, (&mean, &deviation)) in rows.chunks(batch * height * width).zip(of_training) {
        if deviation > SMALLEST_DEVIATION * largest {
            let count = row.len() as f64;
            let found = row.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
            let squares = row.iter().map(|&x| (f64::from(x) - found).powi(2)).sum::<f64>();
            shifts.push((found - f64::from(mean)).abs() / deviation);
            stretches.push((squares / count).sqrt() / deviation);
        }
    }
    Some((median(shifts)?, median(stretches)?))
}

/// The middle element.
pub(super) fn median(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied()
}
