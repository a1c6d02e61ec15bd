//! Places every activation and every scratch region in one arena.
//!
//! Greedy by size, as TensorFlow Lite Micro's planner: the largest buffer first, each at the lowest
//! place where it meets no buffer that is live at the same time. An operation that works in place
//! writes over its first input where nothing needs that any more, and what the next call or step finds over
//! what this one found.

use super::kernels::{Needs, needs};
use super::lifetime::{
    held_bytes, last_reads, live_spans, replaceable_carried, replaceable_input, replaceable_states,
    spans,
};
use super::placement::{Placement, Region, Stream};
use super::rows::replaceable_inputs;
use crate::program::Program;
use crate::target::Kernels;

/// Offsets in the arena are multiples of this.
pub const ALIGNMENT: usize = 8;

/// Random exchanges of two buffers in the order of placement that are tried where there are streams.
const EXCHANGES: usize = 400;

/// The occupant of a buffer.
#[derive(Clone, Copy)]
enum Occupant {
    Tensor(usize),
    Scratch(usize),
}

/// Bytes that are live from node `first` to node `last`, both included.
struct Buffer {
    bytes: usize,
    first: usize,
    last: usize,
    occupants: Vec<Occupant>,
    /// Buffers that this one may reach into from below, and how many bytes it must begin before them.
    reaches_into: Vec<(usize, usize)>,
}

impl Buffer {
    fn new(bytes: usize, (first, last): (usize, usize), occupant: Occupant) -> Self {
        Self { bytes, first, last, occupants: vec![occupant], reaches_into: Vec::new() }
    }

    fn meets(&self, other: &Buffer) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Places of all tensors and of the scratch that `kernels` need, for [`Placed::new`](super::Placed::new).
///
/// The result depends on the arguments alone. The program must be valid, and so must the streams.
pub fn plan(program: &Program, streams: Vec<Stream>, kernels: Kernels) -> Placement {
    let needs: Vec<Needs> =
        program.nodes.iter().map(|node| needs(program, node, kernels)).collect();
    let buffers = buffers(program, &streams, &needs);
    let mut best = best_of_two(&buffers);
    if !streams.is_empty() {
        best = exchanged(&buffers, best);
    }
    let mut placement = Placement {
        arena_bytes: best.arena_bytes,
        offsets: vec![0; program.tensors.len()],
        scratch: vec![Region::default(); program.nodes.len()],
        streams,
    };
    for (buffer, &offset) in buffers.iter().zip(&best.offsets) {
        for occupant in &buffer.occupants {
            match *occupant {
                Occupant::Tensor(tensor) => placement.offsets[tensor] = offset,
                Occupant::Scratch(node) => {
                    placement.scratch[node] = Region { offset, bytes: buffer.bytes };
                }
            }
        }
    }
    placement
}

/// About the bytes that [`plan`] comes to, in less time; `needs` has those of each node.
pub(super) fn estimate(program: &Program, streams: &[Stream], needs: &[Needs]) -> usize {
    best_of_two(&buffers(program, streams, needs)).arena_bytes
}

/// Places of buffers.
struct Arrangement {
    /// The order in which buffers were placed.
    order: Vec<usize>,
    offsets: Vec<usize>,
    arena_bytes: usize,
}

fn best_of_two(buffers: &[Buffer]) -> Arrangement {
    // Stable: equal sizes stay in the order of execution.
    let mut by_size: Vec<usize> = (0..buffers.len()).collect();
    by_size.sort_by_key(|&index| std::cmp::Reverse(buffers[index].bytes));
    let mut best = place(buffers, by_size);
    if buffers.iter().any(|buffer| !buffer.reaches_into.is_empty()) {
        // What is written last is placed lowest, so that each output can reach into its input.
        let placed = place(buffers, (0..buffers.len()).rev().collect());
        if placed.arena_bytes < best.arena_bytes {
            best = placed;
        }
    }
    best
}

/// Exchanges random buffers in the order of placement, as long as that needs no more memory.
fn exchanged(buffers: &[Buffer], mut best: Arrangement) -> Arrangement {
    let mut state = 1_u32;
    let mut below = |bound: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % bound
    };
    // The work of one placement grows with the square of the buffers.
    let exchanges = EXCHANGES.min((1 << 22) / buffers.len().pow(2));
    for _ in 0..exchanges {
        let mut order = best.order.clone();
        order.swap(below(buffers.len()), below(buffers.len()));
        let placed = place(buffers, order);
        if placed.arena_bytes <= best.arena_bytes {
            best = placed;
        }
    }
    best
}

