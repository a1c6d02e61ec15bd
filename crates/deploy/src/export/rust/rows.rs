//! Streams: their tables, and the loop that computes the row that is due.

use super::literals::indented;
use crate::place::rows::RowProgram;
use crate::place::{Placed, Stream};

/// What a network with streams needs besides.
pub(super) const HEAD: &str = "
/// First byte and end of rows of a buffer that begins at `start`; one takes `bytes`.
#[inline(always)]
fn rows(rows: burn_ptq_kernels::stream::Rows, start: usize, bytes: usize) -> [usize; 2] {
    let first = start + rows.slot * bytes;
    [first, first + rows.count * bytes]
}

/// Makes room for a row in the buffer that begins at `start`.
#[allow(dead_code)]
#[inline(never)]
fn make_room(arena: &mut [i8], step: &burn_ptq_kernels::stream::Step, start: usize, bytes: usize) {
    step.make_room(arena.get_mut(start..).unwrap_or(&mut []), bytes);
}
";

/// Bytes of the tables of a stream on a machine of 32 bits.
pub(super) fn bytes(rows: &RowProgram) -> usize {
    const BUFFER: usize = 2;
    const STAGE: usize = 7;
    4 * (rows.buffers.len() * BUFFER + rows.stages.len() * STAGE)
}

/// The tables of a stream; they are in the module of its first node.
pub(super) fn constants(rows: &RowProgram) -> String {
    let path = "burn_ptq_kernels::stream";
    let buffers = rows.buffers.iter().map(|buffer| {
        let (height, capacity) = (buffer.height, buffer.capacity);
        format!("    {path}::RowBuffer {{ height: {height}, capacity: {capacity} }},\n")
    });
    let stages = rows.stages.iter().map(|stage| {
        let (inputs, reach, stride, pad) = (stage.inputs, stage.reach, stage.stride, stage.pad);
        format!(
            "    {path}::Stage {{\n        inputs: {inputs:?},\n        reach: {reach},\n        \
             stride: {stride},\n        pad: {pad},\n    }},\n"
        )
    });
    format!(
        "pub static STREAM: {path}::Stream = {path}::Stream {{\n    externals: {},\n    \
         buffers: &BUFFERS,\n    stages: &STAGES,\n}};\n\
         static BUFFERS: [{path}::RowBuffer; {}] = [\n{}];\n\
         static STAGES: [{path}::Stage; {}] = [\n{}];\n",
        rows.externals.len(),
        rows.buffers.len(),
        buffers.collect::<String>(),
        rows.stages.len(),
        stages.collect::<String>(),
    )
}

/// What the loop over the rows of `stream` does for the node at `index`, with the loop's head before
/// the first node and its end after the last one. `first_id` is that of the stream's first node.
pub(super) fn case(
    program: &Placed,
    stream: &Stream,
    index: usize,
    first_id: &str,
    description: &str,
    calls: &str,
) -> String {
    let stage = index - stream.first;
    let output = program.nodes[index].output;
    let tensor = &program.tensors[output.0];
    let mut case = String::new();
    if stage == 0 {
        case.push_str(&format!(
            "    for step in burn_ptq_kernels::stream::Run::new(nodes::{first_id}::STREAM) {{\n        \
             let [first, end] = match step.stage {{\n"
        ));
    }
    let pattern = if index == stream.last() { "_".to_owned() } else { stage.to_string() };
    case.push_str(&format!("            // {description}\n            {pattern} => {{\n"));
    if stream.rows[stage] < tensor.shape[0] {
        let (start, bytes) = (program.offset(output), tensor.row_bytes());
        case.push_str(&format!("                make_room(arena, &step, {start}, {bytes});\n"));
    }
    case.push_str(&indented(calls, 16));
    let (start, bytes) = (program.offset(output), tensor.row_bytes());
    case.push_str(&format!(
        "                rows(step.output(), {start}, {bytes})\n            }}\n"
    ));
    if index == stream.last() {
        let node = match stream.first {
            0 => "step.stage".to_owned(),
            first => format!("{first} + step.stage"),
        };
        case.push_str(&format!(
            "        }};\n        after_node({node}, arena.get(first..end).unwrap_or(&[]));\n    }}\n"
        ));
    }
    case
}
