//! Invariants of the arena.

use std::collections::BTreeMap;

use super::{MAX_ARENA_BYTES, Subject, VerifyError, ensure};
use crate::kernels::scratch_bytes;
use crate::lifetime::{last_reads, replaceable_input};
use crate::model::{IntModel, IntNode, IntTensor, Region};
use crate::target::Kernels;

/// Checks places and lifetimes in a program whose tensors and operations are valid.
pub(super) fn verify_memory(model: &IntModel, kernels: Kernels) -> Result<(), VerifyError> {
    ensure(
        model.arena_bytes <= MAX_ARENA_BYTES,
        Subject::Model,
        format_args!("an arena of at most {MAX_ARENA_BYTES} bytes"),
        format_args!("{}", model.arena_bytes),
    )?;
    for tensor in &model.tensors {
        let size = tensor.dtype.bytes();
        ensure(
            tensor.offset.is_multiple_of(size),
            tensor,
            format_args!("an offset that is a multiple of {size}"),
            format_args!("{}", tensor.offset),
        )?;
        verify_inside(model, region(tensor), tensor.into())?;
    }
    for node in &model.nodes {
        let Region { offset, bytes } = node.scratch;
        ensure(
            offset.is_multiple_of(8),
            node,
            "scratch at a multiple of 8",
            format_args!("{offset}"),
        )?;
        let needed = scratch_bytes(model, node, kernels);
        ensure(
            bytes >= needed,
            node,
            format_args!("at least {needed} bytes of scratch"),
            format_args!("{bytes}"),
        )?;
        verify_inside(model, node.scratch, node.into())?;
    }
    verify_disjoint(model)
}

fn region(tensor: &IntTensor) -> Region {
    Region { offset: tensor.offset, bytes: tensor.bytes() }
}

fn verify_inside(model: &IntModel, region: Region, subject: Subject) -> Result<(), VerifyError> {
    let end = region.offset.checked_add(region.bytes);
    ensure(
        end.is_some_and(|end| end <= model.arena_bytes),
        subject,
        format_args!("bytes inside the arena of {}", model.arena_bytes),
        format_args!("{} from {}", region.bytes, region.offset),
    )
}

/// Walks through the program with the set of live regions.
fn verify_disjoint(model: &IntModel) -> Result<(), VerifyError> {
    let last_reads = last_reads(model);
    let mut live = LiveRegions::default();
    let input = &model.tensors[model.input.0];
    live.insert(region(input), Occupant::Tensor(input))?;
    if last_reads[model.input.0].is_none() {
        live.remove(region(input));
    }
    for (index, node) in model.nodes.iter().enumerate() {
        let output = &model.tensors[node.output.0];
        if let Some(replaced) = replaceable_input(model, index, &last_reads) {
            let replaced = &model.tensors[replaced.0];
            if region(replaced) == region(output) {
                live.remove(region(replaced));
            }
        }
        live.insert(region(output), Occupant::Tensor(output))?;
        live.insert(node.scratch, Occupant::Scratch(node))?;
        live.remove(node.scratch);
        for &id in &node.inputs {
            if last_reads[id.0] == Some(index) && region_is_not(output, &model.tensors[id.0]) {
                live.remove(region(&model.tensors[id.0]));
            }
        }
        if last_reads[node.output.0].is_none() {
            live.remove(region(output));
        }
    }
    Ok(())
}

/// Whether `input` was not replaced in place by `output`: live regions are disjoint, so that the
/// same first byte means the same region.
fn region_is_not(output: &IntTensor, input: &IntTensor) -> bool {
    output.offset != input.offset
}

/// Who stands in a live region.
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
    fn insert(&mut self, region: Region, occupant: Occupant<'a>) -> Result<(), VerifyError> {
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

    fn remove(&mut self, region: Region) {
        if region.bytes > 0 {
            self.0.remove(&region.offset);
        }
    }
}