/// Places buffers in `order`, each as low as the ones before it let it.
fn place(buffers: &[Buffer], order: Vec<usize>) -> Arrangement {
    let mut offsets = vec![0; buffers.len()];
    let mut arena_bytes = 0;
    for (position, &index) in order.iter().enumerate() {
        offsets[index] = lowest_gap(buffers, index, &order[..position], &offsets);
        arena_bytes = arena_bytes.max(offsets[index] + buffers[index].bytes);
    }
    Arrangement { order, offsets, arena_bytes }
}

/// The buffers in the order of execution; chains of operations in place are one buffer.
fn buffers(program: &Program, streams: &[Stream], needs: &[Needs]) -> Vec<Buffer> {
    let (last_reads, spans) = (last_reads(program), spans(program, streams));
    let (live, held) = (live_spans(program, streams), held_bytes(program, streams));
    let tensor = |id: usize| Buffer::new(held[id], live[id], Occupant::Tensor(id));
    let given = || program.given().map(|id| id.0);
    let mut buffers: Vec<Buffer> = given().map(tensor).collect();
    let mut buffer_of = vec![0; program.tensors.len()];
    given().enumerate().for_each(|(buffer, given)| buffer_of[given] = buffer);
    let states = replaceable_states(program, streams);
    let carried = replaceable_carried(program, needs);
    for (index, (node, needs)) in program.nodes.iter().zip(needs).enumerate() {
        let (output, bytes) = (node.output.0, needs.scratch);
        // What a step would copy is more than what a call would.
        if let Some(kept) = carried[output].or(states[output]) {
            buffer_of[output] = buffer_of[kept.0];
            let buffer = &mut buffers[buffer_of[output]];
            buffer.last = buffer.last.max(live[output].1);
            buffer.occupants.push(Occupant::Tensor(output));
        } else if let Some(replaced) =
            replaceable_input(program, streams, index, &last_reads, *needs)
        {
            buffer_of[output] = buffer_of[replaced.0];
            let buffer = &mut buffers[buffer_of[output]];
            buffer.last = live[output].1;
            buffer.occupants.push(Occupant::Tensor(output));
        } else {
            buffer_of[output] = buffers.len();
            buffers.push(tensor(output));
        }
        if bytes == 0 {
            continue;
        }
        // The nodes of a stream take turns, so that they share.
        let shared = buffers.iter_mut().find(|buffer| match buffer.occupants[0] {
            Occupant::Scratch(other) => spans[other] == spans[index],
            Occupant::Tensor(_) => false,
        });
        if let Some(shared) = shared {
            shared.bytes = shared.bytes.max(bytes);
            shared.occupants.push(Occupant::Scratch(index));
        } else {
            buffers.push(Buffer::new(bytes, spans[index], Occupant::Scratch(index)));
        }
    }
    for stream in streams {
        let output = program.nodes[stream.last()].output.0;
        let inputs = replaceable_inputs(program, stream);
        let inputs = inputs.into_iter().map(|(id, bytes)| (buffer_of[id.0], bytes));
        buffers[buffer_of[output]].reaches_into.extend(inputs);
    }
    buffers
}

/// Bytes from the start of `lower` to the start of `upper` if that comes after it.
fn clearance(buffers: &[Buffer], lower: usize, upper: usize) -> usize {
    let reach = buffers[lower].reaches_into.iter().find(|(other, _)| *other == upper);
    reach.map_or(buffers[lower].bytes, |(_, bytes)| buffers[lower].bytes.min(*bytes))
}

/// The lowest offset at which the buffer at `index` shares no byte that is needed with a placed one.
fn lowest_gap(buffers: &[Buffer], index: usize, placed: &[usize], offsets: &[usize]) -> usize {
    let meeting = placed.iter().filter(|&&other| buffers[index].meets(&buffers[other]));
    // The last offset that lies before the other one, if any does, and the first after it.
    let mut taken: Vec<(Option<usize>, usize)> = meeting
        .map(|&other| {
            let before = offsets[other].checked_sub(clearance(buffers, index, other));
            (before, offsets[other] + clearance(buffers, other, index))
        })
        .collect();
    taken.sort_unstable();
    let mut offset = 0_usize;
    for (before, after) in taken {
        if before.is_none_or(|before| offset > before) {
            offset = offset.max(after.next_multiple_of(ALIGNMENT));
        }
    }
    offset
}
