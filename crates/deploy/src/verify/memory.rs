//! Invariants of the arena.

use std::collections::BTreeMap;

use super::limits::MAX_ARENA_BYTES;
use super::violation::{Subject, VerifyError, Violation, ensure};
use crate::op::IntOp;
use crate::place::kernels::{Needs, needs};
use crate::place::lifetime::{
    held_bytes, last_reads, live_spans, put_by, replaceable_carried, replaceable_input,
    replaceable_states,
};
use crate::place::placement::{Placement, Region};
use crate::place::rows::replaceable_inputs;
use crate::program::{IntNode, IntTensor, Program, TensorId};
use crate::target::Kernels;

/// Checks places and lifetimes of a valid program with valid streams.
pub(super) fn verify_memory(
    program: &Program,
    placement: &Placement,
    kernels: Kernels,
) -> Result<(), VerifyError> {
    let arena_bytes = placement.arena_bytes;
    let mut found = VerifyError::default();
    found.note(ensure(
        arena_bytes <= MAX_ARENA_BYTES,
        Subject::Model,
        format_args!("an arena of at most {MAX_ARENA_BYTES} bytes"),
        format_args!("{arena_bytes}"),
    ));
    let held = held_bytes(program, &placement.streams);
    for ((tensor, &offset), &bytes) in program.tensors.iter().zip(&placement.offsets).zip(&held) {
        found.note(verify_place(tensor, Region { offset, bytes }, arena_bytes));
    }
    let needs: Vec<Needs> =
        program.nodes.iter().map(|node| needs(program, node, kernels)).collect();
    for ((node, &scratch), needs) in program.nodes.iter().zip(&placement.scratch).zip(&needs) {
        found.note(verify_scratch(node, scratch, needs.scratch, arena_bytes));
    }
    if found.count() == 0 {
        verify_disjoint(program, placement, &held, &needs, &mut found);
    }
    found.or(())
}

fn verify_place(tensor: &IntTensor, place: Region, arena_bytes: usize) -> Result<(), Violation> {
    let size = tensor.dtype.bytes();
    ensure(
        place.offset.is_multiple_of(size),
        tensor,
        format_args!("an offset that is a multiple of {size}"),
        format_args!("{}", place.offset),
    )?;
    verify_inside(place, arena_bytes, tensor.into())
}

fn verify_scratch(
    node: &IntNode,
    scratch: Region,
    needed: usize,
    arena_bytes: usize,
) -> Result<(), Violation> {
    let Region { offset, bytes } = scratch;
    ensure(offset.is_multiple_of(8), node, "scratch at a multiple of 8", format_args!("{offset}"))?;
    ensure(
        bytes >= needed,
        node,
        format_args!("at least {needed} bytes of scratch"),
        format_args!("{bytes}"),
    )?;
    verify_inside(scratch, arena_bytes, node.into())
}

fn verify_inside(region: Region, arena_bytes: usize, subject: Subject) -> Result<(), Violation> {
    let end = region.offset.checked_add(region.bytes);
    ensure(
        end.is_some_and(|end| end <= arena_bytes),
        subject,
        format_args!("bytes inside the arena of {arena_bytes}"),
        format_args!("{} from {}", region.bytes, region.offset),
    )
}

