//! Problems whose nodes run row by row.

use burn_ptq_deploy::place::plan::plan;
use burn_ptq_deploy::place::rows::RowProgram;
use burn_ptq_deploy::place::{Placed, Stream};
use burn_ptq_deploy::program::Program;
use burn_ptq_deploy::target::Kernels;

use super::Problem;
use super::draw::Draw;

/// The problem with streams wherever there can be some, of random lengths and with random room;
/// `None` if there can be none.
pub(super) fn streamed(draw: &mut Draw, whole: &Problem) -> Option<Problem> {
    let program = whole.program.program();
    let mut streams = Vec::new();
    let mut first = 0;
    while first < program.nodes.len() {
        let longest =
            (first + 1..=program.nodes.len()).rev().find_map(|end| stream(program, first, end));
        let Some(longest) = longest else {
            first += 1;
            continue;
        };
        let end = first + 1 + draw.below(longest.rows.len());
        let shorter = if draw.chance(30) { stream(program, first, end) } else { None };
        let mut stream = shorter.unwrap_or(longest);
        first = stream.nodes().end;
        for (rows, node) in stream.rows.iter_mut().zip(&program.nodes[stream.first..]) {
            let height = program.tensors[node.output.0].shape[0];
            *rows = (*rows + if draw.chance(30) { draw.below(3) } else { 0 }).min(height);
        }
        streams.push(stream);
    }
    if streams.is_empty() {
        return None;
    }
    let placement = plan(program, streams, Kernels::Portable);
    let program = Placed::new(program.clone(), placement, Kernels::Portable);
    let program = program.expect("streams that can be, and their plan");
    let (name, input) = (format!("{}, by rows", whole.name), whole.input.clone());
    Some(Problem { name, program, input, recordings: whole.recordings })
}

fn stream(program: &Program, first: usize, end: usize) -> Option<Stream> {
    let stream = Stream { first, rows: vec![1; end - first] };
    let rows = RowProgram::unlimited(program, &stream).ok()?.capacities();
    Some(Stream { first, rows })
}
