//! Which axis of the inputs is time.

use super::build::slides;
use super::error::{StreamingError, inputs};
use crate::program::Program;

/// The only axis along which operations slide.
pub(super) fn found(program: &Program) -> Result<usize, StreamingError> {
    let axes = program.inputs.iter().map(|input| input.border.source_shape.len());
    let axes = 0..axes.max().unwrap_or(0);
    let axes: Vec<usize> = axes.filter(|&axis| slides(program, axis)).collect();
    match axes[..] {
        [axis] => Ok(axis),
        [] => Err(StreamingError::NoTime { inputs: inputs(program) }),
        _ => Err(StreamingError::Ambiguous { axes, inputs: inputs(program) }),
    }
}
