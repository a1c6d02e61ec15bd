//! Why exports fail.

use std::path::PathBuf;

use crate::file::FileError;
use crate::harness::HarnessError;
use crate::output::OutputError;
use crate::verify::VerifyError;

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// No exporter has this name.
    #[error("there is no exporter {found:?}; known: {known}")]
    UnknownExporter {
        /// The name asked for.
        found: String,
        /// The names that exist.
        known: String,
    },
    /// No target has this name.
    #[error("there is no target {found:?}; known: {known}")]
    UnknownTarget {
        /// The name asked for.
        found: String,
        /// The names that exist.
        known: String,
    },
    /// The folder holds files of someone else.
    #[error(
        "{} is not empty and holds no export of burn-ptq; \
         choose another folder or empty it first",
        path.display()
    )]
    Foreign {
        /// The folder.
        path: PathBuf,
    },
    /// The folder holds files that must not be overwritten.
    #[error(
        "{} holds files that were changed since burn-ptq wrote them, or that it did not write: {}; \
         nothing was changed. Move what is yours to files of your own and delete these, or choose \
         another folder",
        path.display(),
        listed(files)
    )]
    Changed {
        /// The folder.
        path: PathBuf,
        /// The files, by their paths in it.
        files: Vec<String>,
    },
    /// The files cannot be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The name that was asked for cannot be used in code.
    #[error(
        "the name {found:?} cannot be that of functions and files: expected ASCII letters, digits and \
         underscores that no language or header has taken, such as {usable:?}"
    )]
    Name {
        /// The name.
        found: String,
        /// One like it.
        usable: String,
    },
    /// The kernels that an export was to share are others.
    #[error("{} holds no kernels to share: {problem}", path.display())]
    Kernels {
        /// The folder.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The program does not fit the target.
    #[error("the program cannot be placed for this target: {0}")]
    Invalid(#[from] VerifyError),
    /// The program cannot be encoded, which its hash is of.
    #[error("the program cannot be encoded: {0}")]
    Encoding(#[from] FileError),
    /// The format has no operators that compute what a node does.
    #[error("{format} cannot have the node {node:?} ({operation}) as it is: {reason}")]
    Inexpressible {
        /// The format.
        format: &'static str,
        /// The node's name.
        node: String,
        /// Its operation.
        operation: &'static str,
        /// What the operators compute otherwise, and what to do.
        reason: String,
    },
    /// The format runs every operation once.
    #[error(
        "{format} cannot run the node {node:?} and those after it once for each of {steps} steps; export with \
         --to c or --to rust, which can"
    )]
    Loops {
        /// The format.
        format: &'static str,
        /// The first node of the first loop.
        node: String,
        /// The loop's steps.
        steps: usize,
    },
    /// A template and what fills it do not agree, which is a bug in burn-ptq.
    #[error(
        "{problem} placeholder @{name}@ in a template; this is a bug in burn-ptq: please report it"
    )]
    Template {
        /// The placeholder.
        name: String,
        /// `unknown` or `unused`.
        problem: &'static str,
    },
    /// A sample of the self-test does not fit the program.
    #[error("sample {sample} of the self-test: {what} of {expected} bytes expected, found {found}")]
    Sample {
        /// Its index.
        sample: usize,
        /// `input` or `output`.
        what: &'static str,
        /// Bytes of the program's tensor.
        expected: usize,
        /// Bytes of the sample.
        found: usize,
    },
    /// The harness of a benchmark does not fit.
    #[error(transparent)]
    Harness(#[from] HarnessError),
    /// A self-test without samples proves nothing.
    #[error("the self-test has no samples; give at least one")]
    NoSamples,
}

/// The first of many names.
fn listed(names: &[String]) -> String {
    const MOST: usize = 10;
    let mut text = names.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > MOST {
        text.push_str(&format!(" and {} more", names.len() - MOST));
    }
    text
}
