//! Random numbers that are the same in every run and on every machine.

/// A generator (SplitMix64).
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// One of `0..end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// One of `min..=max`.
    pub(crate) fn within(&mut self, min: i32, max: i32) -> i32 {
        let (min, max) = (i64::from(min), i64::from(max));
        (min + self.below((max - min) as usize + 1) as i64) as i32
    }

    /// `true` in `percent` of the draws.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of `choices`.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// A number between `min` and `max`, uniform in its logarithm; one in five is a power of two,
    /// with which ties of roundings occur.
    pub(crate) fn scale(&mut self, min: f32, max: f32) -> f32 {
        let unit = (self.next() >> 40) as f32 / (1_u32 << 24) as f32;
        let exponent = min.log2() + unit * (max.log2() - min.log2());
        if self.chance(20) { exponent.ceil().exp2() } else { exponent.exp2() }
    }

    /// `[height, width, channels]` of 1 to `extent`, 1 to `extent` and 1 to `channels`.
    pub(crate) fn shape(&mut self, extent: usize, channels: usize) -> [usize; 3] {
        [extent, extent, channels].map(|end| 1 + self.below(end))
    }
}
