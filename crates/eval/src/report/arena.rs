//! What lies where in the arena, and when.

use burn_ptq_deploy::place::Placed;
use burn_ptq_deploy::place::lifetime::{held_bytes, live_spans, spans};
use burn_ptq_deploy::program::TensorId;
use burn_ptq_deploy::size::size_report;
use serde::Serialize;

/// The arena of the network as it runs on a processor.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ArenaReport {
    /// The processor.
    pub target: &'static str,
    /// Bytes of the arena.
    pub bytes: usize,
    /// The operations in the order of execution, with those that pack activations.
    pub steps: Vec<StepReport>,
    /// The first step during which the most bytes are in use, by index; absent without steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak: Option<usize>,
    /// Bytes in use then: the least that an arena can have.
    pub peak_bytes: usize,
    /// What lies in the arena, in the order in which it is written.
    pub tensors: Vec<ArenaTensor>,
}

/// An operation as it runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StepReport {
    /// The name of the layer.
    pub name: String,
    /// The integer operation.
    pub op: &'static str,
    /// Bytes in use while it runs.
    pub live_bytes: usize,
}

/// A part of the arena that is in use for some steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ArenaTensor {
    /// The name of the input, or of the layer that writes it.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// Its first byte.
    pub offset: usize,
    /// Its length in bytes; of a layer that runs row by row, that of the rows that memory holds.
    pub bytes: usize,
    /// The first step during which it is in use, by index.
    pub first: usize,
    /// The last step during which it is in use.
    pub last: usize,
}

/// What a part of the arena holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// An input, which the caller writes.
    Input,
    /// An output, which the caller reads.
    Output,
    /// What layers pass on to each other.
    Activation,
    /// Working memory of a kernel.
    Scratch,
}

impl ArenaReport {
    /// The arena of `program`, which is placed for `target`.
    pub fn new(program: &Placed, target: &'static str) -> Self {
        let sizes = size_report(program);
        let peak_bytes = sizes.nodes.iter().map(|node| node.live_bytes).max().unwrap_or(0);
        let steps = sizes.nodes.into_iter().map(|node| StepReport {
            name: node.name,
            op: node.op,
            live_bytes: node.live_bytes,
        });
        Self {
            target,
            bytes: sizes.ram_bytes,
            steps: steps.collect(),
            peak: sizes.peak_node,
            peak_bytes,
            tensors: tensors(program),
        }
    }
}

fn tensors(program: &Placed) -> Vec<ArenaTensor> {
    let streams = program.streams();
    let (live, held) = (live_spans(program, streams), held_bytes(program, streams));
    let end = program.nodes.len().saturating_sub(1);
    let part = |id: TensorId, name: &str, role: Role| ArenaTensor {
        name: name.to_owned(),
        role,
        offset: program.offset(id),
        bytes: held[id.0],
        first: live[id.0].0.min(end),
        last: live[id.0].1.min(end),
    };
    let mut parts: Vec<ArenaTensor> = Vec::new();
    for input in &program.inputs {
        parts.push(part(input.tensor, &input.name, Role::Input));
    }
    for ((index, node), (first, last)) in
        program.nodes.iter().enumerate().zip(spans(program, streams))
    {
        let is_output = program.is_output(node.output);
        let role = if is_output { Role::Output } else { Role::Activation };
        parts.push(part(node.output, &node.name, role));
        let scratch = program.scratch(index);
        // The nodes of a stream take turns with the same working memory.
        let shared = |part: &&mut ArenaTensor| {
            (part.role, part.offset, part.first) == (Role::Scratch, scratch.offset, first)
        };
        let known = if first < last { parts.iter_mut().rfind(shared) } else { None };
        match known {
            Some(known) => known.bytes = known.bytes.max(scratch.bytes),
            None => parts.push(ArenaTensor {
                name: node.name.clone(),
                role: Role::Scratch,
                offset: scratch.offset,
                bytes: scratch.bytes,
                first,
                last,
            }),
        }
    }
    parts.retain(|part| part.bytes > 0);
    parts
}

#[cfg(test)]
mod tests {
    use burn_ptq_deploy::place::Memory;
    use burn_ptq_deploy::program::{
        Border, DType, Input, IntNode, IntOp, IntTensor, Output, Program, Provenance,
    };
    use burn_ptq_deploy::target::Kernels;
    use burn_ptq_kernels::grid::Grid;

    use super::*;

    /// Three tables, one after the other, of which the first is read again by nothing.
    fn program() -> Placed {
        let grid = Grid { scale: 1.0, zero_point: 0, min: -128, max: 127 };
        let tensor = |name: &str| IntTensor {
            name: name.into(),
            shape: [1, 1, 24],
            dtype: DType::I8,
            bits: 8,
            grid,
        };
        let node = |name: &str, input: usize| IntNode {
            name: name.into(),
            op: IntOp::Table8 { table: vec![0; 256] },
            inputs: vec![TensorId(input)],
            output: TensorId(input + 1),
        };
        let program = Program {
            name: "net".into(),
            tensors: ["x", "a", "b"].map(tensor).into(),
            nodes: vec![node("first", 0), node("second", 1)],
            inputs: vec![Input::new("x", TensorId(0), Border::plain(&[24]))],
            outputs: vec![Output::new("y", TensorId(2), Border::plain(&[24]))],
            states: Vec::new(),
            loops: Vec::new(),
            provenance: Provenance::default(),
        };
        program.place(Kernels::Portable, Memory::Whole).unwrap()
    }

    #[test]
    fn tensors_have_their_places_and_times() {
        let placed = program();
        let arena = ArenaReport::new(&placed, "cortex-m4");
        let names: Vec<&str> = arena.tensors.iter().map(|tensor| tensor.name.as_str()).collect();
        assert_eq!(names, ["x", "first", "second"]);
        let roles: Vec<Role> = arena.tensors.iter().map(|tensor| tensor.role).collect();
        assert_eq!(roles, [Role::Input, Role::Activation, Role::Output]);
        for (tensor, id) in arena.tensors.iter().zip(0..) {
            assert_eq!((tensor.offset, tensor.bytes), (placed.offset(TensorId(id)), 24));
            assert!(tensor.last < arena.steps.len() && tensor.offset + 24 <= arena.bytes);
        }
        assert_eq!((arena.tensors[1].first, arena.tensors[1].last), (0, 1));
        let most = arena.steps.iter().map(|step| step.live_bytes).max();
        assert_eq!((Some(arena.peak_bytes), arena.peak), (most, Some(0)));
    }
}
