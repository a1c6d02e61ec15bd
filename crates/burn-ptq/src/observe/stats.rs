//! Statistics of a value, and the distribution that range methods read.

use super::Histogram;

/// What is known of a value after calibration; its size does not depend on the number of samples.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Stats {
    /// Number of elements seen.
    pub count: u64,
    /// Number of batches seen.
    pub batches: u64,
    /// Smallest element.
    pub min: f32,
    /// Largest element.
    pub max: f32,
    /// The exponential moving average, with momentum 0.1, of the batches' smallest elements.
    pub moving_min: f32,
    /// The moving average of the batches' largest elements.
    pub moving_max: f32,
    /// Sum of the elements.
    pub sum: f64,
    /// Sum of their squares.
    pub sum_of_squares: f64,
    /// Where the elements lie.
    pub histogram: Histogram,
}

/// Weight of a new batch in the moving average.
const MOMENTUM: f32 = 0.1;

impl Stats {
    /// Takes in one batch of finite values.
    pub fn add(&mut self, values: &[f32]) {
        if values.is_empty() {
            return;
        }
        let (mut min, mut max) = (f32::INFINITY, f32::NEG_INFINITY);
        for &x in values {
            min = min.min(x);
            max = max.max(x);
            self.sum += f64::from(x);
            self.sum_of_squares += f64::from(x) * f64::from(x);
        }
        if self.batches == 0 {
            (self.min, self.max, self.moving_min, self.moving_max) = (min, max, min, max);
        } else {
            self.min = self.min.min(min);
            self.max = self.max.max(max);
            self.moving_min += MOMENTUM * (min - self.moving_min);
            self.moving_max += MOMENTUM * (max - self.moving_max);
        }
        self.count += values.len() as u64;
        self.batches += 1;
        self.histogram.add(values, max.max(-min));
    }

    /// Takes in what another value's statistics saw, for values that share a grid.
    pub fn merge(&mut self, other: &Self) {
        if other.batches == 0 {
            return;
        }
        if self.batches == 0 {
            *self = other.clone();
            return;
        }
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.moving_min = self.moving_min.min(other.moving_min);
        self.moving_max = self.moving_max.max(other.moving_max);
        self.count += other.count;
        self.sum += other.sum;
        self.sum_of_squares += other.sum_of_squares;
        self.histogram.merge(&other.histogram);
    }

    /// The mean.
    pub fn mean(&self) -> f64 {
        self.sum / self.count.max(1) as f64
    }

    /// The variance.
    pub fn variance(&self) -> f64 {
        (self.sum_of_squares / self.count.max(1) as f64 - self.mean().powi(2)).max(0.0)
    }

    /// What range methods read.
    pub fn distribution(&self) -> Distribution {
        Distribution {
            min: self.min,
            max: self.max,
            moving_min: self.moving_min,
            moving_max: self.moving_max,
            points: self.histogram.points(),
        }
    }
}

/// Weighted points that stand for all elements of a value, or for the weights of a channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// Smallest element.
    pub min: f32,
    /// Largest element.
    pub max: f32,
    /// Moving average of the batches' smallest elements.
    pub moving_min: f32,
    /// Moving average of the batches' largest elements.
    pub moving_max: f32,
    /// Values and how often they occur, in increasing order of value.
    pub points: Vec<(f32, f64)>,
}

impl Distribution {
    /// The distribution of constants, each counted once.
    pub fn of_constants<'a>(values: impl IntoIterator<Item = &'a f32>) -> Self {
        let mut points: Vec<(f32, f64)> = values.into_iter().map(|&x| (x, 1.0)).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let min = points.first().map_or(0.0, |p| p.0);
        let max = points.last().map_or(0.0, |p| p.0);
        Self { min, max, moving_min: min, moving_max: max, points }
    }

    /// The same values as multiples of `unit`, a power of two.
    pub(crate) fn in_units_of(&self, unit: f32) -> Self {
        Self {
            min: self.min / unit,
            max: self.max / unit,
            moving_min: self.moving_min / unit,
            moving_max: self.moving_max / unit,
            points: self.points.iter().map(|&(x, n)| (x / unit, n)).collect(),
        }
    }

    /// How many elements there are.
    pub fn total(&self) -> f64 {
        self.points.iter().map(|p| p.1).sum()
    }
}

/// The power of two in whose units numbers of `magnitude` are computed with: 1 unless squares of
/// their errors would leave the floats.
pub(crate) fn unit(magnitude: f32) -> f32 {
    const USUAL: std::ops::Range<f32> = 6e-5..1e9;
    match magnitude > 0.0 && magnitude.is_finite() && !USUAL.contains(&magnitude) {
        true => magnitude.log2().floor().clamp(-120.0, 120.0).exp2(),
        false => 1.0,
    }
}
