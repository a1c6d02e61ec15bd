//! Making the float [`Graph`](crate::graph::Graph): from a file or from a Burn module.

mod capture;
mod foreign;
pub mod onnx;
mod proto;
mod support;
mod tflite;

pub use capture::{
    CaptureError, SupportedOperation, Tensors, capture, capture_named, supported_operations,
};
pub(crate) use capture::{Fingerprint, is_statistic};
pub use support::supported_markdown;
pub use tflite::supported_tflite_operators;

use std::path::Path;

use burn_ptq_deploy::bounded;

use onnx::{ImportError, Model, Options};

/// Reads the model at `path`, an ONNX or a TensorFlow Lite file by what is in it; the graph is named after it.
///
/// # Errors
/// If it cannot be read, is neither of the two, or has parts that cannot be imported, in which case all of them
/// are listed.
pub fn read(path: &Path, options: &Options) -> Result<Model, ImportError> {
    let failed = |source| ImportError::Read { path: path.to_path_buf(), source };
    let name = path.file_stem().map_or("model".into(), |stem| stem.to_string_lossy());
    let bytes = bounded::read(path, onnx::MAX_FILE_BYTES).map_err(failed)?;
    let file = path.display().to_string();
    parse_as(bytes, &name, &file, path.parent(), options)
}

/// Reads a model from the bytes of its file, as [`read`]; `name` names the graph.
///
/// # Errors
/// As [`read`], or if its weights are in another file.
pub fn parse(bytes: &[u8], name: &str, options: &Options) -> Result<Model, ImportError> {
    parse_as(bytes.to_vec(), name, name, None, options)
}

/// Whether the file at `path` is an ONNX model whose activations are quantized, so that it may be an integer program:
/// see [`quantize_as_given`](crate::quantize_as_given).
pub fn is_quantized_onnx(path: &Path) -> bool {
    let bytes = bounded::read(path, onnx::MAX_FILE_BYTES);
    bytes.is_ok_and(|bytes| !tflite::is_tflite(&bytes) && onnx::is_quantized(&bytes))
}

fn parse_as(
    bytes: Vec<u8>,
    name: &str,
    file: &str,
    folder: Option<&Path>,
    options: &Options,
) -> Result<Model, ImportError> {
    if tflite::is_tflite(&bytes) {
        return tflite::parse(&bytes, name, file, options);
    }
    if let Some(foreign::Foreign { what, hint }) = foreign::recognize(&bytes) {
        return Err(ImportError::Foreign { name: file.into(), what, hint });
    }
    onnx::parse_as(bytes, name, file, folder, options)
}
