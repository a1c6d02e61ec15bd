//! Why a program cannot be streamed.

use thiserror::Error;

use crate::printable::name;
use crate::program::Program;
use crate::verify::VerifyError;

/// Why a program cannot be streamed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StreamingError {
    /// The program is invalid.
    #[error(transparent)]
    Invalid(#[from] VerifyError),
    /// The program keeps something from call to call already.
    #[error(
        "the program keeps states from one call to the next (`{}`): expected one that takes a whole recording; \
         a program can be streamed once",
        name(state)
    )]
    Stateful {
        /// A state.
        state: String,
    },
    /// The program runs nodes once for each step of a sequence.
    #[error(
        "node `{}` runs once for each step of a sequence of {steps}, which a stream does not end: export the \
         network of a single step, and keep with --state what it leaves for the next one",
        name(node)
    )]
    Loops {
        /// The first node of the first loop.
        node: String,
        /// The loop's steps.
        steps: usize,
    },
    /// No axis of the inputs can be time.
    #[error(
        "no operation slides along an axis of the inputs ({inputs}): expected convolutions or pools over time; \
         a network that sees its whole input at once needs a state of its own to run on a stream"
    )]
    NoTime {
        /// The inputs with their shapes.
        inputs: String,
    },
    /// Several axes can be time.
    #[error(
        "time can be axis {} of an input ({inputs}): expected one of them to be named; give --time-axis, \
         counting from 0 without the batch axis",
        list(axes)
    )]
    Ambiguous {
        /// The axes.
        axes: Vec<usize>,
        /// The inputs with their shapes.
        inputs: String,
    },
    /// The inputs do not have that axis.
    #[error(
        "axis {axis} cannot be the time of the inputs ({inputs}): expected an axis of more than one frame, as \
         many in all of them"
    )]
    Axis {
        /// The axis.
        axis: usize,
        /// The inputs with their shapes.
        inputs: String,
    },
    /// Strides do not divide the frames of a call.
    #[error(
        "{chunk} frames a call: expected a multiple of {multiple}, by which strides divide the frames of the \
         network"
    )]
    Chunk {
        /// The frames.
        chunk: usize,
        /// What they must be a multiple of.
        multiple: usize,
    },
    /// An output's sample has no place for fewer rows.
    #[error(
        "output `{}` of shape {shape:?} mixes its {rows} rows of time with other axes: expected an axis of its \
         own for them; end the network before it flattens or reshapes time",
        name(output)
    )]
    Shape {
        /// The output.
        output: String,
        /// Its sample's shape in the source model.
        shape: Vec<usize>,
        /// Its rows.
        rows: usize,
    },
}

/// `0 or 2`.
fn list(axes: &[usize]) -> String {
    let axes: Vec<String> = axes.iter().map(usize::to_string).collect();
    match axes.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// The inputs with their shapes: `x: [1, 49, 10]`.
pub(super) fn inputs(program: &Program) -> String {
    let inputs = program.inputs.iter();
    let inputs = inputs.map(|i| format!("{}: {:?}", name(&i.name), i.border.source_shape));
    inputs.collect::<Vec<_>>().join(", ")
}
