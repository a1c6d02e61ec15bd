//! Less memory for the same outputs: layers that run row by row, outputs that reach into the inputs
//! that they replace, and activations of 4 bits packed two to a byte.
//!
//! Row by row: MCUNet (Lin et al. 2020, "patch-based inference" in version 2) and fused layers in
//! general; here rows are kept instead of computed twice. An output that reaches into its input:
//! "diagonal memory optimisation" (Blacker et al. 2021).

use std::ops::Range;

use super::kernels::{Needs, needs};
use super::lifetime::{
    held_bytes, last_reads, live_spans, replaceable_carried, replaceable_input, spans,
};
use super::placement::{Placement, Stream};
use super::plan::{estimate, plan};
use super::rows::{RowProgram, replaceable_inputs};
use crate::op::{DType, IntOp};
use crate::program::{IntNode, IntTensor, Loop, Program, TensorId};
use crate::target::Kernels;

/// Nodes of the source program that one stream may have.
const LONGEST: usize = 8;

/// Nodes of the largest program that is searched; the search takes the square of it.
const MOST_NODES: usize = 400;

/// A change must save this part of the arena to be worth its work: one in this many bytes.
const WORTH: usize = 16;

/// `program`, which is valid, with streams and packed activations where they lower its arena on
/// `kernels` by a sixteenth or more, and its places.
pub(super) fn reduced(program: Program, kernels: Kernels) -> (Program, Placement) {
    let placement = plan(&program, Vec::new(), kernels);
    if program.nodes.len() > MOST_NODES {
        return (program, placement);
    }
    let search = Search::new(&program, kernels);
    let packable = (0..program.nodes.len()).filter(|&node| packable(&program, node)).collect();
    let mut best = (None, placement);
    for packed in [Vec::new(), packable] {
        let layout = search.best(packed);
        let Some(rewritten) = layout.apply(&program) else { continue };
        let placement = plan(&rewritten.program, rewritten.streams, kernels);
        let worth = placement.arena_bytes + placement.arena_bytes.div_ceil(WORTH);
        if worth <= best.1.arena_bytes {
            best = (Some(rewritten.program), placement);
        }
    }
    (best.0.unwrap_or(program), best.1)
}

/// Which nodes run row by row.
#[derive(Clone, Debug, Default)]
struct Layout {
    /// Disjoint and in order.
    streams: Vec<Range<usize>>,
    /// Nodes whose outputs are packed, unless they stay within a stream.
    packed: Vec<usize>,
}

impl Layout {
    /// The layout with one more stream, which swallows those that lie in it; `None` if it cuts one.
    fn with(&self, stream: Range<usize>) -> Option<Self> {
        let apart = |other: &Range<usize>| other.end <= stream.start || stream.end <= other.start;
        let inside = |other: &Range<usize>| stream.start <= other.start && other.end <= stream.end;
        if self.streams.contains(&stream) || !self.streams.iter().all(|s| apart(s) || inside(s)) {
            return None;
        }
        let mut layout = self.clone();
        layout.streams.retain(apart);
        layout.streams.push(stream);
        layout.streams.sort_unstable_by_key(|stream| stream.start);
        Some(layout)
    }

    /// The layouts that have one stream or one packed output less.
    fn simpler(&self) -> impl Iterator<Item = Self> + use<> {
        let (streams, packed) = (self.clone(), self.clone());
        let fewer_streams = (0..self.streams.len()).map(move |index| {
            let mut layout = streams.clone();
            layout.streams.remove(index);
            layout
        });
        let fewer_packed = (0..self.packed.len()).map(move |index| {
            let mut layout = packed.clone();
            layout.packed.remove(index);
            layout
        });
        fewer_packed.chain(fewer_streams)
    }

    /// The program in this layout; `None` if a stream cannot be.
    fn apply(&self, program: &Program) -> Option<Rewritten> {
        let mut rewrite = Rewrite::new(program);
        let mut streams = self.streams.iter().peekable();
        let mut index = 0;
        while index < program.nodes.len() {
            let stream = streams.next_if(|stream| stream.start == index).cloned();
            let nodes = stream.clone().unwrap_or(index..index + 1);
            let packed = self.packed.contains(&(nodes.end - 1));
            let packing = packed || rewrite.reads_packed(&nodes);
            rewrite.nodes(&nodes, packed);
            if stream.is_some() || packing {
                let made = rewrite.stream();
                if stream.is_some() && !made {
                    return None;
                }
            }
            rewrite.finished = rewrite.out.program.nodes.len();
            index = nodes.end;
        }
        Some(rewrite.out)
    }
}

