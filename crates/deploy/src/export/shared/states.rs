//! What a program keeps from one call to the next, as exporters say it.

use std::ops::Range;

use super::describe::layout;
use super::names::comment;
use crate::op::DType;
use crate::place::Placed;
use crate::program::IntTensor;

/// A state of a program with its place.
pub(crate) struct KeptState<'a> {
    /// What the source model calls it, fit for a comment.
    pub name: String,
    /// The activation that a call finds.
    pub tensor: &'a IntTensor,
    /// Its bytes in the arena.
    pub range: Range<usize>,
    /// What every element is after a reset.
    pub initial: i32,
}

/// The states of a program, in their order.
pub(crate) fn states(program: &Placed) -> Vec<KeptState<'_>> {
    let state = |state: &'_ crate::program::State| KeptState {
        name: comment(&state.name),
        tensor: &program.tensors[state.input.0],
        range: program.range(state.input),
        initial: state.initial,
    };
    program.states.iter().map(state).collect()
}

/// What is copied after the last node: the bytes in the arena, and where the next call finds them.
pub(crate) fn copies(program: &Placed) -> Vec<(Range<usize>, usize)> {
    let copied = program.copied_states();
    copied.map(|(from, to)| (program.range(from), program.offset(to))).collect()
}

/// The rows of a README's table of states; `element` names their types.
pub(crate) fn rows(program: &Placed, element: impl Fn(DType) -> &'static str) -> String {
    let row = |state: &KeptState| {
        let name = state.name.replace(['|', '`'], "?");
        let (layout, bytes) =
            (layout(state.tensor, element(state.tensor.dtype)), state.range.len());
        format!("| `{name}` | {layout} | {bytes} | {} |\n", state.initial)
    };
    states(program).iter().map(row).collect()
}
