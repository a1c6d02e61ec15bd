//! Importers: integer programs from files of others.
//!
//! An importer knows a format and [`Program`](crate::program::Program), and nothing of exporters.

pub mod tflite;

use std::fmt::Display;
use std::path::{Path, PathBuf};

use crate::file::{self, FileError};
use crate::place::{Memory, Placed};
use crate::target::Kernels;
use crate::verify::VerifyError;

use tflite::TfliteImportError;

/// Why a file could not be read as an integer program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A `.bptq` file.
    #[error("{}{source}", named(path, source))]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: FileError,
    },
    /// A `.tflite` file.
    #[error("{}{source}", named(path, source))]
    Tflite {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: TfliteImportError,
    },
    /// A program that cannot be placed.
    #[error("{}: {source}", path.display())]
    Place {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: VerifyError,
    },
}

/// Whether a path names an integer program: a `.bptq` file, or a `.tflite` file whose model is quantized.
///
/// A `.tflite` file that is damaged or cannot be read counts as one, so that reading it says what is wrong.
pub fn is_program(path: &Path) -> bool {
    if has_extension(path, "bptq") {
        return true;
    }
    let bytes = || crate::bounded::read(path, tflite::MAX_FILE_BYTES);
    has_extension(path, "tflite")
        && bytes().map_or(true, |bytes| !tflite::is_float(&bytes).unwrap_or(false))
}

/// Reads the integer program at `path`: a `.tflite` file by its extension, else a `.bptq` file. It has places for
/// the portable kernels. A program of a `.tflite` file is called as the file.
///
/// # Errors
/// If it cannot be read as what its extension says.
pub fn read(path: &Path) -> Result<Placed, ReadError> {
    let path_of = || path.to_path_buf();
    if !has_extension(path, "tflite") {
        return file::read(path).map_err(|source| ReadError::File { path: path_of(), source });
    }
    let read = tflite::read(path);
    let mut program = read.map_err(|source| ReadError::Tflite { path: path_of(), source })?;
    if let Some(stem) = path.file_stem() {
        program.name = stem.to_string_lossy().into_owned();
    }
    let placed = program.place(Kernels::Portable, Memory::Whole);
    placed.map_err(|source| ReadError::Place { path: path_of(), source })
}

/// The path in front of a message that does not name it.
fn named(path: &Path, message: &impl Display) -> String {
    let path = path.display().to_string();
    if message.to_string().contains(&path) { String::new() } else { format!("{path}: ") }
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|own| own.eq_ignore_ascii_case(extension))
}
