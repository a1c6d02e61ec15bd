//! Where weights and activations lie, and the grid that they are rounded to.

use burn_ptq::Quantized;
use burn_ptq::QuantizedGraph;
use burn_ptq::graph::ValueId;
use burn_ptq::network::Bins;
use burn_ptq_deploy::program::Weights;
use burn_ptq_kernels::grid::{Grid, weight_range};
use serde::Serialize;

/// Counts of values in bins of equal width, and the grid that they are rounded to.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HistogramReport {
    /// What the values are counted in.
    pub unit: Unit,
    /// Where the first bin begins.
    pub low: f32,
    /// Where the last bin ends.
    pub high: f32,
    /// The values in each bin.
    pub counts: Vec<u64>,
    /// Values below the first bin.
    pub below: u64,
    /// Values above the last bin.
    pub above: u64,
    /// The smallest value; absent without values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smallest: Option<f32>,
    /// The largest value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub largest: Option<f32>,
    /// The grid; absent for values of a float model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grid: Option<GridReport>,
}

/// What the values of a histogram are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Real values.
    Real,
    /// Steps of the grid. Of weights these are steps of each output channel's own scale, so that channels
    /// of different scales lie over one grid.
    Steps,
}

/// A grid: the values `(integer - zero_point) * scale` for the integers from `min` to `max`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GridReport {
    /// The distance between neighbours, in the histogram's unit.
    pub scale: f32,
    /// The integer that stands for 0.
    pub zero_point: i32,
    /// The smallest integer.
    pub min: i32,
    /// The largest integer.
    pub max: i32,
}

impl From<Grid> for GridReport {
    fn from(Grid { scale, zero_point, min, max }: Grid) -> Self {
        Self { scale, zero_point, min, max }
    }
}

impl GridReport {
    /// The grid of weights in steps.
    fn of_steps(bits: u8) -> Self {
        let (min, max) = weight_range(bits);
        Self { scale: 1.0, zero_point: 0, min, max }
    }

    /// The range of values that are rounded to one of the grid.
    fn range(self) -> [f32; 2] {
        let half = 0.5 * self.scale;
        let real = |q: i32| (q - self.zero_point) as f32 * self.scale;
        [real(self.min) - half, real(self.max) + half]
    }
}

impl HistogramReport {
    fn new(bins: Bins, unit: Unit, grid: Option<GridReport>) -> Self {
        let bins = match grid {
            Some(grid) => bins.trimmed(grid.range()),
            None => bins,
        };
        let [smallest, largest] = [0, 1].map(|end| {
            let value = bins.extremes.map(|(least, most)| if end == 0 { least } else { most });
            value.filter(|x| x.is_finite())
        });
        let Bins { low, high, counts, below, above, .. } = bins;
        Self { unit, low, high, counts, below, above, smallest, largest, grid }
    }

    /// The float weights of node `index` over the grid of their integers, in steps of their channel's scale.
    pub(crate) fn of_weights(quantized: &QuantizedGraph, index: usize) -> Option<Self> {
        let (float, _) = quantized.graph.nodes[index].op.weight_and_bias()?;
        let weights = quantized.weights[index].as_ref()?;
        let grid = GridReport::of_steps(weights.bits);
        let mut bins = Bins::around(grid.range());
        let channel = (float.data.len() / weights.bias.len().max(1)).max(1);
        for (at, values) in float.data.chunks(channel).enumerate() {
            let scale = weights.scale(at.min(weights.bias.len().saturating_sub(1)));
            bins.add(values.iter().map(|w| w / scale));
        }
        Some(Self::new(bins, Unit::Steps, Some(grid)))
    }

    /// The integer weights of a program, in steps.
    pub fn of_integers(weights: &Weights) -> Self {
        let grid = GridReport::of_steps(weights.bits);
        let mut bins = Bins::over(grid.range());
        bins.add(weights.unpack().into_iter().map(f32::from));
        Self::new(bins, Unit::Steps, Some(grid))
    }

    /// The weights of a float model.
    pub fn of_floats(weights: &[f32]) -> Option<Self> {
        let finite = || weights.iter().copied().filter(|w| w.is_finite());
        let ends = [finite().reduce(f32::min)?, finite().reduce(f32::max)?];
        let mut bins = Bins::over(ends);
        bins.add(finite());
        Some(Self::new(bins, Unit::Real, None))
    }

    /// The float network's value `id` over the grid of its integers, on the samples on which noise was
    /// measured.
    pub(crate) fn of_value(quantized: &Quantized, id: ValueId) -> Option<Self> {
        let noise = quantized.noise.values.get(id.0)?.as_ref()?;
        let grid = quantized.graph.activations[id.0].grid;
        Some(Self::new(noise.bins.clone(), Unit::Real, Some(grid.into())))
    }
}

#[cfg(test)]
mod tests {
    use burn_ptq_kernels::packing::pack;

    use super::*;

    #[test]
    fn integer_weights_are_counted_over_the_whole_grid() {
        let values: Vec<i8> = vec![-2, -1, 0, 0, 1, 1, 1, 1];
        let mut data = vec![0; 2];
        pack(&values, 2, &mut data);
        let weights = Weights { shape: vec![8], bits: 2, storage: 2, data, scales: vec![0.5] };
        let found = HistogramReport::of_integers(&weights);
        assert_eq!((found.low, found.high, found.counts.len()), (-2.5, 1.5, 64));
        let each: Vec<u64> = found.counts.chunks(16).map(|bins| bins.iter().sum()).collect();
        assert_eq!(each, [1, 1, 2, 4]);
        assert_eq!((found.smallest, found.largest), (Some(-2.0), Some(1.0)));
    }

    #[test]
    fn float_weights_have_no_grid_and_ends_of_their_own() {
        let found = HistogramReport::of_floats(&[-1.0, 0.0, 3.0, f32::NAN]).unwrap();
        assert_eq!((found.low, found.high, found.grid), (-1.0, 3.0, None));
        assert_eq!(found.counts.iter().sum::<u64>(), 3);
        assert_eq!(HistogramReport::of_floats(&[]), None);
        let equal = HistogramReport::of_floats(&[2.0, 2.0]).unwrap();
        assert_eq!(equal.counts.iter().sum::<u64>(), 2);
    }
}
