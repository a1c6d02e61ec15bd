//! Invariants of streams.

use super::violation::{Subject, VerifyError, ensure};
use crate::place::placement::Stream;
use crate::place::rows::RowProgram;
use crate::program::Program;

/// The most rows that the nodes of all streams may compute: each is planned for by itself.
pub const MAX_STREAM_ROWS: usize = 1 << 20;

/// Checks the streams of a valid program; returns the rows of each.
pub(super) fn verify_streams(
    program: &Program,
    streams: &[Stream],
) -> Result<Vec<RowProgram>, VerifyError> {
    let mut found = VerifyError::default();
    let streamed = streams.iter().flat_map(|s| program.nodes.get(s.nodes()).unwrap_or_default());
    let rows = streamed.map(|node| program.tensors[node.output.0].shape[0]);
    let rows = rows.fold(0, usize::saturating_add);
    found.note(ensure(
        rows <= MAX_STREAM_ROWS,
        Subject::Model,
        format_args!("at most {MAX_STREAM_ROWS} rows in all streams"),
        format_args!("{rows}"),
    ));
    if found.count() > 0 {
        return Err(found);
    }
    let mut free = 0;
    let mut programs = Vec::with_capacity(streams.len());
    for stream in streams {
        let nodes = stream.nodes();
        let lies_apart = found.note(ensure(
            !stream.rows.is_empty() && free <= nodes.start && nodes.end <= program.nodes.len(),
            Subject::Model,
            format_args!("a stream of nodes from {free} to before {}", program.nodes.len()),
            format_args!("{nodes:?}"),
        ));
        if lies_apart {
            free = nodes.end;
            let rows = RowProgram::new(program, stream);
            found.note(rows.map(|rows| programs.push(rows)));
        }
    }
    found.or(programs)
}
