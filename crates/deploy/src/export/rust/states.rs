//! What the interface has for programs that keep something from one run to the next: a reset, and copies
//! after the last node. Programs without states have none of it.

use super::literals::rust_type;
use crate::export::shared::states::{copies, rows, states};
use crate::op::DType;
use crate::place::Placed;
use crate::program::Loop;

/// The values of the placeholders in every export's templates.
pub(super) fn values(program: &Placed) -> [(&'static str, String); 3] {
    if program.states.is_empty() {
        return ["STATE_CONSTANT", "RESET", "STATES"].map(|name| (name, String::new()));
    }
    let bytes = program.state_bytes();
    [
        (
            "STATE_CONSTANT",
            format!(
                "/// Bytes of them that stay from one run to the next.\npub const STATE_BYTES: usize = {bytes};\n"
            ),
        ),
        ("RESET", "    model.reset();\n".to_owned()),
        ("STATES", readme(program)),
    ]
}

/// The reset of a firmware before it counts.
pub(super) fn counted_reset(program: &Placed) -> String {
    if program.states.is_empty() { String::new() } else { "        model.reset();\n".to_owned() }
}

/// The README's section.
fn readme(program: &Placed) -> String {
    format!(
        "
Each run finds {} bytes of the `Model` (`STATE_BYTES`) as the run before it left them:

| state | elements | bytes | every element after a reset |
|---|---|---|---|
{}
A new `Model` begins a sequence, and so does `model.reset()`: call it wherever samples come that do not
follow the last one. A `Model` runs one sequence at a time. The samples of the self-test are one sequence
after a reset, and so are those that the example streams.
",
        program.state_bytes(),
        rows(program, rust_type)
    )
}

/// Whether a new arena, which is all zeros so that a `static` costs no flash, must be reset first.
fn needs_reset(program: &Placed) -> bool {
    program.states.iter().any(|state| state.initial != 0)
}

/// Bytes of RAM besides the arena.
pub(super) fn ram_bytes(program: &Placed) -> usize {
    usize::from(needs_reset(program))
}

/// The field of the model.
pub(super) fn field(program: &Placed) -> &'static str {
    if needs_reset(program) { "\n    is_reset: bool," } else { "" }
}

/// What a new model has in it.
pub(super) fn initial(program: &Placed) -> &'static str {
    if needs_reset(program) { ", is_reset: false" } else { "" }
}

/// What a run does first.
pub(super) fn start(program: &Placed) -> &'static str {
    if !needs_reset(program) {
        return "";
    }
    "        if !self.is_reset {\n            self.reset();\n        }\n"
}

/// The method.
pub(super) fn method(program: &Placed) -> String {
    if program.states.is_empty() {
        return String::new();
    }
    let mut text = "    /// Begins a new sequence: forgets what earlier runs left for later ones, which each run \
                    finds as the run\n    /// before it left it. A new network needs no reset; outputs that were \
                    not read are lost.\n    pub fn reset(&mut self) {\n"
        .to_owned();
    if needs_reset(program) {
        text.push_str("        self.is_reset = true;\n");
    }
    for state in states(program) {
        let (start, bytes) = (state.range.start, state.range.len());
        let filled = match state.tensor.dtype {
            DType::I8 | DType::I4 => format!("bytes.fill({});", state.initial),
            DType::I16 => {
                let [low, high] = (state.initial as i16).to_le_bytes().map(|byte| byte as i8);
                format!("bytes.as_chunks_mut().0.fill([{low}, {high}]);")
            }
        };
        text.push_str(&format!(
            "        // {}\n        let bytes = network::section_mut::<{start}, {bytes}>(&mut self.arena);\n        \
             {filled}\n",
            state.name
        ));
    }
    text + "    }\n\n"
}

/// What a network with copies needs besides.
pub(super) fn head(program: &Placed) -> &'static str {
    let carries = |own: &Loop| program.copied_carried(own).next().is_some();
    let steps = program.nodes.iter().any(|node| node.op.is_step());
    if program.copied_states().next().is_none() && !steps && !program.loops.iter().any(carries) {
        return "";
    }
    "
/// Copies what a run or a step leaves to where the next one finds it.
fn copy(from: &[i8], to: &mut [i8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}
"
}

/// What follows the last node: copies of what the next run finds.
pub(super) fn copied(program: &Placed) -> String {
    copies_of(copies(program).into_iter(), "What the next run finds.")
}

/// Copies from bytes of the arena to others; nothing if there are none.
pub(super) fn copies_of(
    copies: impl Iterator<Item = (std::ops::Range<usize>, usize)>,
    what: &str,
) -> String {
    let one = |(from, to): (std::ops::Range<usize>, usize)| {
        let places = [[from.start, from.end], [to, to + from.len()]];
        format!(
            "    {{\n        let [from, to] = parts(arena, const {{ disjoint({places:?}) }});\n        \
             copy(from, to);\n    }}\n"
        )
    };
    let copies: String = copies.map(one).collect();
    if copies.is_empty() { copies } else { format!("    // {what}\n{copies}") }
}
