//! Importers: integer programs from files of others.
//!
//! An importer knows a format and [`Program`](crate::program::Program), and nothing of exporters.

pub mod tflite;

use std::path::Path;

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
    #[error(transparent)]
    File(#[from] FileError),
    /// A `.tflite` file.
    #[error(transparent)]
    Tflite(#[from] TfliteImportError),
    /// A program that cannot be placed.
    #[error(transparent)]
    Place(#[from] VerifyError),
}

/// Whether a path names an integer program: a `.bptq` file, or a `.tflite` file whose model is quantized.
///
/// A `.tflite` file that is damaged counts as one, so that reading it says what is wrong.
pub fn is_program(path: &Path) -> bool {
    if has_extension(path, "bptq") {
        return true;
    }
    let bytes = || crate::bounded::read(path, tflite::MAX_FILE_BYTES);
    has_extension(path, "tflite")
        && bytes().is_ok_and(|bytes| !tflite::is_float(&bytes).unwrap_or(false))
}

/// Reads the integer program at `path`: a `.tflite` file by its extension, else a `.bptq` file. It has places for
/// the portable kernels. A program of a `.tflite` file is called as the file.
///
/// # Errors
/// If it cannot be read as what its extension says.
pub fn read(path: &Path) -> Result<Placed, ReadError> {
    if !has_extension(path, "tflite") {
        return Ok(file::read(path)?);
    }
    let mut program = tflite::read(path)?;
    if let Some(stem) = path.file_stem() {
        program.name = stem.to_string_lossy().into_owned();
    }
    Ok(program.place(Kernels::Portable, Memory::Whole)?)
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|own| own.eq_ignore_ascii_case(extension))
}
