//! Exporters: integer programs as code for other toolchains.
//!
//! An exporter prints what the [`IntModel`] says and computes nothing: multipliers, tables and
//! offsets are the program's own. To add one, write a file here that implements [`Exporter`] and
//! list it in [`EXPORTERS`].

mod c99;
mod folder;
mod io;
mod license;
mod names;
mod rust;

use std::path::{Path, PathBuf};

use crate::interpreter::{Interpreter, InterpreterError, Path as KernelPath};
use crate::model::IntModel;
use crate::output::OutputError;
use crate::target::{Kernels, TARGETS, Target};
use crate::verify::VerifyError;

pub use c99::C99;
pub use folder::{ExportFile, Kept, Written, check_folder, stage_folder, write_folder};
pub use names::{comment, identifier, unique_identifiers};
pub use rust::{Rust, shared_kernels};

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

    /// The files of an export of `model`, unwritten, with a self-test on the samples of `self_test`.
    ///
    /// # Errors
    /// If the program is invalid, or the self-test or the options do not fit it.
    fn render(
        &self,
        model: &IntModel,
        self_test: &SelfTest,
        options: &Options,
    ) -> Result<Rendered, ExportError>;

    /// Writes `model` to the folder `dir`, for `target`, with a self-test on the samples of
    /// `self_test`, under the program's own name.
    ///
    /// `dir` does not exist, is empty, or holds an earlier export. Files that people added to that
    /// stay, and those that they changed are kept or refused, see [`stage_folder`].
    ///
    /// # Errors
    /// As [`render`](Self::render), and if the folder must not or cannot be written. Then nothing has
    /// changed.
    fn export(
        &self,
        model: &IntModel,
        self_test: &SelfTest,
        target: &Target,
        dir: &Path,
    ) -> Result<Exported, ExportError> {
        let rendered = self.render(model, self_test, &Options::new(target))?;
        let written = write_folder(dir, self.name(), &rendered.files)?;
        Ok(Exported { files: written.files, kept: written.kept, figures: rendered.figures })
    }
}

/// How an export is made.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// The processor.
    pub target: &'a Target,
    /// The name of files, functions, macros and the crate, instead of the program's own: programs of
    /// one firmware have different ones.
    pub name: Option<&'a str>,
    /// For Rust: the path, seen from the exported folder, of a package `burn-ptq-kernels` that another
    /// export has written, instead of one of its own. Cargo takes only one into a firmware.
    pub kernels: Option<&'a str>,
}

impl<'a> Options<'a> {
    /// An export for `target`, under the program's own name, with everything that it needs.
    pub fn new(target: &'a Target) -> Self {
        Self { target, name: None, kernels: None }
    }

    /// The identifier that stands for the program.
    ///
    /// # Errors
    /// If the name that was asked for is none.
    fn identifier(&self, model: &IntModel) -> Result<String, ExportError> {
        let Some(name) = self.name else { return Ok(identifier(&model.name, "model")) };
        check_name(name)?;
        Ok(name.to_owned())
    }
}

/// Checks that functions, files and a crate can be called `name`.
///
/// # Errors
/// If they cannot, with a name like it that would do.
pub fn check_name(name: &str) -> Result<(), ExportError> {
    let usable = identifier(name, "model");
    if usable == name {
        return Ok(());
    }
    Err(ExportError::Name { found: name.to_owned(), usable })
}

/// An export that is not written yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// Its files.
    pub files: Vec<ExportFile>,
    /// What it costs.
    pub figures: Figures,
}

/// What an exported program takes on its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Bytes of weights, biases, multipliers, tables and parameters: the read-only data of the
    /// network in the linker's map, on a machine of 32 bits. Code comes on top, which the exporter
    /// cannot know.
    pub flash_constant_bytes: usize,
    /// Whether they may be fewer: the compiler moves some of them into the code.
    pub flash_is_upper_bound: bool,
    /// Bytes of the arena: the variables of the network in the linker's map.
    pub ram_bytes: usize,
}

/// What an exporter wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// All files of the export.
    pub files: Vec<PathBuf>,
    /// Those that stay as people changed them.
    pub kept: Vec<Kept>,
    /// What the program takes.
    pub figures: Figures,
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
    /// The name that was asked for cannot stand in code.
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

/// The first of many names.
fn listed(names: &[String]) -> String {
    const MOST: usize = 10;
    let mut text = names.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > MOST {
        text.push_str(&format!(" and {} more", names.len() - MOST));
    }
    text
}
