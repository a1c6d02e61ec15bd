//! TensorFlow Lite: the integer program that a quantized `.tflite` file holds.
//!
//! Integers, scales and zero points are taken as they are, and multipliers, bounds and padding derived from them
//! as TensorFlow Lite Micro derives them: the program gives that interpreter's bytes. What it does not have is
//! refused, all operators of a file at once.
//!
//! | file | what |
//! |---|---|
//! | `builder.rs`, `values.rs` | the program under construction; what each tensor of the file became |
//! | `operators.rs` | the list of operators, and those on single elements |
//! | `weighted.rs`, `window.rs` | layers with weights; pools, padding and interpolation |
//! | `pairs.rs`, `broadcast.rs` | operators on two values |
//! | `reduce.rs` | sums, means and extremes |
//! | `movement.rs`, `slices.rs` | what only moves elements |
//! | `numbers.rs` | plain integers that come from activations: lookups |
//! | `ends.rs` | inputs and outputs, and the float ends of converted models |
//! | `states.rs` | variables, which become states |
//! | `provenance.rs` | what the file says of its origin |
//! | `shapes.rs` | extents, as operators expect them and as the program has them |
//! | `error.rs`, `budget.rs` | refusals; how much memory a file may take |

mod broadcast;
mod budget;
mod builder;
mod ends;
mod error;
mod movement;
mod numbers;
mod operators;
mod pairs;
mod provenance;
mod reduce;
mod shapes;
mod slices;
mod states;
mod values;
mod weighted;
mod window;

use std::path::Path;

use crate::bounded;
use crate::output::IoError;
use crate::program::{Program, Provenance};
use crate::tflite::Element;
use crate::tflite::file::{Graph, NotRead, TfliteFile};
use crate::tflite::schema::{CALL_ONCE, DEQUANTIZE, QUANTIZE};
use crate::verify::verify;

pub use budget::MAX_FILE_BYTES;
use builder::Builder;
pub use error::{Problem, TfliteImportError};

/// Reads the program at `path`.
///
/// # Errors
/// As [`from_bytes`], and if the file cannot be read.
pub fn read(path: &Path) -> Result<Program, TfliteImportError> {
    let bytes = bounded::read(path, MAX_FILE_BYTES).map_err(|source| IoError {
        action: "read",
        path: path.into(),
        source,
    })?;
    from_bytes(&bytes)
}

/// The program that the bytes of a `.tflite` file hold.
///
/// Allocates in proportion to the number of tensors and operators, and at most some 64 MiB more.
///
/// # Errors
/// If it is not such a file, computes with floats, or has operators that a program does not.
pub fn from_bytes(bytes: &[u8]) -> Result<Program, TfliteImportError> {
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(TfliteImportError::TooLarge { found: bytes.len() as u64 });
    }
    let file = TfliteFile::new(bytes)?;
    let graph = file.graph(0)?;
    if let Some(index) = float_operator(&graph) {
        let operator = &graph.operators[index];
        let written = operator.outputs.first().map_or("", |&output| graph.tensors[output].name);
        return Err(TfliteImportError::Float {
            operator: index,
            kind: operator.name(),
            output: written.to_owned(),
        });
    }
    let program = translate(&file, &graph, provenance::of(&file, bytes)?)?;
    verify(&program)?;
    Ok(program)
}

/// The program of a graph: its inputs, its operators one after the other, its outputs and states.
fn translate(
    file: &TfliteFile,
    graph: &Graph,
    provenance: Provenance,
) -> Result<Program, TfliteImportError> {
    let mut builder = Builder::new(file, graph);
    let names = file.names()?;
    builder.enter(&names);
    for (index, operator) in graph.operators.iter().enumerate() {
        if let Err(refusal) = operators::import(&mut builder, operator) {
            builder.refuse(index, operator, refusal);
        }
    }
    let (inputs, mut outputs) = builder.leave(&names);
    let states = builder.states(&mut outputs);
    builder.finish(inputs, outputs, states, provenance)
}

impl Program {
    /// The program that the bytes of a quantized `.tflite` file hold; see [`import::tflite`](crate::import::tflite).
    ///
    /// # Errors
    /// If it is not such a file, computes with floats, or has operators that a program does not.
    pub fn from_tflite(bytes: &[u8]) -> Result<Self, TfliteImportError> {
        from_bytes(bytes)
    }
}

/// Whether the model of a file computes with floats throughout, so that it is to be quantized, not imported.
/// Integer models may have float inputs and outputs.
///
/// # Errors
/// If the file cannot be read.
pub fn is_float(bytes: &[u8]) -> Result<bool, TfliteImportError> {
    Ok(float_operator(&TfliteFile::new(bytes)?.graph(0)?).is_some())
}

/// The first operator that computes with floats, if none computes with quantized integers.
fn float_operator(graph: &Graph) -> Option<usize> {
    let mut first = None;
    for (index, operator) in graph.operators.iter().enumerate() {
        // These stand between floats and integers.
        if [QUANTIZE.code, DEQUANTIZE.code, CALL_ONCE.code].contains(&operator.code) {
            continue;
        }
        let computed = operator.inputs.iter().flatten().chain(&operator.outputs);
        let computed =
            computed.map(|&at| &graph.tensors[at]).filter(|tensor| !tensor.is_constant());
        let mut elements = computed.filter_map(|tensor| {
            let quantized = !tensor.scales.is_empty();
            tensor.element.ok().filter(|element| element.is_float() || quantized)
        });
        match elements.next() {
            Some(Element::Int8 | Element::Int16 | Element::UInt8) => return None,
            Some(element) if element.is_float() => first = first.or(Some(index)),
            Some(_) | None => {}
        }
    }
    first
}

impl From<NotRead> for TfliteImportError {
    fn from(reason: NotRead) -> Self {
        match reason {
            NotRead::Unmarked(found) => Self::NotTflite { found: found.escape_ascii().to_string() },
            NotRead::Version(found) => Self::Version { found },
            NotRead::Damaged(damage) => Self::Damaged(damage),
        }
    }
}

#[cfg(test)]
mod tests;
