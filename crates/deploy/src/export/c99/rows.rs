//! Streams: the tables that say which function computes a row of what.

use crate::op::IntOp;
use crate::place::rows::RowProgram;
use crate::place::{Placed, Stream};

/// The C type of the parameters, for operations whose window is narrowed to a few rows.
pub(super) fn windowed(op: &IntOp) -> Option<&'static str> {
    match op {
        IntOp::Conv2d { .. } => Some("bptq_conv2d"),
        IntOp::DepthwiseConv2d { .. } => Some("bptq_depthwise"),
        IntOp::AveragePool { .. } | IntOp::MaxPool { .. } => Some("bptq_pool"),
        IntOp::FullyConnected { .. }
        | IntOp::TransposeConv2d { .. }
        | IntOp::Add { .. }
        | IntOp::Mul { .. }
        | IntOp::Table8 { .. }
        | IntOp::Table16 { .. }
        | IntOp::Gate { .. }
        | IntOp::Softmax { .. }
        | IntOp::LogSoftmax { .. }
        | IntOp::Requantize { .. }
        | IntOp::Concat { .. }
        | IntOp::Pad { .. }
        | IntOp::Transpose { .. }
        | IntOp::Pack
        | IntOp::Unpack
        | IntOp::BatchMatMul { .. }
        | IntOp::Reduce { .. }
        | IntOp::Normalize { .. }
        | IntOp::TopK { .. }
        | IntOp::Rearrange { .. }
        | IntOp::ResizeLinear { .. }
        | IntOp::Lookup8 { .. }
        | IntOp::Lookup16 { .. }
        | IntOp::Constant { .. }
        | IntOp::Step { .. }
        | IntOp::Binary { .. } => None,
    }
}

/// The tables of `stream` with its rows, which are `constant`; its nodes have the identifiers `ids`.
pub(super) fn stream(
    program: &Placed,
    constant: &str,
    stream: &Stream,
    rows: &RowProgram,
    ids: &[String],
) -> String {
    let id = &ids[stream.first];
    let outputs = program.nodes[stream.nodes()].iter().map(|node| node.output);
    let tensors = rows.externals.iter().copied().chain(outputs);
    let buffers: String = tensors
        .zip(&rows.buffers)
        .map(|(tensor, rows)| {
            format!(
                "    {{{}, {}, {}, {}}},\n",
                program.offset(tensor),
                program.tensors[tensor.0].row_bytes(),
                rows.height,
                rows.capacity
            )
        })
        .collect();
    let stages: String = rows
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
    let (externals, count) = (rows.externals.len(), rows.stages.len());
    format!(
        "
/* Row by row, with the nodes before it. */
static {constant} bptq_row_buffer {id}_buffers[] = {{
{buffers}}};
static {constant} bptq_stage {id}_stages[] = {{
{stages}}};
static {constant} bptq_stream {id}_stream = {{{externals}, {count}, {id}_buffers, {id}_stages}};
"
    )
}
