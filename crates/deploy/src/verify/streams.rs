//! Invariants of streams.

use super::{Subject, VerifyError, ensure};
use crate::model::IntModel;
use crate::stream::RowProgram;

/// Checks the streams of a program whose tensors, data flow and operations are valid.
pub(super) fn verify_streams(model: &IntModel) -> Result<(), VerifyError> {
    let mut free = 0;
    for stream in &model.streams {
        let nodes = stream.nodes();
        ensure(
            !stream.rows.is_empty() && free <= nodes.start && nodes.end <= model.nodes.len(),
            Subject::Model,
            format_args!("a stream of nodes from {free} to before {}", model.nodes.len()),
            format_args!("{nodes:?}"),
        )?;
        free = nodes.end;
        RowProgram::new(model, stream)?;
    }
    Ok(())
}
