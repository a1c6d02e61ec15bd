//! What can be wrong with a data file.

use std::path::{Path, PathBuf};

/// What is wrong with a data file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The path names a pipe, a device or a socket, which cannot be read twice and may never end.
    #[error("{path} is not a regular file; copy its data to a file first")]
    NotRegular {
        /// The path.
        path: PathBuf,
    },
    /// The file has another form than its name or its first bytes promise, or one that nobody reads
    /// here.
    #[error("{path}: {problem}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The elements have a type that is not supported here.
    #[error("{path} holds elements of type {found}: expected {expected}")]
    Type {
        /// The file.
        path: PathBuf,
        /// The type found, as NumPy writes it.
        found: String,
        /// What can be read, and what to do.
        expected: String,
    },
    /// An archive or a table with several candidates, or with none.
    #[error("{path} holds {found}: {advice}")]
    Choice {
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: String,
        /// What to write instead.
        advice: String,
    },
    /// Reading the file would take more memory or disk than is reasonable.
    #[error("{path}: {problem}")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What would be too large, and what to do.
        problem: String,
    },
    /// A cell of a table is not a number.
    #[error("{path}, line {line}, column {column}: {problem}")]
    Cell {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// The column's name, or its number counted from 1.
        column: String,
        /// What was found, and what to do.
        problem: String,
    },
    /// The array has no samples.
    #[error("{path} holds no samples (its shape is {shape:?})")]
    Empty {
        /// The file.
        path: PathBuf,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// The samples do not fit the model.
    #[error(
        "{path}: samples have shape {found:?}, but the model's input '{input}' expects {expected:?}{hint}"
    )]
    SampleShape {
        /// The file.
        path: PathBuf,
        /// The model's input.
        input: String,
        /// The shape of its samples.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
        /// What to do.
        hint: String,
    },
    /// A sample holds NaN or infinity.
    #[error(
        "{path}: sample {sample} holds {} NaN or infinite; clean the data first",
        values_that_are(*count)
    )]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The first such sample.
        sample: usize,
        /// How many of its values.
        count: usize,
    },
    /// A 64-bit value is too large for the f32 that models compute with.
    #[error(
        "{path} holds {value:e}, which no f32 can represent (the largest is 3.4e38); clean the data \
         first"
    )]
    OutOfRange {
        /// The file.
        path: PathBuf,
        /// The first such value.
        value: f64,
    },
    /// Labels and samples differ in number.
    #[error(
        "{labels} holds labels of {found} samples{shape}, but {samples} holds {expected} samples"
    )]
    LabelCount {
        /// The file of labels.
        labels: PathBuf,
        /// The file of samples.
        samples: PathBuf,
        /// Samples that labels were found for.
        found: usize,
        /// Samples found.
        expected: usize,
        /// The shape of the labels, and what to do.
        shape: String,
    },
}

impl DataError {
    pub(super) fn format(path: &Path, problem: impl Into<String>) -> Self {
        Self::Format { path: path.into(), problem: problem.into() }
    }
}

fn values_that_are(count: usize) -> String {
    if count == 1 { "1 value that is".into() } else { format!("{count} values that are") }
}
