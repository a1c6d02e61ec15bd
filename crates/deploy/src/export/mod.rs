//! Exporters: integer programs as code and files for other toolchains.
//!
//! An exporter prints what the [`Placed`] program says and computes nothing: multipliers, tables and
//! offsets are the program's own. To add one, write a folder here that implements [`Exporter`], of what
//! `shared` offers, and list it in [`EXPORTERS`].

mod c99;
mod error;
mod folder;
mod onnx;
mod rust;
mod shared;
mod tflite;

use std::path::{Path, PathBuf};

use crate::harness::{Harness, HarnessError};
use crate::place::Placed;
use crate::program::Program;
use crate::target::{Kernels, TARGETS, Target};

pub use c99::{C99, constants_by_node, runtime_functions};
pub use error::ExportError;
pub use folder::{ExportFile, Kept, Written, check_folder, stage_folder, write_folder};
pub use onnx::{Onnx, OnnxQOperator, onnx_model};
pub use rust::{Rust, shared_kernels};
pub use shared::ends::end_names;
pub use shared::names::{comment, identifier, unique_identifiers};
pub use shared::self_test::SelfTest;
pub use tflite::{TfLite, TfLiteOptions, tflite_model};

/// Every exporter.
pub const EXPORTERS: &[&dyn Exporter] = &[&C99, &Rust, &TfLite, &Onnx, &OnnxQOperator];

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
    /// The name that selects it on the command line.
    fn name(&self) -> &'static str;

    /// What it writes, in one line.
    fn describe(&self) -> &'static str;

    /// The kernels that its code has for `target`.
    fn kernels(&self, target: &Target) -> Kernels;

    /// The files of an export of `program`, unwritten, with a self-test on the samples of `self_test`.
    ///
    /// # Errors
    /// If the program does not fit the target, or the self-test or the options do not fit the program.
    fn render(
        &self,
        program: &Placed,
        self_test: &SelfTest,
        options: &Options,
    ) -> Result<Rendered, ExportError>;

    /// Writes `program` to the folder `dir`, for `target`, with a self-test on the samples of
    /// `self_test`, under the program's own name.
    ///
    /// `dir` does not exist, is empty, or holds an earlier export. Files that the user added to that
    /// stay, and those that they changed are kept or refused, see [`stage_folder`].
    ///
    /// # Errors
    /// As [`render`](Self::render), and if the folder must not or cannot be written. Then nothing has
    /// changed.
    fn export(
        &self,
        program: &Placed,
        self_test: &SelfTest,
        target: &Target,
        dir: &Path,
    ) -> Result<Exported, ExportError> {
        let rendered = self.render(program, self_test, &Options::new(target))?;
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
    /// For C: the device side of a benchmark beside the network.
    pub harness: Option<Harness>,
}

impl<'a> Options<'a> {
    /// An export for `target`, under the program's own name, with everything that it needs.
    pub fn new(target: &'a Target) -> Self {
        Self { target, name: None, kernels: None, harness: None }
    }

    /// Checks that no harness is asked of `exporter`, which writes none.
    ///
    /// # Errors
    /// If one is.
    fn expect_no_harness(&self, exporter: &str) -> Result<(), ExportError> {
        if self.harness.is_none() {
            return Ok(());
        }
        let found = format!("the exporter {exporter}");
        Err(HarnessError::Unsupported { found, known: "the exporter c".into() }.into())
    }

    /// The identifier of the program.
    ///
    /// # Errors
    /// If the name that was asked for is none.
    fn identifier(&self, program: &Program) -> Result<String, ExportError> {
        let Some(name) = self.name else { return Ok(identifier(&program.name, "model")) };
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
    /// Whether they are more: an interpreter takes memory of its own.
    pub ram_is_lower_bound: bool,
}

/// What an exporter wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// All files of the export.
    pub files: Vec<PathBuf>,
    /// Files that were changed by hand and are kept.
    pub kept: Vec<Kept>,
    /// What the program takes.
    pub figures: Figures,
}
