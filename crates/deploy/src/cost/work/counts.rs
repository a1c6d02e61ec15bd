//! Numbers that describe work.

use std::ops::AddAssign;

/// Numbers that describe some work; sums describe all of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Work(pub Vec<f64>);

impl Work {
    pub(super) fn extend(&mut self, values: &[usize]) {
        self.0.extend(values.iter().map(|&value| value as f64));
    }

    /// The work of as many runs.
    pub(super) fn times(mut self, runs: usize) -> Self {
        self.0.iter_mut().for_each(|number| *number *= runs as f64);
        self
    }

    /// The instructions of this work, by those of each number.
    pub fn dot(&self, coefficients: &[f64]) -> f64 {
        self.0.iter().zip(coefficients).map(|(number, each)| number * each).sum()
    }
}

impl AddAssign<&Work> for Work {
    fn add_assign(&mut self, other: &Work) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0.0);
        }
        for (sum, number) in self.0.iter_mut().zip(&other.0) {
            *sum += number;
        }
    }
}

/// Work that these numbers describe.
pub(super) fn numbers(values: &[usize]) -> Work {
    Work(values.iter().map(|&value| value as f64).collect())
}
