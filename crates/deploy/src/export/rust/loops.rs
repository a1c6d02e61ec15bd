//! Loops: nodes that run once for each step of a sequence.

use std::ops::Range;

use super::literals::indented;
use super::states;
use crate::place::Placed;

/// The calls of the node at `index`, with the head of the loop that begins with it and the end of the one
/// that ends with it.
pub(super) fn around(program: &Placed, index: usize, calls: String) -> String {
    let Some(own) = program.loop_of(index) else { return calls };
    let mut lines = String::new();
    if own.first == index {
        let sliced = program.nodes[own.nodes()].iter().any(|node| node.op.is_step());
        let step = if sliced { "step" } else { "_" };
        lines.push_str(&format!("    for {step} in 0..{}_usize {{\n", own.steps));
    }
    lines.push_str(&indented(&calls, 4));
    if own.last() == index {
        let carried = program.copied_carried(own);
        let copies = carried.map(|(from, to)| (program.range(from), program.offset(to)));
        let copied = states::copies_of(copies, "What the next step finds.");
        lines.push_str(&indented(&copied, 4));
        lines.push_str("    }\n");
    }
    lines
}

/// First byte and end of the part of a sequence that belongs to `step`, as expressions; the sequence lies in
/// memory at `place`.
pub(super) fn part(place: Range<usize>, steps: usize, reverse: bool) -> [String; 2] {
    let (start, bytes) = (place.start, place.len() / steps);
    let step = if reverse { format!("({} - step)", steps - 1) } else { "step".to_owned() };
    [start, start + bytes].map(|place| format!("{place} + {step} * {bytes}"))
}
