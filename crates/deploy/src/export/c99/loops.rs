//! Loops: nodes that run once for each step of a sequence.

use super::states;
use crate::place::Placed;

/// The calls of the node at `index`, with the head of the loop that begins with it and the end of the one
/// that ends with it.
pub(super) fn around(program: &Placed, prefix: &str, index: usize, calls: String) -> String {
    let Some(own) = program.loop_of(index) else { return calls };
    let mut lines = String::new();
    if own.first == index {
        let steps = own.steps;
        lines.push_str(&format!("    for (size_t step = 0; step < {steps}; step++) {{\n"));
    }
    lines.push_str(&indented(&calls));
    if own.last() == index {
        let carried = program.copied_carried(own);
        let copies = carried.map(|(from, to)| (program.range(from), program.offset(to)));
        let copied = states::copies_of(copies, "What the next step finds.", prefix, index);
        lines.push_str(&indented(&copied));
        lines.push_str("    }\n");
    }
    lines
}

fn indented(lines: &str) -> String {
    lines.lines().map(|line| format!("    {line}\n")).collect()
}
