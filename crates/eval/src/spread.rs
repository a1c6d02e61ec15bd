//! A few samples out of a stream whose length nobody knows.

use burn_ptq::graph::Batch;

/// Keeps samples of a stream, evenly spread over it, without knowing its length.
#[derive(Debug)]
pub(crate) struct Spread {
    most: usize,
    every: usize,
    seen: usize,
    kept: Vec<Vec<f32>>,
}

impl Spread {
    /// Keeps up to `most` samples, and more than half as many if there are that many.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, every: 1, seen: 0, kept: Vec::new() }
    }

    /// Takes in the next sample.
    pub(crate) fn add(&mut self, sample: &[f32]) {
        if self.seen.is_multiple_of(self.every) {
            if self.kept.len() == self.most {
                let mut index = 0;
                self.kept.retain(|_| {
                    index += 1;
                    index % 2 == 1
                });
                self.every *= 2;
            }
            if self.seen.is_multiple_of(self.every) {
                self.kept.push(sample.to_vec());
            }
        }
        self.seen += 1;
    }

    /// Takes in the samples of a batch.
    pub(crate) fn add_batch(&mut self, batch: &Batch) {
        batch.samples().for_each(|sample| self.add(sample));
    }

    /// The samples.
    pub(crate) fn samples(self) -> Batch {
        Batch { count: self.kept.len(), values: self.kept.concat() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_keeps_few_samples_from_the_whole_stream() {
        for count in [0, 3, 8, 9, 100, 1000] {
            let mut spread = Spread::new(8);
            (0..count).for_each(|i| spread.add(&[i as f32]));
            let kept = spread.samples().values;
            assert!(kept.len() <= 8 && kept.len() >= count.min(5), "{count}: {kept:?}");
            let gaps: Vec<f32> = kept.windows(2).map(|pair| pair[1] - pair[0]).collect();
            assert!(gaps.iter().all(|gap| *gap == gaps[0]), "{kept:?}");
            if count > 8 {
                assert!(kept[kept.len() - 1] + gaps[0] >= count as f32, "{count}: {kept:?}");
            }
        }
    }
}
