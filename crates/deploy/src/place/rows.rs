//! Streams: which nodes can run row by row, how many rows memory must hold, and how far an output
//! may reach into an input.

use burn_ptq_kernels::geometry::Window;
use burn_ptq_kernels::stream::{MAX_BUFFERS, RowBuffer, Run, Stage};

use super::lifetime::last_reads;
use super::placement::Stream;
use crate::op::{Broadcast, IntOp};
use crate::program::{IntNode, Program, TensorId};
use crate::verify::violation::{Subject, Violation, ensure};

/// The tallest tensor that may be part of a stream.
pub const MAX_HEIGHT: usize = u16::MAX as usize;

/// A stream as rows that wait for rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowProgram {
    /// The tensors that are read by rows and made before; the stream's first buffers.
    pub externals: Vec<TensorId>,
    /// The rows of all buffers: the externals, then each node's output.
    pub buffers: Vec<RowBuffer>,
    /// How each node reads rows.
    pub stages: Vec<Stage>,
}

impl RowProgram {
    /// Looks at the nodes of `stream`, whose ids are in range.
    ///
    /// # Errors
    /// If a node cannot run by rows, a row that only the stream holds is read elsewhere, or memory
    /// does not hold as many rows as there must be.
    pub fn new(program: &Program, stream: &Stream) -> Result<Self, Violation> {
        let mut limited = Self::unlimited(program, stream)?;
        for (index, (&rows, needed)) in stream.rows.iter().zip(limited.capacities()).enumerate() {
            let node = &program.nodes[stream.first + index];
            let height = limited.buffers[limited.externals.len() + index].height;
            ensure(
                (needed..=height).contains(&rows),
                node,
                format_args!("{needed} to {height} rows of the output in memory"),
                format_args!("{rows}"),
            )?;
        }
        let outputs = &mut limited.buffers[limited.externals.len()..];
        for (buffer, &rows) in outputs.iter_mut().zip(&stream.rows) {
            buffer.capacity = rows;
        }
        Ok(limited)
    }

    /// The same with memory for all rows, whatever the stream says.
    ///
    /// # Errors
    /// If a node cannot run by rows, or a row that only the stream holds is read elsewhere.
    pub fn unlimited(program: &Program, stream: &Stream) -> Result<Self, Violation> {
        let nodes = &program.nodes[stream.nodes()];
        // Before anything is compared with anything: the loops below are quadratic.
        ensure(
            nodes.len() <= MAX_BUFFERS,
            Subject::Model,
            format_args!("at most {MAX_BUFFERS} nodes in a stream"),
            format_args!("{}", nodes.len()),
        )?;
        for (index, node) in stream.nodes().zip(nodes) {
            ensure(
                program.loop_of(index).is_none(),
                node,
                "a stream apart from loops",
                "a node that runs once for each step of one",
            )?;
        }
        let outputs: Vec<TensorId> = nodes.iter().map(|node| node.output).collect();
        verify_closed(program, stream)?;
        let mut externals: Vec<TensorId> = Vec::new();
        for &input in nodes.iter().flat_map(|node| &node.inputs[..node.op.inputs_by_rows()]) {
            let is_new = !outputs.contains(&input) && !externals.contains(&input);
            if is_new && externals.len() <= MAX_BUFFERS {
                externals.push(input);
            }
        }
        ensure(
            externals.len() + outputs.len() <= MAX_BUFFERS,
            &nodes[0],
            format_args!("at most {MAX_BUFFERS} tensors in a stream"),
            format_args!("{}", externals.len() + outputs.len()),
        )?;
        let place = |id| externals.iter().chain(&outputs).position(|&other| other == id);
        let mut stages = Vec::with_capacity(nodes.len());
        for (index, node) in nodes.iter().enumerate() {
            let (reach, stride, pad) = rows_of(program, node)?;
            let by_rows = node.op.inputs_by_rows();
            for &whole in &node.inputs[by_rows..] {
                ensure(
                    !outputs[..index].contains(&whole),
                    node,
                    "a second input that is made before the stream begins",
                    "one of the stream's own tensors",
                )?;
            }
            let mut inputs = node.inputs[..by_rows].iter().map(|&id| place(id));
            let inputs = [(); 2].map(|()| inputs.next().flatten());
            stages.push(Stage { inputs, reach, stride, pad });
        }
        let buffers = externals.iter().chain(&outputs).map(|id| {
            let height = program.tensors[id.0].shape[0];
            RowBuffer { height, capacity: height }
        });
        Ok(Self { buffers: buffers.collect(), externals, stages })
    }

