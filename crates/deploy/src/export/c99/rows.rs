//! Streams: the tables that say which function computes a row of what.

use crate::model::{IntModel, IntOp, Stream};
use crate::stream::RowProgram;

/// The C type of the parameters, for operations whose window is narrowed to a few rows.
pub fn windowed(op: &IntOp) -> Option<&'static str> {
    match op {
        IntOp::Conv2d { .. } => Some("bptq_conv2d"),
        IntOp::DepthwiseConv2d { .. } => Some("bptq_depthwise"),
        IntOp::AveragePool { .. } | IntOp::MaxPool { .. } => Some("bptq_pool"),
        IntOp::FullyConnected { .. }
        | IntOp::Add { .. }
        | IntOp::Mul { .. }
        | IntOp::Table8 { .. }
        | IntOp::Table16 { .. }
        | IntOp::Softmax { .. }
        | IntOp::LogSoftmax { .. }
        | IntOp::Requantize { .. }
        | IntOp::Concat { .. }
        | IntOp::Pad { .. }
        | IntOp::Transpose { .. }
        | IntOp::Pack
        | IntOp::Unpack => None,
    }
}

/// The tables of `stream`, whose nodes have the identifiers `ids`; it is valid.
pub fn stream(model: &IntModel, stream: &Stream, ids: &[String]) -> String {
    let Ok(program) = RowProgram::new(model, stream) else { return String::new() };
    let id = &ids[stream.first];
    let outputs = model.nodes[stream.nodes()].iter().map(|node| node.output);
    let tensors = program.externals.iter().copied().chain(outputs);
    let buffers: String = tensors
        .zip(&program.buffers)
        .map(|(tensor, rows)| {
            let tensor = &model.tensors[tensor.0];
            format!(
                "    {{arena.s8 + {}, {}, {}, {}}},\n",
                tensor.offset,
                tensor.row_bytes(),
                rows.height,
                rows.capacity
            )
        })
        .collect();
    let stages: String = program
        .stages
        .iter()
        .zip(&ids[stream.nodes()])
        .map(|(stage, id)| {
            let [first, second] = stage.inputs.map(|buffer| match buffer {
                Some(buffer) => buffer.to_string(),
                None => "-1".to_owned(),
            });
            let (reach, stride, pad) = (stage.reach, stage.stride, stage.pad);
            format!("    {{{id}_row, {{{first}, {second}}}, {reach}, {stride}, {pad}}},\n")
        })
        .collect();
    let (externals, count) = (program.externals.len(), program.stages.len());
    format!(
        "
/* Row by row, with the nodes before it. */
static const bptq_row_buffer {id}_buffers[] = {{
{buffers}}};
static const bptq_stage {id}_stages[] = {{
{stages}}};
static const bptq_stream {id}_stream = {{{externals}, {count}, {id}_buffers, {id}_stages}};
"
    )
}
