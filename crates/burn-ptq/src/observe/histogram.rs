//! A histogram of fixed size whose range doubles when a value falls outside.

/// Bins on each side of zero.
const HALF: usize = 4096;

/// Counts and sums of values in equal bins over `-reach..reach`.
///
/// When a value exceeds the reach, the reach doubles and neighbouring bins merge: counts stay
/// exact. The sums give each bin a representative, so that zeros and pixels stay where they are.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    reach: f32,
    counts: Vec<u64>,
    sums: Vec<f64>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { reach: 0.0, counts: vec![0; 2 * HALF], sums: vec![0.0; 2 * HALF] }
    }
}

impl Histogram {
    /// Counts finite `values`, of which none is larger in magnitude than `magnitude`.
    pub fn add(&mut self, values: &[f32], magnitude: f32) {
        self.grow(magnitude);
        if self.reach == 0.0 {
            self.counts[HALF] += values.len() as u64;
            return;
        }
        let per_unit = HALF as f32 / self.reach;
        for &x in values {
            let place = x * per_unit;
            // Rounded down; within the reach it is a small number.
            let below = place as i32 - i32::from(place < (place as i32) as f32);
            let bin = (below + HALF as i32).clamp(0, 2 * HALF as i32 - 1) as usize;
            self.counts[bin] += 1;
            self.sums[bin] += f64::from(x);
        }
    }

    /// Counts what another histogram counted.
    pub fn merge(&mut self, other: &Self) {
        let mut other = other.clone();
        self.grow(other.reach);
        other.grow(self.reach);
        for (a, b) in self.counts.iter_mut().zip(&other.counts) {
            *a += b;
        }
        for (a, b) in self.sums.iter_mut().zip(&other.sums) {
            *a += b;
        }
    }

    /// The mean and the count of each bin that is not empty, in increasing order.
    pub fn points(&self) -> Vec<(f32, f64)> {
        let occupied = self.counts.iter().zip(&self.sums).filter(|&(&count, _)| count > 0);
        occupied.map(|(&count, &sum)| ((sum / count as f64) as f32, count as f64)).collect()
    }

    /// Makes the reach a power of two that is at least `magnitude`.
    fn grow(&mut self, magnitude: f32) {
        if magnitude <= self.reach {
            return;
        }
        let reach = magnitude.log2().ceil().exp2().clamp(f32::MIN_POSITIVE, f32::MAX);
        if self.reach > 0.0 {
            let doublings = (reach / self.reach).log2() as u32;
            for _ in 0..doublings.min(HALF.ilog2() + 1) {
                halve(&mut self.counts, |a, b| a + b);
                halve(&mut self.sums, |a, b| a + b);
            }
        }
        self.reach = reach;
    }
}

/// Merges neighbouring bins towards the centre.
fn halve<T: Copy + Default>(bins: &mut [T], join: impl Fn(T, T) -> T) {
    let merged: Vec<T> = bins.chunks(2).map(|pair| join(pair[0], pair[1])).collect();
    bins.fill(T::default());
    bins[HALF / 2..HALF / 2 + merged.len()].copy_from_slice(&merged);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(histogram: &Histogram) -> (f64, f64) {
        histogram.points().iter().fold((0.0, 0.0), |(n, s), &(x, c)| (n + c, s + f64::from(x) * c))
    }

    #[test]
    fn growing_the_reach_keeps_counts_and_sums() {
        let mut histogram = Histogram::default();
        histogram.add(&[0.1, -0.2, 0.0], 0.2);
        histogram.add(&[5.0, -300.0], 300.0);
        let (count, sum) = total(&histogram);
        assert_eq!(count, 5.0);
        assert!((sum - (0.1 - 0.2 + 5.0 - 300.0)).abs() < 1e-4);
    }

    #[test]
    fn zeros_stay_exactly_zero() {
        let mut histogram = Histogram::default();
        histogram.add(&[0.0, 0.0], 0.0);
        histogram.add(&[0.0, 7.0], 7.0);
        assert_eq!(histogram.points(), [(0.0, 3.0), (7.0, 1.0)]);
    }

    #[test]
    fn merging_equals_counting_everything_in_one() {
        let (a, b) = ([0.5, -1.25, 3.0], [100.0, 0.25]);
        let mut one = Histogram::default();
        one.add(&a, 3.0);
        one.add(&b, 100.0);
        let (mut first, mut second) = (Histogram::default(), Histogram::default());
        first.add(&a, 3.0);
        second.add(&b, 100.0);
        first.merge(&second);
        assert_eq!(first.points(), one.points());
    }
}
