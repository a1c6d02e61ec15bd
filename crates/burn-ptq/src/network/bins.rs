//! Where values lie around a grid: counts in bins of equal width.

/// Bins over the range that a grid covers.
const WITHIN: usize = 64;

/// Bins below that range, and as many above it.
const BESIDE: usize = 16;

/// Counts of values in bins of equal width, a few of them beside a range, and of the values beyond.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bins {
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
    /// The smallest value, and the largest; `None` before the first.
    pub extremes: Option<(f32, f32)>,
}

impl Bins {
    /// Bins over the range from `low` to `high`, and some on both sides.
    pub fn around([low, high]: [f32; 2]) -> Self {
        let beside = (high - low) * (BESIDE as f32 / WITHIN as f32);
        let counts = vec![0; WITHIN + 2 * BESIDE];
        Self { low: low - beside, high: high + beside, counts, ..Self::default() }
    }

    /// Bins over the range from `low` to `high` alone.
    pub fn over([low, high]: [f32; 2]) -> Self {
        Self { low, high, counts: vec![0; WITHIN], ..Self::default() }
    }

    /// Counts values; those that are not numbers are left out.
    pub fn add(&mut self, values: impl IntoIterator<Item = f32>) {
        let each = self.counts.len() as f32 / (self.high - self.low);
        for x in values.into_iter().filter(|x| !x.is_nan()) {
            let (least, most) = self.extremes.unwrap_or((x, x));
            self.extremes = Some((least.min(x), most.max(x)));
            if x < self.low {
                self.below += 1;
            } else if x > self.high {
                self.above += 1;
            } else if let Some(last) = self.counts.len().checked_sub(1) {
                self.counts[(((x - self.low) * each) as usize).min(last)] += 1;
            }
        }
    }

    /// Takes away the empty bins at both ends, as far as they lie outside of `low` to `high`.
    #[must_use]
    pub fn trimmed(mut self, [low, high]: [f32; 2]) -> Self {
        let width = (self.high - self.low) / self.counts.len().max(1) as f32;
        let slack = 0.5 * width;
        while self.counts.last() == Some(&0) && self.high > high + slack {
            self.counts.pop();
            self.high -= width;
        }
        let outside = |at: usize| self.low + at as f32 * width < low - slack;
        let empty = (0..self.counts.len()).take_while(|&at| self.counts[at] == 0 && outside(at));
        let empty = empty.count();
        self.low += empty as f32 * width;
        self.counts.drain(..empty);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_where_they_lie_and_beyond() {
        let mut bins = Bins::around([0.0, 64.0]);
        assert_eq!((bins.low, bins.high, bins.counts.len()), (-16.0, 80.0, 96));
        bins.add([-17.0, -16.0, 0.0, 0.5, 63.9, 80.0, 81.0, 1e9, f32::NAN]);
        assert_eq!((bins.below, bins.above), (1, 2));
        assert_eq!((bins.counts[0], bins.counts[16], bins.counts[79]), (1, 2, 1));
        assert_eq!((bins.counts[95], bins.counts.iter().sum::<u64>()), (1, 5));
        assert_eq!(bins.extremes, Some((-17.0, 1e9)));
    }

    #[test]
    fn empty_bins_beside_the_range_are_left_out() {
        let mut bins = Bins::around([0.0, 64.0]);
        bins.add([66.5]);
        let bins = bins.trimmed([0.0, 64.0]);
        assert_eq!((bins.low, bins.high, bins.counts.len()), (0.0, 67.0, 67));
        assert_eq!(bins.counts[66], 1);
        let empty = Bins::around([0.0, 64.0]).trimmed([0.0, 64.0]);
        assert_eq!((empty.low, empty.high, empty.counts.len()), (0.0, 64.0, 64));
        assert_eq!(Bins::over([0.0, 1.0]).trimmed([0.0, 1.0]).counts.len(), 64);
    }

    #[test]
    fn ranges_without_width_count_their_value() {
        let mut bins = Bins::over([2.0, 2.0]);
        bins.add([2.0, 3.0]);
        assert_eq!((bins.counts.iter().sum::<u64>(), bins.above), (1, 1));
        assert_eq!(bins.trimmed([2.0, 2.0]).counts.iter().sum::<u64>(), 1);
    }
}
