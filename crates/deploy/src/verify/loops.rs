//! Invariants of nodes that run once for each step of a sequence.

use std::collections::HashSet;
use std::ops::Range;

use super::checks::verify_id;
use super::violation::{Subject, VerifyError, Violation, ensure};
use crate::loops::{Carried, Loop, MAX_LOOP_STEPS};
use crate::op::{DType, IntOp};
use crate::printable::name;
use crate::program::{IntNode, MAX_NODES, Program, TensorId};

/// Checks the loops of a program whose tensors, data flow and operations are valid.
pub(super) fn verify_loops(program: &Program, found: &mut VerifyError) {
    let carried = program.loops.iter().map(|own| own.carried.len());
    for (what, count) in [
        ("loops", program.loops.len()),
        ("activations that loops carry", carried.fold(0, usize::saturating_add)),
    ] {
        found.note(ensure(
            count <= MAX_NODES,
            Subject::Model,
            format_args!("at most {MAX_NODES} {what}"),
            format_args!("{count}"),
        ));
    }
    let mut free = 0;
    for own in &program.loops {
        let nodes = own.nodes();
        found.note(ensure(
            !nodes.is_empty() && free <= nodes.start && nodes.end <= program.nodes.len(),
            Subject::Model,
            format_args!("a loop of nodes from {free} to before {}", program.nodes.len()),
            format_args!("{nodes:?}"),
        ));
        found.note(ensure(
            (1..=MAX_LOOP_STEPS).contains(&own.steps),
            Subject::Model,
            format_args!("a loop of 1 to {MAX_LOOP_STEPS} steps"),
            format_args!("{}", own.steps),
        ));
        free = nodes.end.max(free);
    }
    // What follows relies on their order.
    if found.count() > 0 {
        return;
    }
    let uses = Uses::of(program);
    for (index, node) in program.nodes.iter().enumerate() {
        if let IntOp::Step { put, .. } = node.op {
            found.note(verify_step(program, &uses, index, node, put));
        }
    }
    let mut seen = Seen::default();
    for own in &program.loops {
        for carried in &own.carried {
            found.note(verify_carried(program, &uses, own, *carried, &mut seen));
        }
    }
}

/// Where tensors are written and read.
struct Uses {
    /// For each tensor, the node that writes it; `None` for what is given.
    written: Vec<Option<usize>>,
    /// For each tensor, the first and the last node that read it.
    read: Vec<Option<(usize, usize)>>,
    /// For each tensor, whether a loop carries it: what a step finds.
    held: Vec<bool>,
    given: HashSet<TensorId>,
    outputs: HashSet<TensorId>,
    /// What states leave for the next call.
    left: HashSet<TensorId>,
}

impl Uses {
    fn of(program: &Program) -> Self {
        let count = program.tensors.len();
        let (mut written, mut read) = (vec![None; count], vec![None; count]);
        for (index, node) in program.nodes.iter().enumerate() {
            written[node.output.0] = Some(index);
            for input in &node.inputs {
                let first = read[input.0].map_or(index, |(first, _)| first);
                read[input.0] = Some((first, index));
            }
        }
        let mut held = vec![false; count];
        for carried in program.carried() {
            if let Some(held) = held.get_mut(carried.held.0) {
                *held = true;
            }
        }
        Self {
            written,
            read,
            held,
            given: program.given().collect(),
            outputs: program.outputs.iter().map(|output| output.tensor).collect(),
            left: program.states.iter().map(|state| state.output).collect(),
        }
    }

    /// Whether a node of `nodes` writes the tensor.
    fn is_written_by(&self, nodes: &Range<usize>, id: TensorId) -> bool {
        self.written[id.0].is_some_and(|node| nodes.contains(&node))
    }
}

/// Checks a node that takes or puts a step.
fn verify_step(
    program: &Program,
    uses: &Uses,
    index: usize,
    node: &IntNode,
    put: bool,
) -> Result<(), Violation> {
    let own = program.loop_of(index);
    ensure(own.is_some(), node, "a node of a loop", "a node outside of loops")?;
    let Some(own) = own else { return Ok(()) };
    let (input, output) = (node.inputs[0], node.output);
    let (sequence, part) = if put { (output, input) } else { (input, output) };
    let lengths = [sequence, part].map(|id| program.tensors[id.0].len());
    ensure(
        lengths[1].checked_mul(own.steps) == Some(lengths[0]),
        node,
        format_args!("a sequence of {} steps of {} elements", own.steps, lengths[1]),
        format_args!("{} elements", lengths[0]),
    )?;
    let called = name(&program.tensors[sequence.0].name);
    if !put {
        ensure(
            !uses.is_written_by(&own.nodes(), sequence) && !uses.held[sequence.0],
            node,
            format_args!("a sequence `{called}` that is there before the loop"),
            "one that the loop changes",
        )
    } else {
        // Nothing reads it before it is written.
        ensure(
            uses.read[sequence.0].is_none_or(|(first, _)| first > own.last()),
            node,
            format_args!("a sequence `{called}` that only nodes after the loop read"),
            "a reader in the loop",
        )
    }
}

/// What other loops and steps carry.
#[derive(Default)]
struct Seen {
    held: HashSet<TensorId>,
    next: HashSet<TensorId>,
}

fn verify_carried(
    program: &Program,
    uses: &Uses,
    own: &Loop,
    Carried { held, next }: Carried,
    seen: &mut Seen,
) -> Result<(), Violation> {
    verify_id(program, Subject::Model, "loop", held)?;
    verify_id(program, Subject::Model, "loop", next)?;
    let (first, second) = (&program.tensors[held.0], &program.tensors[next.0]);
    ensure(
        seen.held.insert(held),
        first,
        "an activation that is held by one loop, once",
        format_args!("tensor {} twice", held.0),
    )?;
    ensure(
        seen.next.insert(next),
        second,
        "an activation that becomes one that is held",
        format_args!("tensor {} of more", next.0),
    )?;
    let before = uses.written[held.0].is_some_and(|node| node < own.first);
    ensure(
        before && !uses.given.contains(&held),
        first,
        "an activation that a node before the loop writes, for steps to change",
        "another one",
    )?;
    ensure(
        !uses.outputs.contains(&held) && !uses.left.contains(&held),
        first,
        "an activation that the steps change, and neither the caller nor a state reads",
        format_args!("tensor {} as an output", held.0),
    )?;
    ensure(
        uses.read[held.0].is_none_or(|(_, last)| last <= own.last()),
        first,
        "an activation that nothing reads after the loop, where its successor has what the last step left",
        "a node after the loop that reads it",
    )?;
    let writer = uses.written[next.0].filter(|node| own.nodes().contains(node));
    ensure(
        writer.is_some(),
        second,
        "an activation that a node of the loop writes",
        "another one",
    )?;
    let put = |node: usize| matches!(program.nodes[node].op, IntOp::Step { put: true, .. });
    ensure(
        !writer.is_some_and(put),
        second,
        "an activation that a step writes as a whole",
        "a sequence into which each step puts its part",
    )?;
    let alike = (first.shape, first.dtype, first.bits) == (second.shape, second.dtype, second.bits);
    ensure(
        alike && first.grid == second.grid,
        first,
        format_args!(
            "the shape and grid of `{}`: {:?}, {} bits, {:?}",
            name(&second.name),
            second.shape,
            second.bits,
            second.grid
        ),
        format_args!("{:?}, {} bits, {:?}", first.shape, first.bits, first.grid),
    )?;
    ensure(first.dtype != DType::I4, first, "whole bytes in what a loop carries", "I4")
}
