//! How a network's first batch normalization fits calibration samples.

use std::cell::RefCell;
use std::sync::Arc;

use burn::tensor::{Device, Tensor};

use super::scaling::{Scaling, candidates};
use crate::graph::{Batch, BatchNormStatistics, Graph, Node, Parameters, execute, to_vec};

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
    /// A scaling of the inputs with which both agree, and no other scaling as well.
    pub rescaled: Option<Scaling>,
}

/// Means this far off, in deviations, are not those of training.
const FAR: f64 = 1.5;

/// Standard deviations that differ from those of training by more than this factor are suspicious.
const STRETCHED: f64 = 3.0;

/// Scalings whose unlikeness differs by less fit as well as each other.
pub const AS_GOOD: f64 = 0.25;

impl BatchNormFit {
    /// Whether the samples are unlike what the network was trained with.
    pub fn is_far(&self) -> bool {
        self.shift > FAR || !(1.0 / STRETCHED..=STRETCHED).contains(&self.stretch)
    }

    /// How far shift and stretch together are from 0 and 1.
    pub fn unlikeness(&self) -> f64 {
        self.shift + self.stretch.log2().abs()
    }
}

/// A float graph up to its first batch normalization.
#[derive(Debug)]
pub struct FirstNorm<'a> {
    graph: &'a Arc<Graph>,
    layers: Vec<Parameters>,
    statistics: &'a BatchNormStatistics,
    /// The node that the normalization was folded into, or that it is.
    node: usize,
    device: &'a Device,
}

impl<'a> FirstNorm<'a> {
    /// Finds it; `None` if there is no batch normalization, or if there are several inputs, which no
    /// one scaling fits.
    pub fn of(graph: &'a Arc<Graph>, device: &'a Device) -> Option<Self> {
        let node = graph.nodes.iter().position(|n| n.batch_norm.is_some());
        let node = node
            .filter(|_| graph.inputs.len() == 1 && graph.integer_grid(graph.input()).is_none())?;
        let statistics = graph.nodes[node].batch_norm.as_ref()?;
        let layers =
            graph.nodes.iter().map(|n| Parameters::new(n.op.parameters(), device)).collect();
        Some(Self { graph, layers, statistics, node, device })
    }

    /// How it fits `samples`.
    ///
    /// `None` if no channel varied in training.
    pub fn fit(&self, samples: Batch) -> Option<BatchNormFit> {
        let found = RefCell::new(None);
        let compute = |index: usize, node: &Node, x: &[Tensor<4>], parameters: &[Tensor<1>]| {
            let output = node.op.operator().forward(x, parameters);
            if index == self.node {
                *found.borrow_mut() = compare(self.statistics, &output);
            }
            output
        };
        let inputs = samples.into_tensors(self.graph, self.device);
        execute(self.graph, &self.layers, inputs, compute, |_, value| value);
        let (shift, stretch) = found.into_inner()?;
        Some(BatchNormFit { name: self.statistics.name.clone(), shift, stretch, rescaled: None })
    }

    /// How it fits `samples`, and the scaling with which it fits if it does not.
    pub fn measure(&self, samples: &Batch) -> Option<BatchNormFit> {
        let mut found = self.fit(samples.clone())?;
        // No scaling makes constant inputs vary.
        if found.is_far() && found.stretch > 0.0 {
            found.rescaled = self.clearly_best(samples, &found);
        }
        Some(found)
    }

    /// The scaling of `samples` that fits far better than `now`, unless another does as well.
    fn clearly_best(&self, samples: &Batch, now: &BatchNormFit) -> Option<Scaling> {
        let fitting: Vec<(f64, Scaling)> = candidates(&samples.values, Some(now.stretch))
            .into_iter()
            .filter_map(|scaling| {
                let fit = self.fit(scaling.apply(samples))?;
                (!fit.is_far()).then(|| (fit.unlikeness(), scaling))
            })
            .collect();
        let best = fitting.iter().map(|found| found.0).min_by(f64::total_cmp)?;
        let mut as_good = fitting.iter().filter(|found| found.0 <= best + AS_GOOD);
        // Of those that are alike the first: it is the one with a reason in the data.
        let first = as_good.next()?.1;
        let agree = as_good.all(|(_, other)| first.is_like(*other, &samples.values));
        (agree && 2.0 * best < now.unlikeness()).then_some(first)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::ValueId;
    use crate::graph::ops::ChannelAffine;

    #[test]
    fn scalings_that_fit_equally_well_but_differ_are_not_advised() {
        // Levels of 0 to 16 with a mean of 8, normalized by what training saw.
        let advice = |deviation: f32| {
            let statistics = BatchNormStatistics {
                name: "norm".into(),
                gamma: vec![1.0],
                beta: vec![0.0],
                mean: vec![0.0],
                variance: vec![deviation * deviation],
                epsilon: 1e-5,
            };
            let mut graph = Graph::new("g", "x", vec![1, 1, 17]);
            let norm = ChannelAffine::from_batch_norm(&statistics);
            graph.push("norm", norm, &[ValueId(0)], "y").unwrap();
            graph.nodes[0].batch_norm = Some(statistics);
            let levels: Vec<f32> = (0..34).map(|x| (x % 17) as f32).collect();
            let graph = Arc::new(graph);
            FirstNorm::of(&graph, &Device::flex())
                .unwrap()
                .measure(&Batch::new(levels, 17))
                .unwrap()
                .rescaled
        };
        assert_eq!(advice(1.0).unwrap().what, "inputs of mean 0 and deviation 1");
        assert_eq!(advice(0.6).unwrap().what, "inputs of -1 to 1");
        // Between the two neither is the clearly better one.
        assert_eq!(advice(0.77), None);
    }
}
