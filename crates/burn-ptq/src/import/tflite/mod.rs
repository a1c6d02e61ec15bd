//! TensorFlow Lite files as float graphs.
//!
//! What a file computes is said in the vocabulary of ONNX, and the ONNX importer does the rest, as for captured
//! modules: there is one place that folds constants, follows the batch axis and lists what is not supported.
//!
//! | file | what |
//! |---|---|
//! | `values.rs` | tensors as values of the ONNX graph, with channels last or in front |
//! | `constants.rs` | elements of constants, decoded and dequantized |
//! | `translator.rs` | the graph as it grows, and its ends |
//! | `operators/` | the translation, one file a family |
//! | `walk.rs` | the walk over the operators |
//!
//! Images have their channels last in these files, and in front in ONNX. Between layers that are written with
//! channels in front, values stay so; where another order matters, a transposition stands in between, which the
//! importer and the integer kernels, whose channels are last again, make nothing of.
//!
//! A model that is quantized already is an integer program: [`burn_ptq_deploy::import::tflite`] reads it as it is.
//! Where [`Options::requantize`] asks for it, its constants are dequantized instead, and its float graph begins
//! anew.

mod constants;
mod operators;
mod translator;
mod values;
mod walk;

use burn_ptq_deploy::import::tflite::is_float;
use burn_ptq_deploy::tflite::file::{NotRead, TfliteFile};
use sha2::{Digest, Sha256};

use super::onnx::{self, ImportError, Model, Options, Requantize, Source};

pub use operators::supported_tflite_operators;

/// The version of ONNX's operators that files are said in.
const OPSET: i64 = 20;

/// Whether these bytes begin as a TensorFlow Lite file does.
pub(super) fn is_tflite(bytes: &[u8]) -> bool {
    bytes.get(4..8) == Some(b"TFL3")
}

/// Reads a float model from the bytes of its file; `name` names the graph, errors call the file `file`.
///
/// # Errors
/// If it is damaged, quantized, or has parts that cannot be imported, in which case all of them are listed.
pub(super) fn parse(
    bytes: &[u8],
    name: &str,
    file: &str,
    options: &Options,
) -> Result<Model, ImportError> {
    let not_tflite = |problem: String| ImportError::NotTflite { name: file.into(), problem };
    let damaged = |damage: NotRead| match damage {
        NotRead::Unmarked(_) => not_tflite("it does not begin as one".into()),
        NotRead::Version(found) => not_tflite(format!("its schema has version {found}, not 3")),
        NotRead::Damaged(damage) => not_tflite(damage.to_string()),
    };
    let source = TfliteFile::new(bytes).map_err(damaged)?;
    let graph = source.graph(0).map_err(|damage| damaged(damage.into()))?;
    // Whatever is not a float model to the other importer is a program to it: none is sent from one to the other.
    let is_float = is_float(bytes).unwrap_or(true);
    if !is_float && options.requantize != Some(Requantize::All) {
        return Err(ImportError::Quantized { name: file.into() });
    }
    let names = source.names().map_err(|damage| damaged(damage.into()))?;
    let unsupported = |problems| ImportError::Unsupported { name: file.into(), problems };
    let mut translated = walk::translate(&graph, &names).map_err(unsupported)?;
    let imported = onnx::from_proto(&mut translated, OPSET, name, Source::TfLite, options);
    let imported = imported.map_err(unsupported)?;
    let sha256 = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Model { sha256, ..imported })
}
