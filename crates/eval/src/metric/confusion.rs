//! How often each class is taken for each other one.

/// Counts by label and prediction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    /// A row for each label, and in it a count for each prediction.
    pub counts: Vec<Vec<u64>>,
}

/// With more classes than this nobody reads the matrix.
const MAX_CLASSES: usize = 256;

impl Confusion {
    /// An empty matrix; none for too many classes.
    pub fn of(classes: usize) -> Option<Self> {
        (classes <= MAX_CLASSES).then(|| Self { counts: vec![vec![0; classes]; classes] })
    }

    /// Counts a prediction.
    pub fn add(&mut self, label: usize, found: usize) {
        self.counts[label][found] += 1;
    }
}
