//! When each activation is live, and when an operation may write over its first input.

use super::kernels::Needs;
use super::placement::Stream;
use crate::program::{IntNode, IntTensor, Program, TensorId};

/// For each node, the first and the last node that run with it: those of its stream, or itself.
pub fn spans(program: &Program, streams: &[Stream]) -> Vec<(usize, usize)> {
    let mut spans: Vec<_> = (0..program.nodes.len()).map(|node| (node, node)).collect();
    for stream in streams {
        if let Some(span) = spans.get_mut(stream.nodes()) {
            span.fill((stream.first, stream.last()));
        }
    }
    spans
}

/// For each tensor, the bytes of it that memory holds: all of them, or a few rows.
pub fn held_bytes(program: &Program, streams: &[Stream]) -> Vec<usize> {
    let mut held: Vec<_> = program.tensors.iter().map(IntTensor::bytes).collect();
    for stream in streams {
        let nodes = program.nodes.get(stream.nodes()).unwrap_or_default();
        for (node, rows) in nodes.iter().zip(&stream.rows) {
            held[node.output.0] = rows * program.tensors[node.output.0].row_bytes();
        }
    }
    held
}

/// For each tensor, the first and the last node during which it stays in memory: a stream's nodes
/// run together, so that what one of them touches is live in all.
///
/// The model's inputs are live from the first node on, its outputs until after the last, and its states
/// all the time. Every tensor id must be in range and every tensor that is not given must be written.
pub fn live_spans(program: &Program, streams: &[Stream]) -> Vec<(usize, usize)> {
    let (spans, last_reads) = (spans(program, streams), last_reads(program));
    let mut live = vec![(0, 0); program.tensors.len()];
    for (node, &span) in program.nodes.iter().zip(&spans) {
        live[node.output.0] = span;
    }
    for (live, last) in live.iter_mut().zip(last_reads) {
        let end = last.map_or(0, |node| spans.get(node).map_or(node, |span| span.1));
        live.1 = live.1.max(end);
    }
    live
}

/// For each tensor, the index of the last node that reads it; the number of nodes for the model's
/// outputs, which the caller reads, and for states, and `None` if nothing does.
///
/// Every tensor id of the program must be in range.
pub fn last_reads(program: &Program) -> Vec<Option<usize>> {
    let mut last = last_reads_by_nodes(program);
    for left in program.left().chain(program.states.iter().map(|state| state.input)) {
        last[left.0] = Some(program.nodes.len());
    }
    last
}

/// For each tensor, the index of the last node that reads it.
fn last_reads_by_nodes(program: &Program) -> Vec<Option<usize>> {
    let mut last = vec![None; program.tensors.len()];
    for (index, node) in program.nodes.iter().enumerate() {
        for input in &node.inputs {
            last[input.0] = Some(index);
        }
    }
    last
}

/// For each tensor, the activation of a state that it may be written over, because it is what the next
/// call finds there and no node reads the old one any more. Other states are copied after the last node.
///
/// Every tensor id of the program must be in range. Nodes of streams write rows in an order of their own,
/// so that their outputs are copied.
pub fn replaceable_states(program: &Program, streams: &[Stream]) -> Vec<Option<TensorId>> {
    let mut replaceable = vec![None; program.tensors.len()];
    if program.states.is_empty() {
        return replaceable;
    }
    let last = last_reads_by_nodes(program);
    let mut writer = vec![None; program.tensors.len()];
    for (index, node) in program.nodes.iter().enumerate() {
        writer[node.output.0] = Some(index);
    }
    for state in &program.states {
        let Some(index) = writer[state.output.0] else { continue };
        let by_rows = streams.iter().any(|stream| stream.nodes().contains(&index));
        if !by_rows && last[state.input.0].is_none_or(|read| read < index) {
            replaceable[state.output.0] = Some(state.input);
        }
    }
    replaceable
}

/// The first input of the node at `index`, if its output may use the same bytes: its kernel works in
/// place, both take as many bytes, and nothing reads the input again, in this node or later. In a stream
/// rows come and go: see [`replaceable_inputs`](super::rows::replaceable_inputs).
///
/// `last_reads` are those of [`last_reads`], `needs` what the node needs.
pub fn replaceable_input(
    program: &Program,
    streams: &[Stream],
    index: usize,
    last_reads: &[Option<usize>],
    needs: Needs,
) -> Option<TensorId> {
    let IntNode { inputs, output, .. } = &program.nodes[index];
    let (&first, rest) = inputs.split_first()?;
    if !needs.in_place || streams.iter().any(|stream| stream.nodes().contains(&index)) {
        return None;
    }
    let fits = program.tensors[first.0].bytes() == program.tensors[output.0].bytes();
    let dies = last_reads[first.0] == Some(index) && !rest.contains(&first);
    (fits && dies).then_some(first)
}
