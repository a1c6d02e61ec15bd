//! Places every activation and every scratch region in one arena.
//!
//! Greedy by size, as TensorFlow Lite Micro's planner: the largest buffer first, each at the lowest
//! place where it meets no buffer that is live at the same time. An element-wise operation writes
//! over its first input where nothing needs that any more.

use crate::kernels::scratch_bytes;
use crate::lifetime::{last_reads, replaceable_input};
use crate::model::{IntModel, Region};
use crate::target::Kernels;

/// Offsets in the arena are multiples of this.
pub const ALIGNMENT: usize = 8;

/// Who stands in a buffer.
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
}

impl Buffer {
    fn meets(&self, other: &Buffer) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Sets the offsets of all tensors, all scratch regions and `arena_bytes`.
///
/// The result depends on the program alone. Ids must be in range and every tensor must be written
/// before it is read; [`verify`](crate::verify::verify) checks that and the plan.
pub fn plan(model: &mut IntModel) {
    plan_for(model, Kernels::Portable);
}

/// The same with the scratch that the kernels of a target need.
pub fn plan_for(model: &mut IntModel, kernels: Kernels) {
    let mut buffers = buffers(model, kernels);
    // Stable: equal sizes stay in the order of execution.
    buffers.sort_by_key(|buffer| std::cmp::Reverse(buffer.bytes));
    let mut placed: Vec<(usize, Buffer)> = Vec::with_capacity(buffers.len());
    let mut arena_bytes = 0;
    for buffer in buffers {
        let offset = lowest_gap(&buffer, &placed);
        arena_bytes = arena_bytes.max(offset + buffer.bytes);
        let at = placed.partition_point(|(other, _)| *other <= offset);
        placed.insert(at, (offset, buffer));
    }
    for (offset, buffer) in placed {
        for occupant in buffer.occupants {
            match occupant {
                Occupant::Tensor(tensor) => model.tensors[tensor].offset = offset,
                Occupant::Scratch(node) => {
                    model.nodes[node].scratch = Region { offset, bytes: buffer.bytes };
                }
            }
        }
    }
    model.arena_bytes = arena_bytes;
}

/// The buffers in the order of execution; chains of operations in place are one buffer.
fn buffers(model: &mut IntModel, kernels: Kernels) -> Vec<Buffer> {
    let last_reads = last_reads(model);
    let mut buffers = vec![Buffer {
        bytes: model.tensors[model.input.0].bytes(),
        first: 0,
        last: last_reads[model.input.0].unwrap_or(0),
        occupants: vec![Occupant::Tensor(model.input.0)],
    }];
    let mut buffer_of = vec![0; model.tensors.len()];
    for index in 0..model.nodes.len() {
        let output = model.nodes[index].output.0;
        let last = last_reads[output].unwrap_or(index);
        if let Some(replaced) = replaceable_input(model, index, &last_reads) {
            buffer_of[output] = buffer_of[replaced.0];
            let buffer = &mut buffers[buffer_of[output]];
            buffer.last = last;
            buffer.occupants.push(Occupant::Tensor(output));
        } else {
            buffer_of[output] = buffers.len();
            buffers.push(Buffer {
                bytes: model.tensors[output].bytes(),
                first: index,
                last,
                occupants: vec![Occupant::Tensor(output)],
            });
        }
        let bytes = scratch_bytes(model, &model.nodes[index], kernels);
        model.nodes[index].scratch = Region::default();
        if bytes > 0 {
            let occupants = vec![Occupant::Scratch(index)];
            buffers.push(Buffer { bytes, first: index, last: index, occupants });
        }
    }
    buffers
}

/// The lowest offset at which `buffer` shares no byte with a placed buffer that it meets; `placed`
/// is sorted by offset.
fn lowest_gap(buffer: &Buffer, placed: &[(usize, Buffer)]) -> usize {
    let mut offset = 0_usize;
    for (start, other) in placed.iter().filter(|(_, other)| buffer.meets(other)) {
        if offset + buffer.bytes <= *start {
            break;
        }
        offset = offset.max((start + other.bytes).next_multiple_of(ALIGNMENT));
    }
    offset
}
