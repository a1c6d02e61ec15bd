//! What can be wrong with an ONNX file.

use std::fmt;
use std::path::PathBuf;

/// Why a file could not be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The bytes are not an ONNX model.
    #[error("{model} is not an ONNX model: {problem}")]
    NotOnnx {
        /// The file.
        model: String,
        /// What is wrong.
        problem: String,
    },
    /// The file follows a version that is not supported.
    #[error("{model} has {what} {found}: expected {expected}; {hint}")]
    Version {
        /// The file.
        model: String,
        /// `opset` or `IR version`.
        what: &'static str,
        /// The version found.
        found: i64,
        /// The versions that can be read.
        expected: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// Parts of the model are not supported; all of them are listed.
    #[error("{model} cannot be imported:{}", Listed(.problems))]
    Unsupported {
        /// The file.
        model: String,
        /// Every problem of the file.
        problems: Vec<Problem>,
    },
}

/// One problem of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The node, or the input, output or initializer.
    pub node: String,
    /// Its operation, or what else it is.
    pub op: String,
    /// What is wrong, and what can be done.
    pub problem: String,
}

struct Listed<'a>(&'a [Problem]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for problem in self.0 {
            write!(f, "\n  - {} ({}): {}", problem.node, problem.op, problem.problem)?;
        }
        Ok(())
    }
}
