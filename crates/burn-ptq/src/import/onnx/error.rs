//! What can be wrong with an ONNX file.

use std::fmt;
use std::path::PathBuf;

use burn_ptq_deploy::printable;

use super::{IR_VERSIONS, MAX_FILE_BYTES, OPSETS};

/// Why an ONNX file could not be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file could not be read at all.
    #[error("cannot read '{}': {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// There is no byte.
    #[error("'{name}' is empty: expected an ONNX model, found 0 bytes; export or copy it again")]
    Empty {
        /// The model.
        name: String,
    },
    /// The file is larger than any model that this importer is made for.
    #[error(
        "'{name}' has {bytes} bytes, more than the {MAX_FILE_BYTES} that are read; models for \
         microcontrollers are smaller"
    )]
    TooLarge {
        /// The model.
        name: String,
        /// Its size.
        bytes: u64,
    },
    /// The bytes are not an ONNX model.
    #[error(
        "'{name}' is not an ONNX file, or it is truncated or damaged: {problem}; export or copy \
         it again"
    )]
    NotOnnx {
        /// The model.
        name: String,
        /// What was found.
        problem: String,
    },
    /// The version of the file format is unknown.
    #[error(
        "'{name}' has ONNX IR version {found}, supported are {} to {}; export it with another \
         version of the exporter",
        IR_VERSIONS.start(), IR_VERSIONS.end()
    )]
    IrVersion {
        /// The model.
        name: String,
        /// The version in the file.
        found: i64,
    },
    /// The version of the operators is unknown.
    #[error(
        "'{name}' uses opset {found}, supported are {} to {}; convert it with \
         onnx.version_converter or export it with another opset",
        OPSETS.start(), OPSETS.end()
    )]
    Opset {
        /// The model.
        name: String,
        /// The version in the file.
        found: i64,
    },
    /// The model's input or output is not what a network with one of each has.
    #[error("'{name}': {what}: expected {expected}, found {found}; {hint}")]
    Interface {
        /// The model.
        name: String,
        /// The input or output, by name where there is one.
        what: String,
        /// What the importer needs.
        expected: String,
        /// What the file says.
        found: String,
        /// What can be done.
        hint: String,
    },
    /// Nodes or constants that cannot be imported: all of them.
    #[error("'{name}': {}", list(problems))]
    Unsupported {
        /// The model.
        name: String,
        /// Every problem, in the order of the file.
        problems: Vec<Problem>,
    },
}

/// One thing in a file that cannot be imported.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// The node's name, or its first output's where it has none; an initializer's name.
    pub node: String,
    /// The ONNX operator, or `initializer`.
    pub op: String,
    /// What was found, and what was expected.
    pub problem: String,
    /// What can be done.
    pub hint: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [node, op] = [&self.node, &self.op].map(|name| printable::line(name));
        write!(f, "'{node}' ({op}): {}; {}", self.problem, self.hint)
    }
}

fn list(problems: &[Problem]) -> String {
    let mut text = match problems.len() {
        1 => "1 part of the model cannot be imported:".to_string(),
        n => format!("{n} parts of the model cannot be imported:"),
    };
    for problem in problems {
        text.push_str(&format!("\n  {problem}"));
    }
    text
}

/// Why a node or tensor cannot be imported; the importer adds which one.
#[derive(Debug)]
pub(super) struct Refusal {
    /// What was found, and what was expected.
    pub problem: String,
    /// What can be done.
    pub hint: String,
}

impl Refusal {
    pub fn new(problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { problem: problem.into(), hint: hint.into() }
    }

    /// A file that contradicts the ONNX standard.
    pub fn invalid(problem: impl Into<String>) -> Self {
        Self::new(problem, "the file breaks the ONNX standard: check it with onnx.checker")
    }

    pub fn of(self, node: impl Into<String>, op: impl Into<String>) -> Problem {
        Problem { node: node.into(), op: op.into(), problem: self.problem, hint: self.hint }
    }
}
