//! From ranges to scales and zero points.

use burn_ptq_kernels::grid::{Grid, signed_range, weight_range};

use super::Scheme;

/// The real interval that a grid has to cover.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// The lower end.
    pub min: f32,
    /// The upper end.
    pub max: f32,
}

impl Range {
    /// The range widened to contain zero, which every grid represents exactly.
    pub fn with_zero(self) -> Self {
        Self { min: self.min.min(0.0), max: self.max.max(0.0) }
    }

    /// The largest absolute value.
    pub fn magnitude(self) -> f32 {
        self.max.max(-self.min)
    }
}

/// Scales and zero point of a quantized value, one scale or one a channel.
#[derive(Clone, Debug, PartialEq)]
pub struct QParams {
    /// The distances between neighbouring values.
    pub scales: Vec<f32>,
    /// The integer that stands for 0.0.
    pub zero_point: i32,
    /// What they were made for.
    pub scheme: Scheme,
}

impl QParams {
    /// The grid of an activation whose values lie in `range`.
    pub fn activation(range: Range, scheme: Scheme) -> Self {
        let (min, max) = signed_range(scheme.bits, false);
        let range = range.with_zero();
        let usable = |scale| usable_scale(scale, f32::MIN_POSITIVE, scheme.power_of_two);
        let (scale, zero_point) = if scheme.symmetric {
            (usable(range.magnitude() / max as f32), 0)
        } else {
            let steps = (max - min) as f32;
            let width = range.max - range.min;
            let scale = if width.is_finite() {
                width / steps
            } else {
                range.max / steps - range.min / steps
            };
            let scale = usable(scale);
            let zero_point = min - (range.min / scale).round() as i32;
            (scale, zero_point.clamp(min, max))
        };
        Self { scales: vec![scale], zero_point, scheme }
    }

    /// The symmetric grids of weights, one for each of `ranges`.
    pub fn weights(ranges: &[Range], scheme: Scheme) -> Self {
        let scales = ranges.iter().map(|&r| weight_scale(r, scheme)).collect();
        Self { scales, zero_point: 0, scheme }
    }

    /// The parameters that `scheme` gives a single range: those of weights if it is symmetric and of
    /// 8 bits or fewer, of an activation otherwise.
    pub fn of_range(range: Range, scheme: Scheme) -> Self {
        if scheme.symmetric && scheme.bits <= 8 {
            Self::weights(&[range], scheme)
        } else {
            Self::activation(range, scheme)
        }
    }

    /// The grid of channel `channel`.
    pub fn grid(&self, channel: usize) -> Grid {
        let scale = self.scales[if self.scales.len() == 1 { 0 } else { channel }];
        let (min, max) = if self.scheme.symmetric && self.scheme.bits <= 8 {
            weight_range(self.scheme.bits)
        } else {
            signed_range(self.scheme.bits, false)
        };
        Grid { scale, zero_point: self.zero_point, min, max }
    }
}

/// The smallest symmetric scale whose weight grid covers `range`: below 8 bits the grid reaches one
/// step further down than up.
fn weight_scale(range: Range, scheme: Scheme) -> f32 {
    let (min, max) = weight_range(scheme.bits);
    let range = range.with_zero();
    let scale = (range.max / max as f32).max(range.min / min as f32);
    usable_scale(scale, SMALLEST_WEIGHT_SCALE, scheme.power_of_two)
}

/// The smallest scale of a channel of weights; layers of tiny weights are rounded in other units.
const SMALLEST_WEIGHT_SCALE: f32 = 1e-12;

/// Turns degenerate scales (an all-zero channel, an overflow) into ones that every formula can take.
fn usable_scale(scale: f32, smallest: f32, power_of_two: bool) -> f32 {
    let scale = if scale.is_finite() { scale.max(smallest) } else { f32::MAX.sqrt() };
    if power_of_two { scale.log2().round().exp2() } else { scale }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::Granularity;

    #[test]
    fn every_activation_grid_represents_zero_exactly_and_covers_its_range() {
        for bits in [2, 3, 4, 5, 6, 7, 8, 16] {
            let scheme = Scheme::activations(bits).unwrap();
            for (min, max) in [(0.0, 6.0), (-1.5, 2.25), (-7.0, -1.0), (0.3, 0.9), (0.0, 0.0)] {
                let grid = QParams::activation(Range { min, max }, scheme).grid(0);
                assert_eq!(grid.fake_quantize(0.0), 0.0);
                for x in [min, max] {
                    let error = (grid.fake_quantize(x) - x).abs();
                    assert!(error <= grid.scale, "{bits} bits, {x}: off by {error}");
                }
            }
        }
    }

    #[test]
    fn weight_grids_cover_their_range_with_the_extra_negative_step() {
        for bits in 2..=8 {
            let scheme = Scheme::weights(bits, Granularity::PerTensor).unwrap();
            for (min, max) in [(-1.0, 0.2), (-0.2, 1.0), (-3.0, 3.0)] {
                let grid = QParams::weights(&[Range { min, max }], scheme).grid(0);
                let (low, high) = (grid.dequantize(grid.min), grid.dequantize(grid.max));
                assert!(low <= min * 0.9999 && high >= max * 0.9999, "{bits}: {low}..{high}");
            }
        }
    }

    #[test]
    fn powers_of_two_are_powers_of_two() {
        let scheme = Scheme { power_of_two: true, ..Scheme::activations(8).unwrap() };
        let scale = QParams::activation(Range { min: -1.0, max: 3.7 }, scheme).scales[0];
        assert_eq!(scale.log2().fract(), 0.0);
    }
}
