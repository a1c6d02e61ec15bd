//! What the interface has for programs that keep something from one call to the next: a reset, and copies
//! after the last node. Programs without states have none of it.

use std::ops::Range;

use super::data::c_type;
use crate::export::shared::states::{copies, rows, states};
use crate::op::DType;
use crate::place::Placed;

/// The values of the placeholders in every export's templates, for a program called `id`.
pub(super) fn values(program: &Placed, id: &str) -> [(&'static str, String); 5] {
    let prefix = id.to_ascii_uppercase();
    if program.states.is_empty() {
        let preparation = ("PREPARATION", "needs no preparation".to_owned());
        let [macros, declared, reset, readme] =
            ["STATE_MACRO", "RESET_DECLARED", "RESET", "STATES"].map(|name| (name, String::new()));
        return [preparation, macros, declared, reset, readme];
    }
    let bytes = program.state_bytes();
    [
        ("PREPARATION", "needs a reset first".to_owned()),
        (
            "STATE_MACRO",
            format!(
                "/* Bytes of them that stay from one call to the next. */\n#define {prefix}_STATE_BYTES \
                 {bytes}\n"
            ),
        ),
        (
            "RESET_DECLARED",
            format!(
                "/*\n * Begins a new sequence: forgets what earlier calls left for later ones, which each call finds \
                 as the\n * call before it left it. Call it before the first call, and wherever a new sequence \
                 begins; outputs\n * that were not read are lost.\n */\nvoid {id}_reset(void);\n\n"
            ),
        ),
        ("RESET", format!("    {id}_reset();\n")),
        ("STATES", readme(program, id, &prefix)),
    ]
}

/// The README's section.
fn readme(program: &Placed, id: &str, prefix: &str) -> String {
    format!(
        "
Each call finds {} bytes of the arena (`{prefix}_STATE_BYTES`) as the call before it left them:

| state | elements | bytes | every element after a reset |
|---|---|---|---|
{}
`{id}_reset()` begins a new sequence, `{id}_arena_reset(&first)` that of an arena of your own. Call it before
the first call, and wherever samples come that do not follow the last one. Nothing else may use the memory
of an arena between the calls of a sequence, and an arena runs one sequence at a time. The samples of the
self-test are one sequence after a reset, and so are those that programs stream.
",
        program.state_bytes(),
        rows(program, c_type)
    )
}

/// What the README shows before the first call.
pub(super) fn usage(program: &Placed, id: &str) -> String {
    match program.states.is_empty() {
        true => String::new(),
        false => format!("{id}_reset(); /* where a sequence begins */\n"),
    }
}

/// The same in an arena of the caller's.
pub(super) fn arena_usage(program: &Placed, id: &str) -> String {
    match program.states.is_empty() {
        true => String::new(),
        false => format!("{id}_arena_reset(&first); /* where a sequence begins */\n"),
    }
}

/// The declaration of the reset of an arena, before those of the other functions that take one.
pub(super) fn arena_declared(program: &Placed, id: &str) -> String {
    match program.states.is_empty() {
        true => String::new(),
        false => format!("void {id}_arena_reset({id}_arena *arena);\n"),
    }
}

/// The definition of the reset of an arena.
pub(super) fn arena_defined(program: &Placed, id: &str) -> String {
    if program.states.is_empty() {
        return String::new();
    }
    let mut text = format!("void {id}_arena_reset({id}_arena *arena)\n{{\n");
    for state in states(program) {
        let (start, bytes, initial) = (state.range.start, state.range.len(), state.initial);
        text.push_str(&format!("    /* {} */\n", state.name));
        text.push_str(&match state.tensor.dtype {
            DType::I16 if initial != 0 => format!(
                "    for (size_t i = 0; i < {}; i++) {{\n        arena->s16[{} + i] = {initial};\n    }}\n",
                bytes / 2,
                start / 2
            ),
            DType::I8 | DType::I4 | DType::I16 => {
                format!("    memset(arena->s8 + {start}, {initial}, {bytes});\n")
            }
        });
    }
    text + "}\n\n"
}

/// The definition of the reset of the static arena.
pub(super) fn own_defined(program: &Placed, id: &str) -> String {
    match program.states.is_empty() {
        true => String::new(),
        false => {
            format!("void {id}_reset(void)\n{{\n    {id}_arena_reset(&{id}_own_arena);\n}}\n\n")
        }
    }
}

/// What follows the last node: copies of what the next call finds.
pub(super) fn copied(program: &Placed, prefix: &str) -> String {
    let copies = copies(program).into_iter();
    match program.nodes.len().checked_sub(1) {
        Some(last) => copies_of(copies, "What the next call finds.", prefix, last),
        // A state without nodes is an input.
        None => printed(copies, "What the next call finds."),
    }
}

/// Copies from bytes of the arena to others, counted with the node at `index`; nothing if there are none.
pub(super) fn copies_of(
    copies: impl Iterator<Item = (Range<usize>, usize)>,
    what: &str,
    prefix: &str,
    index: usize,
) -> String {
    let copies = printed(copies, what);
    match copies.is_empty() {
        true => copies,
        false => format!("{copies}    {prefix}_COPIED({index});\n"),
    }
}

fn printed(copies: impl Iterator<Item = (Range<usize>, usize)>, what: &str) -> String {
    let one = |(from, to): (Range<usize>, usize)| {
        format!("    memcpy(arena->s8 + {to}, arena->s8 + {}, {});\n", from.start, from.len())
    };
    let copies: String = copies.map(one).collect();
    if copies.is_empty() { copies } else { format!("    /* {what} */\n{copies}") }
}

/// The macro that follows the copies: they count with the operation before them, whose hook is not called
/// twice.
pub(super) fn copied_macro(program: &Placed, prefix: &str) -> String {
    let of_call = program.copied_states().next().is_some() && !program.nodes.is_empty();
    let of_step = program.loops.iter().any(|own| program.copied_carried(own).next().is_some());
    let what = match (of_call, of_step) {
        (true, true) => "call or step",
        (true, false) => "call",
        (false, true) => "step",
        (false, false) => return String::new(),
    };
    format!(
        "\n/* With BPTQ_COUNT, what is copied for the next {what} counts with the operation before. */
#if defined(BPTQ_COUNT) && !defined({prefix}_NODE_HOOK)
#define {prefix}_COPIED(index) bptq_node(index)
#else
#define {prefix}_COPIED(index) ((void)0)
#endif
"
    )
}
