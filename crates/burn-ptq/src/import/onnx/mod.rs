//! ONNX files, read from the protobuf: names are kept and defaults are the standard's.
//!
//! - `limits` says what is read, `wire` bounds what parsing may cost, `budget` what a model may cost;
//! - `external` reads weights from files beside the model;
//! - `functions` puts the functions of a model in place of their calls;
//! - `interface` says what goes in and out, with what `options` add to the file;
//! - `order` keeps the nodes that the output needs, sorted;
//! - `fuse` finds normalizations that are written in pieces;
//! - `ids` finds lookups whose ids are brought into the range of the table;
//! - `tensor` decodes initializers, `constants` computes what depends on constants alone, such
//!   as the chains of `Shape`, `Gather` and `Concat` in front of a `Reshape`;
//! - `operators` translates every other node, one file a family;
//! - `growing` is the graph as it grows, and a node with its inputs looked up;
//! - `quantized` reads grids and integers of networks that are quantized already; `steps` holds the scales
//!   of their constants;
//! - `legacy` reads the oldest opset as the one after it, `domain` tells standard operators from others;
//! - `importer` walks the nodes and gathers all problems before it gives up.
//!
//! In the graph the batch is the first axis of every value. In the file it may be any axis of an input,
//! of any extent, or none: `interface` guesses where it is, `layout` says where it is in every value,
//! and `canonical` shows operators the nodes as if it were in front. A guess that makes a node compute
//! across the samples of a batch is wrong, and the next is tried. Sizes in a file are checked before
//! anything is allocated for them, so that a hostile file costs neither memory nor time.

mod attributes;
mod blocked;
mod budget;
mod canonical;
mod constants;
mod domain;
mod error;
mod external;
mod functions;
mod fuse;
mod growing;
mod ids;
mod importer;
mod interface;
mod layout;
mod legacy;
mod limits;
mod masks;
mod ml;
mod operators;
mod options;
mod order;
mod quantized;
mod steps;
mod tensor;
mod wire;

use std::path::Path;

use onnx_ir::{GraphProto, Message, ModelProto};
use sha2::{Digest, Sha256};

pub use error::{ImportError, Problem};
pub(super) use error::{Source, list};
pub use limits::{IR_VERSIONS, MAX_FILE_BYTES, MAX_NODES, MAX_VALUE_ELEMENTS, OPSETS};
pub use options::{InputShape, InputShapeError, Options, Requantize};
pub use quantized::{Encodings, EncodingsError};
pub(super) use tensor::data_type;

use crate::graph::Graph;
use domain::is_standard_domain;
use external::External;
use importer::Imported;
use layout::Layout;

/// A model that was read from a file.
#[derive(Clone, Debug)]
pub struct Model {
    /// What it computes.
    pub graph: Graph,
    /// The SHA-256 of the file, in hexadecimal digits; of the file's bytes and those of the files with
    /// its weights, by name, if there are any.
    pub sha256: String,
    /// The axis of the file that the batch is in, for each input of the graph; `None` where the file
    /// has single samples.
    pub input_batch_axes: Vec<Option<usize>>,
    /// The same for each output.
    pub output_batch_axes: Vec<Option<usize>>,
}

/// An ONNX operator that can be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SupportedOperator {
    /// Its name in the standard.
    pub name: &'static str,
    /// The newest version of its definition that is known.
    pub version: i64,
    /// What a node must be like; `any` if there is nothing to say.
    pub condition: &'static str,
}

/// The ONNX operators that can be imported, by name.
pub fn supported_operators() -> impl Iterator<Item = SupportedOperator> {
    operators::OPERATORS.iter().map(|operator| SupportedOperator {
        name: operator.name,
        version: operator.reviewed,
        condition: operator.condition,
    })
}

/// Reads the ONNX file at `path`; the graph is named after it.
///
/// # Errors
/// If it cannot be read, is not an ONNX model of a supported version, or holds nodes that cannot be
/// imported, in which case all of them are listed.
pub fn read(path: &Path) -> Result<Graph, ImportError> {
    Ok(read_with(path, &Options::default())?.graph)
}

/// Reads the ONNX file at `path` with what the caller knows beyond it.
///
/// # Errors
/// As [`read`], or if the options contradict the file.
pub fn read_with(path: &Path, options: &Options) -> Result<Model, ImportError> {
    super::read(path, options)
}

