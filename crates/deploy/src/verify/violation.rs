//! What the verifier finds wrong with a program.

use std::fmt::{self, Display};

use thiserror::Error;

use crate::printable::{clip, line};
use crate::program::{IntNode, IntTensor};

/// Violations that an error lists; the others are counted.
pub const LISTED: usize = 20;

/// An invariant that a program breaks.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{subject}: expected {expected}, found {found}")]
pub struct Violation {
    /// The part of the program that is wrong.
    pub subject: Subject,
    /// What the invariant asks for.
    pub expected: String,
    /// What the program has.
    pub found: String,
}

/// A part of a program that an error speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The program as a whole.
    Model,
    /// A tensor, by name; a long one is cut short.
    Tensor(String),
    /// A node, by name and operation.
    Node {
        /// The node's name; a long one is cut short.
        name: String,
        /// [`IntOp::name`](crate::op::IntOp::name).
        op: &'static str,
    },
}

impl Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Model => f.write_str("model"),
            Subject::Tensor(name) => write!(f, "tensor `{}`", line(name)),
            Subject::Node { name, op } => write!(f, "node `{}` ({op})", line(name)),
        }
    }
}

impl From<&IntTensor> for Subject {
    fn from(tensor: &IntTensor) -> Self {
        Subject::Tensor(clip(&tensor.name).into_owned())
    }
}

impl From<&IntNode> for Subject {
    fn from(node: &IntNode) -> Self {
        Subject::Node { name: clip(&node.name).into_owned(), op: node.op.name() }
    }
}

/// `Err` with the two texts unless `holds`.
pub(crate) fn ensure(
    holds: bool,
    subject: impl Into<Subject>,
    expected: impl Display,
    found: impl Display,
) -> Result<(), Violation> {
    if holds {
        return Ok(());
    }
    Err(Violation {
        subject: subject.into(),
        expected: expected.to_string(),
        found: found.to_string(),
    })
}

/// Why a program must not run: every violation that the verifier found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Error)]
pub struct VerifyError {
    violations: Vec<Violation>,
    count: usize,
}

impl VerifyError {
    /// The violations in the order in which they were found; the first [`LISTED`] of them.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// The number of violations, listed or not.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Takes in the result of a check; returns whether it passed.
    pub(crate) fn note(&mut self, checked: Result<(), Violation>) -> bool {
        let Err(violation) = checked else { return true };
        if self.violations.len() < LISTED {
            self.violations.push(violation);
        }
        self.count += 1;
        false
    }

    /// `value`, or `Err` if a check failed.
    pub(crate) fn or<T>(self, value: T) -> Result<T, Self> {
        if self.count == 0 { Ok(value) } else { Err(self) }
    }
}

impl Display for VerifyError {
    /// A single violation in one line; several below each other.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.violations.as_slice()
            && self.count == 1
        {
            return only.fmt(f);
        }
        write!(f, "{} violations", self.count)?;
        for violation in &self.violations {
            write!(f, "\n  {violation}")?;
        }
        match self.count - self.violations.len() {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}