/// Walks through the program with the set of live regions.
fn verify_disjoint(
    program: &Program,
    placement: &Placement,
    held: &[usize],
    needs: &[Needs],
    found: &mut VerifyError,
) {
    let Placement { offsets, scratch, streams, .. } = placement;
    let (last_reads, live_until) = (last_reads(program), live_spans(program, streams));
    let region = |id: TensorId| Region { offset: offsets[id.0], bytes: held[id.0] };
    let tensor = |id: TensorId| Occupant::Tensor(&program.tensors[id.0]);
    let mut live = LiveRegions::default();
    for given in program.given() {
        found.note(live.insert(region(given), tensor(given)));
    }
    // The caller fills all of them before the first node.
    for given in program.given() {
        if last_reads[given.0].is_none() {
            live.remove(region(given));
        }
    }
    let states = replaceable_states(program, streams);
    let carried = replaceable_carried(program, needs);
    // What was written over before its time was up, by what a step leaves for the next one.
    let mut gone = vec![false; program.tensors.len()];
    let mut loops = program.loops.iter().peekable();
    let mut next = streams.iter().peekable();
    let mut index = 0;
    while index < program.nodes.len() {
        if let Some(own) = loops.peek().filter(|own| own.first == index) {
            // Each step adds its part.
            for node in put_by(program, own) {
                if states[node.output.0].map(region) == Some(region(node.output)) {
                    live.remove(region(node.output));
                }
                found.note(live.insert(region(node.output), tensor(node.output)));
            }
        }
        let stream = next.next_if(|stream| stream.first == index);
        let nodes = &program.nodes[stream.map_or(index..index + 1, |stream| stream.nodes())];
        let last = index + nodes.len() - 1;
        let output = program.nodes[last].output;
        // What the output may take over counts as one region with it while they meet.
        let mut taken_over = region(output);
        if matches!(program.nodes[last].op, IntOp::Step { put: true, .. }) {
            live.remove(taken_over);
        }
        let replaced =
            replaceable_input(program, streams, index, &last_reads, needs[index]).map(region);
        for replaced in replaced.into_iter().chain(states[output.0].map(region)) {
            if replaced == region(output) {
                live.remove(replaced);
            }
        }
        if let Some(held) = carried[output.0].filter(|&held| region(held) == region(output)) {
            live.remove(region(held));
            gone[held.0] = true;
        }
        for (input, clearance) in stream.map_or(Vec::new(), |s| replaceable_inputs(program, s)) {
            let [input, own] = [input, output].map(region);
            let reaches = own.offset + clearance <= input.offset;
            if reaches && input.offset < own.offset + own.bytes {
                live.remove(input);
                let end = (taken_over.offset + taken_over.bytes).max(input.offset + input.bytes);
                taken_over.bytes = end - taken_over.offset;
            }
        }
        found.note(live.insert(taken_over, tensor(output)));
        for node in &nodes[..nodes.len() - 1] {
            found.note(live.insert(region(node.output), tensor(node.output)));
        }
        for (node, &scratch) in nodes.iter().zip(&scratch[index..]) {
            found.note(live.insert(scratch, Occupant::Scratch(node)));
            live.remove(scratch);
        }
        for node in &nodes[..nodes.len() - 1] {
            live.remove(region(node.output));
        }
        for &id in nodes.iter().flat_map(|node| &node.inputs) {
            let dies = live_until[id.0].1 == last;
            // A region that was taken over, or belonged to the stream, is gone already.
            if dies && !within(region(id), taken_over) {
                live.remove(region(id));
            }
        }
        live.remove(taken_over);
        if let Some(own) = loops.next_if(|own| own.last() == last) {
            let nodes = &program.nodes[own.nodes()];
            let touched = nodes.iter().flat_map(|node| node.inputs.iter().chain([&node.output]));
            for &id in touched.chain(own.carried.iter().map(|carried| &carried.held)) {
                if live_until[id.0].1 == last && !gone[id.0] && id != output {
                    live.remove(region(id));
                    gone[id.0] = true;
                }
            }
        }
        if live_until[output.0].1 > last {
            found.note(live.insert(region(output), tensor(output)));
        }
        index = last + 1;
    }
}

/// Whether `region` lies in `other`.
fn within(region: Region, other: Region) -> bool {
    other.offset <= region.offset && region.offset + region.bytes <= other.offset + other.bytes
}

/// The occupant of a live region.
#[derive(Clone, Copy)]
enum Occupant<'a> {
    Tensor(&'a IntTensor),
    Scratch(&'a IntNode),
}

impl Occupant<'_> {
    fn subject(self) -> Subject {
        match self {
            Occupant::Tensor(tensor) => tensor.into(),
            Occupant::Scratch(node) => node.into(),
        }
    }
}

/// Disjoint regions by their first byte.
#[derive(Default)]
struct LiveRegions<'a>(BTreeMap<usize, (Region, Occupant<'a>)>);

impl<'a> LiveRegions<'a> {
    /// Adds a region, unless it meets another one.
    fn insert(&mut self, region: Region, occupant: Occupant<'a>) -> Result<(), Violation> {
        if region.bytes == 0 {
            return Ok(());
        }
        let end = region.offset + region.bytes;
        // Live regions are disjoint: only the last one that starts before `end` can reach in.
        if let Some((_, (other, holder))) = self.0.range(..end).next_back() {
            ensure(
                other.offset + other.bytes <= region.offset,
                occupant.subject(),
                format_args!("bytes {}..{end} free", region.offset),
                format_args!(
                    "{} live in {}..{}",
                    holder.subject(),
                    other.offset,
                    other.offset + other.bytes
                ),
            )?;
        }
        self.0.insert(region.offset, (region, occupant));
        Ok(())
    }

    /// Removes a region, unless it was refused: then another one may stand there.
    fn remove(&mut self, region: Region) {
        if self.0.get(&region.offset).is_some_and(|(live, _)| *live == region) {
            self.0.remove(&region.offset);
        }
    }
}
