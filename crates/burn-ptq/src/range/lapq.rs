//! LAPQ: a joint search of all ranges on the loss of the whole network.

use super::JointRange;

/// Searches the ranges of all activations together, on what the network loses.
///
/// First the exponent `p` of the ranges of least `|x - x^|^p`, by a quadratic fit over candidates
/// from 2 to 4; then Powell's method over all ranges (Nahshan et al., Loss Aware Post-training
/// Quantization, 2021). The loss is the relative squared error of the network's output, or the
/// divergence of its predictions.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Lapq {
    /// Candidates for the exponent.
    pub candidates: usize,
    /// Sweeps of Powell's method over all ranges.
    pub sweeps: usize,
    /// Evaluations of the loss in a search along one direction.
    pub evaluations: usize,
    /// The number of calibration samples for the loss.
    pub samples: usize,
}

impl Default for Lapq {
    fn default() -> Self {
        Self { candidates: 5, sweeps: 1, evaluations: 6, samples: 64 }
    }
}

/// The smallest loss that was found, and where.
type Best = Option<(f64, Vec<f32>)>;

/// How far a search along one direction goes to either side, relative to the range.
const REACH: f64 = 0.3;

impl JointRange for Lapq {
    fn samples(&self) -> usize {
        self.samples
    }

    fn search(
        &self,
        clips_of: &dyn Fn(f32) -> Vec<f32>,
        loss: &mut dyn FnMut(&[f32]) -> Option<f64>,
    ) -> Option<Vec<f32>> {
        let mut best: Best = None;
        let mut judge = |clips: Vec<f32>, best: &mut Best| {
            let found = loss(&clips)?;
            if best.as_ref().is_none_or(|b| found < b.0) {
                *best = Some((found, clips));
            }
            Some(found)
        };
        let count = self.candidates.max(3);
        let exponents: Vec<f64> =
            (0..count).map(|i| 2.0 + 2.0 * i as f64 / (count - 1) as f64).collect();
        let mut losses = Vec::new();
        for &p in &exponents {
            losses.push(judge(clips_of(p as f32), &mut best)?);
        }
        if let Some(p) = vertex(&exponents, &losses) {
            judge(clips_of(p.clamp(2.0, 4.0) as f32), &mut best)?;
        }
        let dimensions = best.as_ref()?.1.len();
        // Directions in relative widths; Powell replaces one after each sweep.
        let mut directions: Vec<Vec<f64>> = (0..dimensions)
            .map(|i| (0..dimensions).map(|j| f64::from(u8::from(i == j))).collect())
            .collect();
        for _ in 0..self.sweeps {
            let (start_loss, start) = best.clone()?;
            let mut largest = (0.0, 0);
            for (i, direction) in directions.iter().enumerate() {
                let before = best.as_ref()?.0;
                self.along(direction, &mut best, &mut judge)?;
                let gain = before - best.as_ref()?.0;
                if gain > largest.0 {
                    largest = (gain, i);
                }
            }
            let (end_loss, end) = best.clone()?;
            if end_loss >= start_loss {
                break;
            }
            let moved: Vec<f64> =
                start.iter().zip(&end).map(|(a, b)| f64::from(b / a) - 1.0).collect();
            let length = moved.iter().map(|x| x.abs()).fold(0.0, f64::max);
            let moved: Vec<f64> = moved.into_iter().map(|x| x / length.max(1e-12)).collect();
            self.along(&moved, &mut best, &mut judge)?;
            directions[largest.1] = moved;
        }
        best.map(|b| b.1)
    }
}

impl Lapq {
    /// A golden-section search along `direction` from the best point.
    fn along(
        &self,
        direction: &[f64],
        best: &mut Best,
        judge: &mut dyn FnMut(Vec<f32>, &mut Best) -> Option<f64>,
    ) -> Option<()> {
        const GOLDEN: f64 = 0.618_033_988_75;
        let (_, origin) = best.clone()?;
        let mut at = |t: f64, best: &mut Best| {
            let moved = |(&clip, d): (&f32, &f64)| clip * (1.0 + t * d).max(0.1) as f32;
            judge(origin.iter().zip(direction).map(moved).collect(), best)
        };
        let (mut low, mut high) = (-REACH, REACH);
        let mut left = (high - GOLDEN * (high - low), 0.0);
        let mut right = (low + GOLDEN * (high - low), 0.0);
        left.1 = at(left.0, best)?;
        right.1 = at(right.0, best)?;
        for _ in 2..self.evaluations {
            if left.1 <= right.1 {
                high = right.0;
                right = left;
                left = (high - GOLDEN * (high - low), 0.0);
                left.1 = at(left.0, best)?;
            } else {
                low = left.0;
                left = right;
                right = (low + GOLDEN * (high - low), 0.0);
                right.1 = at(right.0, best)?;
            }
        }
        Some(())
    }
}

/// The minimum of the parabola of least squares through the points, if it opens upwards.
fn vertex(x: &[f64], y: &[f64]) -> Option<f64> {
    let n = x.len() as f64;
    let centre = x.iter().sum::<f64>() / n;
    let sums = |k: i32| x.iter().map(|x| (x - centre).powi(k)).sum::<f64>();
    let with = |k: i32| x.iter().zip(y).map(|(x, y)| (x - centre).powi(k) * y).sum::<f64>();
    let matrix = nalgebra::Matrix3::new(
        sums(4),
        sums(3),
        sums(2),
        sums(3),
        sums(2),
        sums(1),
        sums(2),
        sums(1),
        n,
    );
    let solved = matrix.lu().solve(&nalgebra::Vector3::new(with(2), with(1), with(0)))?;
    (solved[0] > 0.0).then(|| centre - solved[1] / (2.0 * solved[0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A valley that is not parallel to any axis, its floor at 1.2, 0.9, 1.1 of the start.
    fn valley(clips: &[f32]) -> f64 {
        let d: Vec<f64> =
            clips.iter().zip([1.2, 0.9, 1.1]).map(|(&c, best)| f64::from(c) - best).collect();
        d.iter().map(|x| x * x).sum::<f64>() + 0.9 * d[0] * d[1] - 0.4 * d[1] * d[2]
    }

    #[test]
    fn the_search_walks_down_a_slanted_valley() {
        let lapq = Lapq { sweeps: 4, evaluations: 14, ..Lapq::default() };
        let found = lapq.search(&|_| vec![1.0; 3], &mut |clips| Some(valley(clips))).unwrap();
        assert!(valley(&found) < 0.01 * valley(&[1.0; 3]), "{found:?}: {}", valley(&found));
    }

    #[test]
    fn the_exponent_of_least_loss_is_found_between_candidates() {
        let lapq = Lapq { sweeps: 0, ..Lapq::default() };
        let loss = |clips: &[f32]| Some((f64::from(clips[0]) - 2.7).powi(2));
        let found = lapq.search(&|p| vec![p], &mut |clips| loss(clips)).unwrap();
        assert!((found[0] - 2.7).abs() < 1e-3, "{found:?}");
    }

    #[test]
    fn a_loss_that_stops_stops_the_search() {
        let mut left = 3;
        let found = Lapq::default().search(&|_| vec![1.0], &mut |_| {
            left -= 1;
            (left > 0).then_some(1.0)
        });
        assert_eq!((found, left), (None, 0));
    }
}