/// A program in a layout.
struct Rewritten {
    program: Program,
    streams: Vec<Stream>,
    /// Each node's index in the source program.
    origin: Vec<Option<usize>>,
}

/// A program that is written anew, segment after segment.
struct Rewrite<'p> {
    source: &'p Program,
    out: Rewritten,
    /// Where each tensor's values lie packed.
    packed: Vec<Option<TensorId>>,
    /// The nodes of `out` that belong to earlier segments.
    finished: usize,
}

impl<'p> Rewrite<'p> {
    fn new(source: &'p Program) -> Self {
        let program = Program { nodes: Vec::new(), loops: Vec::new(), ..source.clone() };
        let out = Rewritten { program, streams: Vec::new(), origin: Vec::new() };
        Self { source, out, packed: vec![None; source.tensors.len()], finished: 0 }
    }

    /// Whether the nodes read packed tensors.
    fn reads_packed(&self, nodes: &Range<usize>) -> bool {
        let mut inputs = self.source.nodes[nodes.clone()].iter().flat_map(|node| &node.inputs);
        inputs.any(|id| self.packed[id.0].is_some())
    }

    /// Writes the nodes of a segment, with what unpacks around them, and packs if `packed`.
    fn nodes(&mut self, nodes: &Range<usize>, packed: bool) {
        // One unpacked copy serves the whole segment.
        let mut copies: Vec<(TensorId, TensorId)> = Vec::new();
        for index in nodes.clone() {
            let mut node = self.source.nodes[index].clone();
            for input in &mut node.inputs {
                let Some(packed) = self.packed[input.0] else { continue };
                if let Some(&(_, copy)) = copies.iter().find(|(original, _)| original == input) {
                    *input = copy;
                    continue;
                }
                let copy = self.tensor_like(*input, DType::I8, "unpacked");
                self.conversion(IntOp::Unpack, packed, copy);
                copies.push((*input, copy));
                *input = copy;
            }
            // Nothing is written between the nodes of a loop.
            if let Some(own) = self.source.loops.get(self.out.program.loops.len())
                && own.first == index
            {
                let first = self.out.program.nodes.len();
                self.out.program.loops.push(Loop { first, ..own.clone() });
            }
            self.out.origin.push(Some(index));
            self.out.program.nodes.push(node);
        }
        let last = nodes.end - 1;
        if packed {
            let output = self.source.nodes[last].output;
            let packed = self.tensor_like(output, DType::I4, "packed");
            self.conversion(IntOp::Pack, output, packed);
            self.packed[output.0] = Some(packed);
        }
    }

    fn tensor_like(&mut self, id: TensorId, dtype: DType, suffix: &str) -> TensorId {
        let tensor = &self.source.tensors[id.0];
        // The second copy of a tensor has a second name.
        let position = self.out.program.tensors.len();
        let name = format!("{}/{suffix}{position}", tensor.name);
        self.out.program.tensors.push(IntTensor { name, dtype, ..tensor.clone() });
        TensorId(position)
    }

    fn conversion(&mut self, op: IntOp, input: TensorId, output: TensorId) {
        let name = self.out.program.tensors[output.0].name.clone();
        let inputs = vec![input];
        self.out.origin.push(None);
        self.out.program.nodes.push(IntNode { name, op, inputs, output });
    }

    /// Makes the unfinished nodes a stream, if they can be one.
    fn stream(&mut self) -> bool {
        let count = self.out.program.nodes.len() - self.finished;
        let mut stream = Stream { first: self.finished, rows: vec![1; count] };
        // Later nodes are not written yet: readers are those of the source.
        let Ok(rows) = RowProgram::unlimited(&self.out.program, &stream) else { return false };
        stream.rows = rows.capacities();
        self.out.streams.push(stream);
        true
    }
}

/// Whether what the node at `index` writes can lie packed: values within 4 bits whatever the inputs
/// are, in rows of whole bytes, and not for the caller, a loop or the next step of one.
fn packable(program: &Program, index: usize) -> bool {
    let node = &program.nodes[index];
    let tensor = &program.tensors[node.output.0];
    let [height, width, channels] = tensor.shape;
    let mut readers = (index + 1..program.nodes.len())
        .filter(|&reader| program.nodes[reader].inputs.contains(&node.output))
        .peekable();
    let read = readers.peek().is_some();
    let in_loop = program.loop_of(index).is_some()
        || readers.any(|reader| program.loop_of(reader).is_some())
        || program.carried().any(|carried| carried.held == node.output);
    node.op.bounds_its_output()
        && read
        && tensor.dtype == DType::I8
        && tensor.bits <= 4
        && height > 1
        && (width * channels).is_multiple_of(2)
        && !program.is_left(node.output)
        && !in_loop
}