/// Reads an ONNX model from the bytes of its file; `name` names the graph.
///
/// # Errors
/// As [`read`], or if its weights are in another file.
pub fn parse(bytes: &[u8], name: &str) -> Result<Graph, ImportError> {
    parse_with(bytes, name, &Options::default())
}

/// Reads an ONNX model from the bytes of its file, with what the caller knows beyond them.
///
/// # Errors
/// As [`parse`], or if the options contradict the file.
pub fn parse_with(bytes: &[u8], name: &str, options: &Options) -> Result<Graph, ImportError> {
    Ok(parse_as(bytes.to_vec(), name, name, None, options)?.graph)
}

/// Whether the bytes are those of a model with quantized activations.
pub(super) fn is_quantized(bytes: &[u8]) -> bool {
    if wire::exceeds_field_limit(bytes) {
        return false;
    }
    let model = ModelProto::parse_from_bytes(bytes);
    model.is_ok_and(|model| model.graph.node.iter().any(quantized::quantizes))
}

/// Imports what something else than an ONNX file was said in; the model has no digest yet.
///
/// # Errors
/// All problems of the model.
pub(super) fn from_proto(
    graph: &mut GraphProto,
    opset: i64,
    name: &str,
    source: Source,
    options: &Options,
) -> Result<Model, Vec<Problem>> {
    fuse::fuse(graph, opset);
    let missing = Default::default();
    Ok(importer::import(graph, opset, name, source, options, &missing)?.into_model(String::new()))
}

/// Reads a model, whose weights may be in other files of `folder`; errors call it `file`.
pub(super) fn parse_as(
    bytes: Vec<u8>,
    name: &str,
    file: &str,
    folder: Option<&Path>,
    options: &Options,
) -> Result<Model, ImportError> {
    if bytes.is_empty() {
        return Err(ImportError::Empty { name: file.into() });
    }
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(ImportError::TooLarge { name: file.into() });
    }
    let not_onnx = |problem: String| ImportError::NotOnnx { name: file.into(), problem };
    if wire::exceeds_field_limit(&bytes) {
        return Err(not_onnx("it has more fields than any model for a microcontroller".into()));
    }
    let mut model = ModelProto::parse_from_bytes(&bytes).map_err(|e| not_onnx(e.to_string()))?;
    if !IR_VERSIONS.contains(&model.ir_version) {
        return Err(ImportError::IrVersion { name: file.into(), found: model.ir_version });
    }
    let Some(mut graph) = model.graph.take() else {
        return Err(not_onnx("it holds no graph".into()));
    };
    let standard = model.opset_import.iter().find(|o| is_standard_domain(&o.domain));
    let opset = match standard {
        Some(standard) => standard.version,
        // Its operators are those of other domains, and each is refused.
        None if !model.opset_import.is_empty() => *OPSETS.end(),
        None => return Err(not_onnx("it says no version of the standard operators".into())),
    };
    if !OPSETS.contains(&opset) {
        return Err(ImportError::Opset { name: file.into(), found: opset });
    }
    functions::inline(&mut model, &mut graph).map_err(not_onnx)?;
    let mut hash = Sha256::new();
    hash.update(&bytes);
    drop(bytes);
    let External { refusals, files } = external::load(&mut graph, folder);
    for content in files.into_values() {
        hash.update(&content);
    }
    ml::express(&mut graph, opset);
    quantized::express(&mut graph);
    let mut notes = Vec::new();
    if let Some(encodings) = &options.encodings {
        hash.update(encodings.identity());
        notes = encodings.apply(&mut graph);
    }
    let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    fuse::fuse(&mut graph, opset);
    ids::simplify(&mut graph, opset);
    match importer::import(&graph, opset, name, Source::File, options, &refusals) {
        Ok(mut imported) => {
            imported.graph.notes.extend(notes);
            Ok(imported.into_model(sha256))
        }
        Err(problems) => Err(ImportError::Unsupported { name: file.into(), problems }),
    }
}

impl Imported {
    fn into_model(self, sha256: String) -> Model {
        let axes = |layouts: Vec<Layout>| layouts.iter().map(|l| l.batch_axis()).collect();
        let (input_batch_axes, output_batch_axes) = (axes(self.inputs), axes(self.outputs));
        Model { graph: self.graph, sha256, input_batch_axes, output_batch_axes }
    }
}
