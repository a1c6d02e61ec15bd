//! Loops: nodes that run once for each step of a sequence.

use std::ops::Range;

use super::literals::indented;
use super::source::{Printed, Printer};
use super::states;
use crate::op::IntOp;
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

impl Printer<'_> {
    /// What the calls have written, as an expression: of a sequence that a step is put into, the part.
    pub(super) fn written(&self) -> String {
        let output = self.program.range(self.node.output);
        if let IntOp::Step { put: true, reverse } = self.node.op {
            let [first, end] = part(output, self.program.runs(self.index), reverse);
            return format!("arena.get({first}..{end}).unwrap_or(&[])");
        }
        format!("section::<{}, {}>(arena)", output.start, output.len())
    }

    /// A copy between a sequence and an activation that holds a part of it.
    pub(super) fn step(&self, put: bool, reverse: bool) -> Printed {
        let steps = self.program.runs(self.index);
        let [from, to] = [self.node.inputs[0], self.node.output].map(|id| self.program.range(id));
        let whole = |range: Range<usize>| [range.start, range.end].map(|place| place.to_string());
        let [from, to] = match put {
            true => [whole(from), part(to, steps, reverse)],
            false => [part(from, steps, reverse), whole(to)],
        };
        let [from, to] = [from, to].map(|[first, end]| format!("[{first}, {end}]"));
        let calls = format!("let [from, to] = parts(arena, [{from}, {to}]);\ncopy(from, to);\n");
        Printed { constants: String::new(), calls }
    }
}

/// First byte and end of the part of a sequence that belongs to `step`, as expressions; the sequence lies in
/// memory at `place`.
fn part(place: Range<usize>, steps: usize, reverse: bool) -> [String; 2] {
    let (start, bytes) = (place.start, place.len() / steps);
    // Clippy does not like what has no effect.
    let step = match reverse && steps > 1 {
        true => format!("({} - step)", steps - 1),
        false => "step".to_owned(),
    };
    let behind = if bytes == 1 { step } else { format!("{step} * {bytes}") };
    [start, start + bytes].map(|place| match place {
        0 => behind.clone(),
        place => format!("{place} + {behind}"),
    })
}