/// Looks for streams that lower the arena.
struct Search {
    /// The program without weights.
    skeleton: Program,
    /// What each of its nodes needs.
    needs: Vec<Needs>,
    /// Runs of nodes that can be streams.
    candidates: Vec<Range<usize>>,
}

impl Search {
    fn new(program: &Program, kernels: Kernels) -> Self {
        let needs = program.nodes.iter().map(|node| needs(program, node, kernels)).collect();
        let skeleton = skeleton(program);
        let mut candidates = Vec::new();
        for first in 0..program.nodes.len() {
            for end in first + 1..=program.nodes.len().min(first + LONGEST) {
                let stream = Stream { first, rows: vec![1; end - first] };
                if RowProgram::unlimited(&skeleton, &stream).is_ok() {
                    candidates.push(first..end);
                }
            }
        }
        Self { skeleton, needs, candidates }
    }

    /// Adds the stream that helps most, until none does; then drops what the arena does not need.
    fn best(&self, packed: Vec<usize>) -> Layout {
        let mut layout = Layout { streams: Vec::new(), packed };
        let Some(mut cost) = self.cost(&layout) else { return layout };
        loop {
            let found = self
                .candidates
                .iter()
                .filter_map(|candidate| layout.with(candidate.clone()))
                .filter_map(|layout| Some((self.cost(&layout)?, layout)))
                .min_by_key(|(cost, _)| *cost);
            match found {
                Some((lower, better)) if lower < cost => (cost, layout) = (lower, better),
                _ => break,
            }
        }
        let as_small =
            |layout: &Layout| self.cost(layout).is_some_and(|(bytes, _)| bytes <= cost.0);
        while let Some(simpler) = layout.simpler().find(as_small) {
            layout = simpler;
        }
        layout
    }

    /// The bytes of the arena, and of two layouts with the same arena what says which is closer to a
    /// smaller one: the sum of the squares of what is live during each node.
    fn cost(&self, layout: &Layout) -> Option<(usize, u128)> {
        let Rewritten { program, streams, origin } = layout.apply(&self.skeleton)?;
        let needs: Vec<Needs> = origin
            .iter()
            .map(|node| node.map_or_else(Needs::default, |node| self.needs[node]))
            .collect();
        let squares =
            live(&program, &streams, &needs).into_iter().map(|bytes| (bytes as u128).pow(2));
        let squares = squares.sum();
        Some((estimate(&program, &streams, &needs), squares))
    }
}

/// Bytes that are live during each node, wherever they lie.
fn live(program: &Program, streams: &[Stream], needs: &[Needs]) -> Vec<usize> {
    let spans = spans(program, streams);
    let (live, held) = (live_spans(program, streams), held_bytes(program, streams));
    let mut bytes: Vec<usize> = spans
        .iter()
        .map(|&(first, last)| {
            let tensors = live.iter().zip(&held);
            let tensors = tensors.filter(|&(&(from, to), _)| from <= last && first <= to);
            let scratch = needs[first..=last].iter().map(|needs| needs.scratch).max();
            tensors.map(|(_, bytes)| bytes).sum::<usize>() + scratch.unwrap_or(0)
        })
        .collect();
    let last_reads = last_reads(program);
    for (next, held_over) in replaceable_carried(program, needs).iter().enumerate() {
        // Both are live in the rest of the loop.
        let Some(held_over) = held_over else { continue };
        let (from, to) = (live[next].0, live[held_over.0].1);
        bytes[from..=to].iter_mut().for_each(|bytes| *bytes -= held[next]);
    }
    for (index, needs) in needs.iter().enumerate() {
        if let Some(replaced) = replaceable_input(program, streams, index, &last_reads, *needs) {
            bytes[index] -= held[replaced.0];
        }
    }
    for stream in streams {
        let output = program.tensors[program.nodes[stream.last()].output.0].bytes();
        for (input, clearance) in replaceable_inputs(program, stream) {
            let shared = output.saturating_sub(clearance).min(held[input.0]);
            bytes[stream.nodes()].iter_mut().for_each(|bytes| *bytes -= shared.min(*bytes));
        }
    }
    bytes
}

/// The program without weights, biases and tables, which its layout does not depend on.
fn skeleton(program: &Program) -> Program {
    let mut skeleton = program.clone();
    for node in &mut skeleton.nodes {
        node.op = node.op.skeleton();
    }
    skeleton
}
