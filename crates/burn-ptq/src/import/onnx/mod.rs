//! ONNX files, read from the protobuf: names are kept and defaults are the standard's.
//!
//! - `wire` bounds what parsing may cost;
//! - `order` keeps the nodes that the output needs, sorted;
//! - `tensor` decodes initializers, `constants` computes what depends on constants alone, such
//!   as the chains of `Shape`, `Gather` and `Concat` in front of a `Reshape`;
//! - `operators` translates every other node, one file a family;
//! - `importer` walks the nodes and gathers all problems before it gives up.
//!
//! The first axis of the model's input is the batch, whatever extent the file gives it, and stays
//! the first axis of every value. Sizes in a file are checked before anything is allocated for
//! them, so that a hostile file costs neither memory nor time.

mod attributes;
mod budget;
mod constants;
mod error;
mod importer;
mod interface;
mod operators;
mod order;
mod tensor;
mod wire;

use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;

use burn_ptq_deploy::bounded;
use onnx_ir::{GraphProto, Message, ModelProto};

pub use error::{ImportError, Problem};
pub(super) use tensor::data_type;

use crate::graph::Graph;

/// The versions of the file format that are read.
pub const IR_VERSIONS: RangeInclusive<i64> = 3..=14;
/// The versions of the operators that are read.
pub const OPSETS: RangeInclusive<i64> = 7..=24;
/// The largest file that is read.
pub const MAX_FILE_BYTES: u64 = 96 << 20;
/// The largest number of elements that a value may have for one sample.
pub const MAX_VALUE_ELEMENTS: usize = 1 << 26;

/// Reads the ONNX file at `path`; the graph is named after it.
///
/// # Errors
/// If it cannot be read, is no ONNX model of a supported version, has more than one input or
/// output, or holds nodes that cannot be imported, in which case all of them are listed.
pub fn read(path: &Path) -> Result<Graph, ImportError> {
    let failed = |source| ImportError::Read { path: path.to_path_buf(), source };
    let file = path.display().to_string();
    let bytes = fs::metadata(path).map_err(failed)?.len();
    if bytes > MAX_FILE_BYTES {
        return Err(ImportError::TooLarge { name: file, bytes });
    }
    let name = path.file_stem().map_or("model".into(), |stem| stem.to_string_lossy());
    let bytes = bounded::read(path, MAX_FILE_BYTES).map_err(failed)?;
    parse_as(&bytes, &name, &file)
}

/// Reads an ONNX model from the bytes of its file; `name` names the graph.
///
/// # Errors
/// As [`read`].
pub fn parse(bytes: &[u8], name: &str) -> Result<Graph, ImportError> {
    parse_as(bytes, name, name)
}

/// Imports a model that is in memory already.
pub(super) fn from_proto(graph: &GraphProto, opset: i64, name: &str) -> Result<Graph, ImportError> {
    importer::import(graph, opset, name, name)
}

/// Reads a model; errors call it `file`.
fn parse_as(bytes: &[u8], name: &str, file: &str) -> Result<Graph, ImportError> {
    if bytes.is_empty() {
        return Err(ImportError::Empty { name: file.into() });
    }
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(ImportError::TooLarge { name: file.into(), bytes: bytes.len() as u64 });
    }
    let not_onnx = |problem: String| ImportError::NotOnnx { name: file.into(), problem };
    if wire::exceeds_field_limit(bytes) {
        return Err(not_onnx("it has more fields than any model for a microcontroller".into()));
    }
    let model = ModelProto::parse_from_bytes(bytes).map_err(|e| not_onnx(e.to_string()))?;
    let Some(graph) = model.graph.as_ref() else {
        return Err(not_onnx("it holds no graph".into()));
    };
    if !IR_VERSIONS.contains(&model.ir_version) {
        return Err(ImportError::IrVersion { name: file.into(), found: model.ir_version });
    }
    let standard = model.opset_import.iter().find(|o| is_standard_domain(&o.domain));
    let Some(opset) = standard.map(|o| o.version) else {
        return Err(not_onnx("it imports no version of the standard operators".into()));
    };
    if !OPSETS.contains(&opset) {
        return Err(ImportError::Opset { name: file.into(), found: opset });
    }
    importer::import(graph, opset, name, file)
}

fn is_standard_domain(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}
