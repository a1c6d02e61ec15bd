//! Invariants of what a program keeps from one call to the next.

use std::collections::HashSet;

use super::checks::verify_id;
use super::violation::{Subject, VerifyError, Violation, ensure};
use crate::op::DType;
use crate::printable::name;
use crate::program::{MAX_NODES, Program, State};

/// Checks the states of a program; `valid` says which tensors are.
pub(super) fn verify_states(program: &Program, valid: &[bool], found: &mut VerifyError) {
    let fits = found.note(ensure(
        program.states.len() <= MAX_NODES,
        Subject::Model,
        format_args!("at most {MAX_NODES} states"),
        format_args!("{}", program.states.len()),
    ));
    if !fits {
        return;
    }
    let mut seen = Seen {
        names: HashSet::new(),
        given: program.inputs.iter().map(|input| input.tensor.0).collect(),
        left: HashSet::new(),
        first: program.states.iter().map(|state| state.input.0).collect(),
    };
    for state in &program.states {
        found.note(verify_state(program, valid, state, &mut seen));
    }
}

/// What the states before have, and the inputs.
struct Seen<'p> {
    names: HashSet<&'p str>,
    given: HashSet<usize>,
    left: HashSet<usize>,
    /// The activations that all states hold.
    first: HashSet<usize>,
}

fn verify_state<'p>(
    program: &Program,
    valid: &[bool],
    state: &'p State,
    seen: &mut Seen<'p>,
) -> Result<(), Violation> {
    let State { name: own, input, output, initial } = state;
    ensure(
        seen.names.insert(own),
        Subject::Model,
        "states with names of their own",
        format_args!("two called `{}`", name(own)),
    )?;
    verify_id(program, Subject::Model, "state", *input)?;
    verify_id(program, Subject::Model, "state", *output)?;
    if !valid[input.0] || !valid[output.0] {
        return Ok(());
    }
    let (held, next) = (&program.tensors[input.0], &program.tensors[output.0]);
    ensure(
        seen.given.insert(input.0),
        held,
        "a state that is neither an input nor another state",
        format_args!("tensor {} twice", input.0),
    )?;
    ensure(
        seen.left.insert(output.0) && !seen.first.contains(&output.0),
        next,
        "an activation that is the next of one state alone, and not a state itself",
        format_args!("tensor {} of more", output.0),
    )?;
    ensure(
        !program.is_output(*input),
        held,
        "a state that is not an output: the caller would read what the next call finds",
        format_args!("tensor {} as an output", input.0),
    )?;
    let alike = (held.shape, held.dtype, held.bits) == (next.shape, next.dtype, next.bits);
    ensure(
        alike && held.grid == next.grid,
        held,
        format_args!(
            "the shape and grid of `{}`: {:?}, {} bits, {:?}",
            name(&next.name),
            next.shape,
            next.bits,
            next.grid
        ),
        format_args!("{:?}, {} bits, {:?}", held.shape, held.bits, held.grid),
    )?;
    ensure(held.dtype != DType::I4, held, "whole bytes in a state", "I4")?;
    ensure(
        (held.grid.min..=held.grid.max).contains(initial),
        held,
        format_args!("an initial value from {} to {}", held.grid.min, held.grid.max),
        format_args!("{initial}"),
    )
}
