//! Integer programs, whatever file holds them.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use burn_ptq::Warning;
use burn_ptq::import;
use burn_ptq::import::onnx::Options;
use burn_ptq::quantize_as_given;
use burn_ptq_deploy::import::ReadError;
use burn_ptq_deploy::place::Placed;

/// Why a file could not be read as an integer program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// A `.bptq` or `.tflite` file.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An ONNX file.
    #[error("{}{source}", named(path, source))]
    Onnx {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<burn_ptq::Error>,
    },
}

/// Whether a path names an integer program: a `.bptq` file, or a `.tflite` or `.onnx` file whose activations are
/// quantized.
pub fn is_program(path: &Path) -> bool {
    burn_ptq_deploy::import::is_program(path) || is_quantized_onnx(path)
}

/// Whether a path names an `.onnx` file whose activations are quantized.
pub fn is_quantized_onnx(path: &Path) -> bool {
    let extension = path.extension();
    extension.is_some_and(|own| own.eq_ignore_ascii_case("onnx")) && import::is_quantized_onnx(path)
}

/// Reads the integer program at `path`. It has places for the portable kernels.
///
/// # Errors
/// If it cannot be read as what its extension says, or is an `.onnx` file that leaves grids or integers open.
pub fn read(path: &Path) -> Result<Placed, ProgramError> {
    Ok(read_with(path, &Options::default())?.0)
}

/// As [`read`], with what the caller knows beyond the file, and remarks on what could not stay as an `.onnx` file has
/// it.
///
/// # Errors
/// As [`read`].
pub fn read_with(path: &Path, options: &Options) -> Result<(Placed, Vec<Warning>), ProgramError> {
    if options.encodings.is_none() && !is_quantized_onnx(path) {
        return Ok((burn_ptq_deploy::import::read(path)?, Vec::new()));
    }
    let failed = |source| ProgramError::Onnx { path: path.into(), source: Box::new(source) };
    let model = import::read(path, options).map_err(|e| failed(e.into()))?;
    let quantized =
        quantize_as_given(model.graph, &model.sha256, &Device::flex()).map_err(failed)?;
    let notes = quantized.float.notes.clone();
    Ok((quantized.program, notes))
}

/// The path in front of a message that does not name it.
fn named(path: &Path, message: &impl std::fmt::Display) -> String {
    let path = path.display().to_string();
    if message.to_string().contains(&path) { String::new() } else { format!("{path}: ") }
}
