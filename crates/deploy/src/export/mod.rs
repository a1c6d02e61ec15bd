//! Exporters: integer programs as code for other toolchains.
//!
//! An exporter prints what the [`IntModel`] says and computes nothing: multipliers, tables and
//! offsets are the program's own. To add one, write a file here that implements [`Exporter`] and
//! list it in [`EXPORTERS`].

mod c99;
mod folder;
mod names;
mod rust;

use std::path::{Path, PathBuf};

use crate::interpreter::{Interpreter, InterpreterError, Path as KernelPath};
use crate::model::IntModel;
use crate::target::{Kernels, TARGETS, Target};
use crate::verify::VerifyError;

pub use c99::C99;
pub use folder::{ExportFile, write_folder};
pub use names::{comment, identifier, unique_identifiers};
pub use rust::Rust;

/// Every exporter.
pub const EXPORTERS: &[&dyn Exporter] = &[&C99, &Rust];

/// The exporter called `name`.
pub fn exporter(name: &str) -> Result<&'static dyn Exporter, ExportError> {
    EXPORTERS.iter().copied().find(|exporter| exporter.name() == name).ok_or_else(|| {
        let known: Vec<_> = EXPORTERS.iter().map(|exporter| exporter.name()).collect();
        ExportError::UnknownExporter { found: name.to_owned(), known: known.join(", ") }
    })
}

/// The target called `name`.
pub fn target(name: &str) -> Result<&'static Target, ExportError> {
    crate::target::target(name).ok_or_else(|| {
        let known: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        ExportError::UnknownTarget { found: name.to_owned(), known: known.join(", ") }
    })
}

/// Prints integer programs in one form.
pub trait Exporter: Sync {
    /// The name that people choose it by.
    fn name(&self) -> &'static str;

    /// What it writes, in one line.
    fn describe(&self) -> &'static str;

    /// The kernels that its code has for `target`.
    fn kernels(&self, target: &Target) -> Kernels;

    /// Writes `model` to the folder `dir`, for `target`, with a self-test on the samples of
    /// `self_test`.
    ///
    /// `dir` does not exist, is empty, or holds an earlier export, which is replaced. On error
    /// nothing has changed.
    fn export(
        &self,
        model: &IntModel,
        self_test: &SelfTest,
        target: &Target,
        dir: &Path,
    ) -> Result<Exported, ExportError>;
}

/// What an exporter wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// All files.
    pub files: Vec<PathBuf>,
    /// Bytes of weights, biases, multipliers, tables and parameters: the read-only data of the
    /// network in the linker's map, on a machine of 32 bits. Code comes on top, which the exporter
    /// cannot know.
    pub flash_constant_bytes: usize,
    /// Whether they may be fewer: the compiler moves some of them into the code.
    pub flash_is_upper_bound: bool,
    /// Bytes of the arena: the variables of the network in the linker's map.
    pub ram_bytes: usize,
}

/// Samples that an export carries to prove itself on its target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SelfTest {
    /// Input bytes and the output bytes that they must give, 16-bit elements low byte first.
    pub samples: Vec<(Vec<u8>, Vec<u8>)>,
}

impl SelfTest {
    /// Expects of each input what the reference kernels give.
    ///
    /// # Errors
    /// If the program is invalid or an input has another size than its input tensor.
    pub fn new(model: &IntModel, inputs: &[Vec<u8>]) -> Result<Self, InterpreterError> {
        let mut interpreter = Interpreter::new(model, KernelPath::Reference)?;
        let samples = inputs
            .iter()
            .map(|input| Ok((input.clone(), interpreter.run(input)?.to_vec())))
            .collect::<Result<_, InterpreterError>>()?;
        Ok(Self { samples })
    }
}

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
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
    /// The file system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The program breaks an invariant.
    #[error("the program is invalid: {0}")]
    Invalid(#[from] VerifyError),
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
    /// A self-test without samples proves nothing.
    #[error("the self-test has no samples; give at least one")]
    NoSamples,
}
