//! Nodes that run once for each step of a sequence.

use super::*;

impl Interpreter<'_> {
    /// All that a node does at once, in a step of its loop if it has one.
    pub(super) fn whole(&self, index: usize, step: usize) -> Piece {
        let program = self.program;
        let node = &program.nodes[index];
        let mut inputs: Vec<_> = node.inputs.iter().map(|&id| program.range(id)).collect();
        let mut output = program.range(node.output);
        if let IntOp::Step { put, reverse } = node.op {
            let sequence = if put { &mut output } else { &mut inputs[0] };
            *sequence = part(sequence.clone(), program.runs(index), step, reverse);
        }
        Piece { inputs, output, rows: None }
    }

    /// Leaves for the next step what this one has made for it.
    pub(super) fn carry(&mut self, own: &Loop) {
        let program = self.program;
        for (from, to) in program.copied_carried(own) {
            arena_bytes(&mut self.arena).copy_within(program.range(from), program.offset(to));
        }
    }
}

/// Where the part of `step` lies of a sequence of `steps` steps that lies at `place`.
fn part(place: Range<usize>, steps: usize, step: usize, reverse: bool) -> Range<usize> {
    let bytes = place.len() / steps;
    let at = if reverse { steps - 1 - step } else { step };
    let start = place.start + at * bytes;
    start..start + bytes
}
