//! When each activation is live, and when an operation may write over its first input.

use super::kernels::Needs;
use super::placement::Stream;
use crate::loops::{Carried, Loop};
use crate::op::IntOp;
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
/// all the time; what the steps of a loop put into a sequence is live from the loop's first node on. Every
/// tensor id must be in range and every tensor that is not given must be written.
pub fn live_spans(program: &Program, streams: &[Stream]) -> Vec<(usize, usize)> {
    let (spans, last_reads) = (spans(program, streams), last_reads(program));
    let mut live = vec![(0, 0); program.tensors.len()];
    for (node, &span) in program.nodes.iter().zip(&spans) {
        live[node.output.0] = span;
    }
    for own in &program.loops {
        for node in put_by(program, own) {
            live[node.output.0].0 = own.first;
        }
    }
    for (live, last) in live.iter_mut().zip(last_reads) {
        let end = last.map_or(0, |read| spans.get(read.node).map_or(read.node, |span| span.1));
        live.1 = live.1.max(end);
    }
    live
}

/// The nodes of a loop that put steps into sequences.
pub fn put_by<'p>(program: &'p Program, own: &Loop) -> impl Iterator<Item = &'p IntNode> + use<'p> {
    let nodes = program.nodes.get(own.nodes()).unwrap_or_default();
    nodes.iter().filter(|node| matches!(node.op, IntOp::Step { put: true, .. }))
}

/// When something reads a tensor for the last time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastRead {
    /// Index of the node; that of a loop's last one if later steps find the tensor again, and the number of
    /// nodes if the caller or the next call does.
    pub node: usize,
    /// Whether a step of a loop leaves it for later ones, or for what follows the step: no node of the loop may
    /// write over it.
    pub kept: bool,
}

/// For each tensor, the last that reads it; `None` if nothing does.
///
/// Every tensor id of the program must be in range.
pub fn last_reads(program: &Program) -> Vec<Option<LastRead>> {
    let mut last = last_reads_by_nodes(program);
    let mut keep = |id: TensorId, end: usize| {
        let node = last[id.0].map_or(end, |read| read.node.max(end));
        last[id.0] = Some(LastRead { node, kept: true });
    };
    for own in &program.loops {
        put_by(program, own).for_each(|node| keep(node.output, own.last()));
        for carried in &own.carried {
            keep(carried.held, own.last());
            keep(carried.next, own.last());
        }
    }
    for left in program.left().chain(program.states.iter().map(|state| state.input)) {
        last[left.0] = Some(LastRead { node: program.nodes.len(), kept: true });
    }
    last
}

/// For each tensor, the last node that reads it, in any step.
fn last_reads_by_nodes(program: &Program) -> Vec<Option<LastRead>> {
    let mut last: Vec<Option<LastRead>> = vec![None; program.tensors.len()];
    let writers = writers(program);
    for (index, node) in program.nodes.iter().enumerate() {
        let own = program.loop_of(index);
        for input in &node.inputs {
            let written = writers[input.0];
            let outside =
                own.filter(|own| !written.is_some_and(|node| own.nodes().contains(&node)));
            let before = last[input.0].is_some_and(|read| read.kept);
            last[input.0] = Some(match outside {
                Some(own) => LastRead { node: own.last(), kept: true },
                None => LastRead { node: index, kept: before },
            });
        }
    }
    last
}

/// For each tensor, the index of the node that writes it.
fn writers(program: &Program) -> Vec<Option<usize>> {
    let mut writers = vec![None; program.tensors.len()];
    for (index, node) in program.nodes.iter().enumerate() {
        writers[node.output.0] = Some(index);
    }
    writers
}

/// For each tensor, the activation that steps of a loop find and that it may be written over, because it is
/// what the next step finds there and no node of the loop reads the old one any more; a kernel that works
/// in place may read it while it writes. Others are copied at the end of a step.
///
/// Every tensor id of the program must be in range, and its loops must be valid; `needs` has those of each node.
pub fn replaceable_carried(program: &Program, needs: &[Needs]) -> Vec<Option<TensorId>> {
    let mut replaceable = vec![None; program.tensors.len()];
    if program.loops.is_empty() {
        return replaceable;
    }
    let writers = writers(program);
    let mut read_in_loop: Vec<Option<usize>> = vec![None; program.tensors.len()];
    for own in &program.loops {
        for index in own.nodes() {
            for input in &program.nodes[index].inputs {
                read_in_loop[input.0] = Some(index);
            }
        }
        for &Carried { held, next } in &own.carried {
            let Some(index) = writers[next.0] else { continue };
            let unread = match read_in_loop[held.0].filter(|&read| read >= own.first) {
                None => true,
                Some(read) if read == index => {
                    let inputs = &program.nodes[index].inputs;
                    let first = inputs.split_first();
                    needs[index].in_place
                        && first.is_some_and(|(&id, rest)| id == held && !rest.contains(&held))
                }
                Some(read) => read < index,
            };
            if unread {
                replaceable[next.0] = Some(held);
            }
        }
    }
    replaceable
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
    let writer = writers(program);
    for state in &program.states {
        let Some(index) = writer[state.output.0] else { continue };
        let by_rows = streams.iter().any(|stream| stream.nodes().contains(&index));
        if !by_rows && last[state.input.0].is_none_or(|read| read.node < index) {
            replaceable[state.output.0] = Some(state.input);
        }
    }
    replaceable
}

/// The first input of the node at `index`, if its output may use the same bytes: its kernel works in
/// place, both take as many bytes, and nothing reads the input again, in this node, later or in another step of
/// its loop. In a stream rows come and go: see [`replaceable_inputs`](super::rows::replaceable_inputs).
///
/// `last_reads` are those of [`last_reads`], `needs` what the node needs.
pub fn replaceable_input(
    program: &Program,
    streams: &[Stream],
    index: usize,
    last_reads: &[Option<LastRead>],
    needs: Needs,
) -> Option<TensorId> {
    let IntNode { inputs, output, .. } = &program.nodes[index];
    let (&first, rest) = inputs.split_first()?;
    if !needs.in_place || streams.iter().any(|stream| stream.nodes().contains(&index)) {
        return None;
    }
    let fits = program.tensors[first.0].bytes() == program.tensors[output.0].bytes();
    let last = last_reads[first.0].filter(|read| read.node == index)?;
    let again = rest.contains(&first) || (last.kept && program.loop_of(index).is_some());
    (fits && !again).then_some(first)
}
