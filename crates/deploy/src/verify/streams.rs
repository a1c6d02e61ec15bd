//! Invariants of streams.

use super::violation::{Subject, VerifyError, ensure};
use crate::model::IntModel;
use crate::stream::RowProgram;

/// Checks the streams of a program whose tensors, data flow and operations are valid.
pub(super) fn verify_streams(model: &IntModel, found: &mut VerifyError) {
    let mut free = 0;
    for stream in &model.streams {
        let nodes = stream.nodes();
        let lies_apart = found.note(ensure(
            !stream.rows.is_empty() && free <= nodes.start && nodes.end <= model.nodes.len(),
            Subject::Model,
            format_args!("a stream of nodes from {free} to before {}", model.nodes.len()),
            format_args!("{nodes:?}"),
        ));
        if lies_apart {
            free = nodes.end;
            found.note(RowProgram::new(model, stream).map(drop));
        }
    }
}