    /// The order of the rows.
    pub fn run(&self) -> Run<'_> {
        Run::new(burn_ptq_kernels::stream::Stream {
            externals: self.externals.len(),
            buffers: &self.buffers,
            stages: &self.stages,
        })
    }

    /// For each node, the rows of its output that are computed, from the first on: none of a later node's
    /// windows reaches those after them, as where strides leave a rest.
    pub fn computed(&self) -> Vec<usize> {
        let mut run = self.run();
        run.by_ref().for_each(drop);
        (self.externals.len()..self.buffers.len()).map(|buffer| run.made(buffer)).collect()
    }

    /// For each node, the rows of its output that memory must hold: all of them for the last.
    pub fn capacities(&self) -> Vec<usize> {
        let outputs = self.externals.len()..self.buffers.len();
        let mut capacities = vec![1; outputs.len()];
        let mut run = self.run();
        while let Some(step) = run.next() {
            // A step changes nothing for the readers of its own output.
            let needed = run.needed_from(outputs.start + step.stage);
            let live = (step.row + 1).saturating_sub(needed);
            capacities[step.stage] = capacities[step.stage].max(live);
        }
        if let (Some(last), Some(buffer)) = (capacities.last_mut(), self.buffers.last()) {
            *last = buffer.height;
        }
        capacities
    }

    /// For each external, the bytes from the start of the last node's output to the start of the
    /// external that keep every written row before the rows that are still needed.
    pub fn clearances(&self, program: &Program, output: TensorId) -> Vec<usize> {
        let row_bytes = |id: TensorId| program.tensors[id.0].row_bytes();
        let mut clearances = vec![0; self.externals.len()];
        let mut run = self.run();
        loop {
            // What is needed counts as it is before the step.
            let before = run.clone();
            let Some(step) = run.next() else { break };
            if step.stage + 1 < self.stages.len() {
                continue;
            }
            let written = (step.row + 1) * row_bytes(output);
            for (i, &external) in self.externals.iter().enumerate() {
                let needed = before.needed_from(i);
                if needed < self.buffers[i].height {
                    let dead = needed * row_bytes(external);
                    clearances[i] = clearances[i].max(written.saturating_sub(dead));
                }
            }
        }
        clearances
    }
}

/// The inputs of `stream` that its output may reach into, with the bytes that it must begin before
/// them: nothing reads them after the stream, or as a whole within it.
///
/// The stream must be valid.
pub fn replaceable_inputs(program: &Program, stream: &Stream) -> Vec<(TensorId, usize)> {
    let Ok(rows) = RowProgram::unlimited(program, stream) else { return Vec::new() };
    let last_reads = last_reads(program);
    let nodes = &program.nodes[stream.nodes()];
    let read_whole = |id: &TensorId| {
        nodes.iter().any(|node| node.inputs[node.op.inputs_by_rows()..].contains(id))
    };
    let dies =
        |id: &TensorId| last_reads[id.0].is_some_and(|read| stream.nodes().contains(&read.node));
    let replaceable = |id: &TensorId| dies(id) && !read_whole(id);
    if !rows.externals.iter().any(replaceable) {
        return Vec::new();
    }
    let output = program.nodes[stream.last()].output;
    let clearances = rows.clearances(program, output);
    let externals = rows.externals.iter().copied().zip(clearances);
    externals.filter(|(id, _)| replaceable(id)).collect()
}

/// Checks that only the last output leaves the stream.
fn verify_closed(program: &Program, stream: &Stream) -> Result<(), Violation> {
    let last = stream.last();
    for index in stream.first..last {
        let node = &program.nodes[index];
        let mut readers = program.nodes[last + 1..].iter().flat_map(|node| &node.inputs);
        let held = program.carried().any(|carried| carried.held == node.output);
        ensure(
            !held && !program.is_left(node.output) && !readers.any(|&input| input == node.output),
            node,
            "an output that only nodes of its stream read",
            "another reader",
        )?;
    }
    Ok(())
}

