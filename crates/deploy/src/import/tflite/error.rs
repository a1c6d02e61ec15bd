//! Why a `.tflite` file does not become a program.

use std::borrow::Cow;
use std::fmt::{self, Display};

use thiserror::Error;

use crate::output::IoError;
use crate::printable::name as shown;
use crate::tflite::bytes::Damage;
use crate::verify::VerifyError;

/// Why a `.tflite` file cannot be imported.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TfliteImportError {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] IoError),
    /// The file does not begin as a `.tflite` file does.
    #[error(
        "not a TensorFlow Lite file: expected \"TFL3\" at its fourth byte, found it to begin with {found:?}; \
         convert the model with TensorFlow's TFLiteConverter"
    )]
    NotTflite {
        /// The first bytes.
        found: String,
    },
    /// The file is larger than any that is read.
    #[error(
        "the file has {found} bytes, expected at most {most}: microcontrollers hold no larger model",
        most = super::budget::MAX_FILE_BYTES
    )]
    TooLarge {
        /// Its bytes.
        found: u64,
    },
    /// The file follows another version of the schema.
    #[error(
        "the file has version {found} of the schema, expected version 3; convert the model again"
    )]
    Version {
        /// The file's version.
        found: i32,
    },
    /// The file is damaged.
    #[error("the file is damaged: {0}; copy it again, or convert the model again")]
    Damaged(#[from] Damage),
    /// The model computes with floats.
    #[error(
        "the model computes with floats (operator {operator}, {kind}, which writes \"{}\"), expected int8 or int16 \
         activations; quantize it, or convert it with a representative dataset for full integer quantization",
        shown(output)
    )]
    Float {
        /// The place of the first operator that does.
        operator: usize,
        /// Its kind.
        kind: String,
        /// The tensor that it writes.
        output: String,
    },
    /// Parts of the model cannot become a program.
    #[error("the model cannot be imported, {}", Listed(problems, *count))]
    Unsupported {
        /// The first of them, each with what to do.
        problems: Vec<Problem>,
        /// How many there are.
        count: usize,
    },
    /// The program would break an invariant.
    #[error(
        "the integer program of the model is invalid: {0}; convert the model again with other calibration data, or \
         quantize the float model with burn-ptq"
    )]
    Invalid(VerifyError),
}

impl TfliteImportError {
    /// Whether the file is a model of floats, which is to be quantized.
    pub const fn is_float(&self) -> bool {
        matches!(self, Self::Float { .. })
    }
}

impl From<VerifyError> for TfliteImportError {
    // Not a source: the message holds it already.
    fn from(error: VerifyError) -> Self {
        Self::Invalid(error)
    }
}

/// A part of a model that cannot be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The place of the operator in the list of operators; `None` for an input, an output or the whole model.
    pub operator: Option<usize>,
    /// The kind of the operator, or what it is otherwise.
    pub kind: String,
    /// The name of the tensor that the operator writes, or of the input or output.
    pub name: String,
    /// What is wrong: what was expected, and what was found.
    pub reason: String,
    /// What to do.
    pub remedy: &'static str,
}

impl Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.operator {
            Some(at) => write!(f, "operator {at} ({}), which writes ", self.kind)?,
            None => write!(f, "{} ", self.kind)?,
        }
        write!(f, "\"{}\": {}; {}", shown(&self.name), self.reason, self.remedy)
    }
}

/// Problems below each other, or the only one.
struct Listed<'a>(&'a [Problem], usize);

impl Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let ([only], 1) = (self.0, self.1) {
            return write!(f, "1 problem: {only}");
        }
        write!(f, "{} problems:", self.1)?;
        for problem in self.0 {
            write!(f, "\n  {problem}")?;
        }
        match self.1 - self.0.len() {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

/// Why an operator is refused, and what to do.
#[derive(Debug)]
pub(super) struct Refusal {
    pub reason: Cow<'static, str>,
    pub remedy: &'static str,
}

/// What helps where the converter could have written something else.
pub(super) const CONVERT: &str =
    "convert the model again, or export it to ONNX and quantize it with burn-ptq";

/// What helps where no file of the format could say it.
pub(super) const QUANTIZE_INSTEAD: &str =
    "export the float model to ONNX and quantize it with burn-ptq";

impl Refusal {
    /// A refusal after which another conversion, or none, helps.
    pub(super) fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: reason.into(), remedy: CONVERT }
    }

    /// A refusal of what only burn-ptq's own quantization replaces.
    pub(super) fn lasting(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: reason.into(), remedy: QUANTIZE_INSTEAD }
    }
}

impl From<Damage> for Refusal {
    fn from(damage: Damage) -> Self {
        Self {
            reason: format!("the file is damaged: {damage}").into(),
            remedy: "copy it again, or convert the model again",
        }
    }
}