/// Reach, stride and padding along the height.
fn rows_of(program: &Program, node: &IntNode) -> Result<(usize, usize, usize), Violation> {
    let shape = |id: TensorId| program.tensors[id.0].shape;
    let output = shape(node.output);
    let input = node.inputs.first().map_or(output, |&id| shape(id));
    let with_channels = |plane: [usize; 2], channels| [plane[0], plane[1], channels];
    // Tensors carry any shape of the right length: rows need the operation's own.
    let (own, window) = match &node.op {
        IntOp::Conv2d { geometry: g, .. } => (
            [with_channels(g.input, g.in_channels), with_channels(g.output, g.out_channels)],
            Some(g.window),
        ),
        IntOp::DepthwiseConv2d { geometry: g, .. } => (
            [with_channels(g.input, g.channels), with_channels(g.output, g.out_channels())],
            Some(g.window),
        ),
        IntOp::AveragePool { geometry: g, .. } | IntOp::MaxPool { geometry: g, .. } => (
            [with_channels(g.input, g.channels), with_channels(g.output, g.channels)],
            Some(g.window),
        ),
        IntOp::Add { broadcast: Broadcast::None, .. }
        | IntOp::Mul { broadcast: Broadcast::None, .. }
        | IntOp::Binary { broadcast: Broadcast::None, .. } => {
            ([shape(node.inputs[1]), input], None)
        }
        IntOp::Add { broadcast: Broadcast::Channels | Broadcast::Scalar, .. }
        | IntOp::Mul { broadcast: Broadcast::Channels | Broadcast::Scalar, .. }
        | IntOp::Binary { broadcast: Broadcast::Channels | Broadcast::Scalar, .. }
        | IntOp::Table8 { .. }
        | IntOp::Table16 { .. }
        | IntOp::Gate { .. }
        | IntOp::Requantize { .. }
        | IntOp::Pack
        | IntOp::Unpack => ([input; 2], None),
        IntOp::FullyConnected { .. }
        | IntOp::TransposeConv2d { .. }
        | IntOp::Softmax { .. }
        | IntOp::LogSoftmax { .. }
        | IntOp::Concat { .. }
        | IntOp::Pad { .. }
        | IntOp::Transpose { .. }
        | IntOp::BatchMatMul { .. }
        | IntOp::Reduce { .. }
        | IntOp::Normalize { .. }
        | IntOp::TopK { .. }
        | IntOp::Rearrange { .. }
        | IntOp::ResizeLinear { .. }
        | IntOp::Lookup8 { .. }
        | IntOp::Lookup16 { .. }
        | IntOp::Add { broadcast: Broadcast::Shapes { .. }, .. }
        | IntOp::Mul { broadcast: Broadcast::Shapes { .. }, .. }
        | IntOp::Binary { broadcast: Broadcast::Shapes { .. }, .. }
        | IntOp::Constant { .. }
        | IntOp::Step { .. } => {
            return Err(Violation {
                subject: Subject::from(node),
                expected: "an operation that runs row by row".into(),
                found: node.op.name().into(),
            });
        }
    };
    ensure(
        own == [input, output],
        node,
        format_args!("tensors of shapes {own:?} in a stream"),
        format_args!("{:?}", [input, output]),
    )?;
    let tallest = input[0].max(output[0]);
    ensure(
        tallest <= MAX_HEIGHT,
        node,
        format_args!("at most {MAX_HEIGHT} rows in a stream"),
        format_args!("{tallest}"),
    )?;
    let Some(Window { kernel, stride, dilation, pad }) = window else { return Ok((1, 1, 0)) };
    let reach = (kernel[0] - 1) * dilation[0] + 1;
    let holds_rows = (0..output[0]).all(|y| {
        let start = y * stride[0];
        start + reach > pad[0] && start < input[0] + pad[0]
    });
    ensure(holds_rows, node, "a row of the input in every window", "windows of padding alone")?;
    Ok((reach, stride[0], pad[0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_as_large_as_those_of_the_c_runtime() {
        let header = include_str!("../../c/runtime/bptq_stream.h");
        assert!(header.contains(&format!("#define BPTQ_STREAM_BUFFERS {MAX_BUFFERS}\n")));
    }
}
