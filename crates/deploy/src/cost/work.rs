//! What a call of a kernel does, in numbers of which its instructions are a linear function.
//!
//! The numbers say how often the loops of a kernel run; how many instructions each takes, a table says for every
//! kernel.

mod blocks;
mod counts;
mod moves;
mod plain;
mod portable;
mod taps;
mod vectors;

use std::collections::HashMap;

use burn_ptq_kernels::geometry::{ConvGeometry, Window};
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::Reduction;
use burn_ptq_kernels::stream::{Rows, Step};

use crate::op::{BinaryFunction, Broadcast, DType, IntOp, Weighted, weightless};
use crate::place::Placed;
use crate::place::kernels::{chosen, packed_bits};
use crate::place::sums::wide_sum;
use crate::program::{IntNode, TensorId};
use crate::target::Kernels;

pub use counts::Work;
use counts::numbers;

/// The work of every node of a program: of one call, or of as many as it has rows or steps.
pub fn works(program: &Placed) -> Vec<Work> {
    let mut works: Vec<Work> = program.nodes.iter().map(|_| Work::default()).collect();
    let mut by_rows = vec![false; works.len()];
    for (stream, rows) in program.row_programs() {
        // No row of a node is computed that nobody reads.
        by_rows[stream.nodes()].fill(true);
        let mut known: HashMap<(usize, usize, usize), Work> = HashMap::new();
        for step in rows.run() {
            let node = stream.first + step.stage;
            let work = known
                .entry((step.stage, step.inputs[0].count, step.inputs[0].pad))
                .or_insert_with(|| of_call(program, &program.nodes[node], Some(&step)));
            works[node] += work;
        }
    }
    for (index, (node, work)) in program.nodes.iter().zip(&mut works).enumerate() {
        if !by_rows[index] {
            *work = of_call(program, node, None).times(program.runs(index));
        }
    }
    works
}

/// The last node of every stream, and what the loop over its rows does.
pub fn streams(program: &Placed) -> Vec<(usize, Work)> {
    let each = program.row_programs().map(|(stream, rows)| {
        let row_bytes = |stage: usize| {
            let output = program.nodes[stream.first + stage].output;
            program.tensors[output.0].row_bytes()
        };
        let mut work = Work(vec![1.0, 0.0, 0.0, 0.0]);
        for step in rows.run() {
            work.0[1] += 1.0;
            if step.kept.slot > 0 {
                work.0[2] += 1.0;
                work.0[3] += (step.kept.count * row_bytes(step.stage)) as f64;
            }
        }
        (stream.last(), work)
    });
    each.collect()
}

/// The last node of every loop that copies what it carries, and what it copies in all steps.
pub fn carried(program: &Placed) -> Vec<(usize, Work)> {
    let copying = program.loops.iter().filter(|own| program.copied_carried(own).next().is_some());
    copying.map(|own| (own.last(), moves::carried(program, own).times(own.steps))).collect()
}

/// What is copied after the last node for the next call; `None` if nothing is.
pub fn states(program: &Placed) -> Option<Work> {
    program.copied_states().next().map(|_| moves::states(program))
}

/// The work of one call, of a single row if there is a step.
fn of_call(program: &Placed, node: &IntNode, step: Option<&Step>) -> Work {
    let rows = step.map(|step| step.inputs[0]);
    let kernels = chosen(program, node, program.kernels());
    let elements = |id: TensorId| program.tensors[id.0].shape.iter().product::<usize>();
    let height = program.tensors[node.output.0].shape[0];
    let written = elements(node.output) / if step.is_some() { height.max(1) } else { 1 };
    let portable = kernels == Kernels::Portable;
    match &node.op {
        IntOp::Conv2d { weighted, .. }
        | IntOp::DepthwiseConv2d { weighted, .. }
        | IntOp::TransposeConv2d { weighted, .. }
        | IntOp::FullyConnected { weighted, .. } => {
            of_weights(program, node, kernels, weighted, rows)
        }
        IntOp::AveragePool { geometry, .. } | IntOp::MaxPool { geometry, .. } => {
            let geometry = rows.map_or(*geometry, |rows| geometry.row(rows));
            let by_fours = matches!(node.op, IntOp::AveragePool { .. }) && !is_wide(program, node);
            if portable { plain::pool(&geometry, by_fours) } else { plain::mve_pool(&geometry) }
        }
        IntOp::Softmax { rows, depth, .. } | IntOp::LogSoftmax { rows, depth, .. } => {
            numbers(&[1, *rows, rows * depth])
        }
        IntOp::Add { params, broadcast, clamp }
            if portable && wide_sum(params, *broadcast, *clamp, true).is_none() =>
        {
            of_pair(program, node, *broadcast, (written, false), &plain::of_sum(params))
        }
        IntOp::Mul { multiplier, broadcast, .. } => {
            of_pair(program, node, *broadcast, (written, false), &[*multiplier])
        }
        IntOp::Binary { function: BinaryFunction::Sub(params), broadcast, clamp }
            if wide_sum(params, *broadcast, *clamp, false).is_some() =>
        {
            plain::wide_sum(params, written)
        }
        IntOp::Binary { function, broadcast, .. } => {
            of_pair(program, node, *broadcast, (written, true), &plain::of_function(function))
        }
        IntOp::Requantize { multiplier, .. } => plain::elements(written, written, &[*multiplier]),
        IntOp::Add { params, .. } if portable => plain::wide_sum(params, written),
        IntOp::Add { .. }
        | IntOp::Table8 { .. }
        | IntOp::Table16 { .. }
        | IntOp::Gate { .. }
        | IntOp::Pack
        | IntOp::Unpack => numbers(&[1, written, written % 4]),
        IntOp::Concat { outer, chunks } => moves::concat(program, node, *outer, chunks),
        IntOp::Pad { input, before, after, .. } => {
            moves::pad(program, node, *input, [*before, *after])
        }
        IntOp::Transpose { input, axes } => plain::transpose(*input, *axes),
        IntOp::BatchMatMul { geometry, multiplier, .. } => {
            plain::batch_matmul(geometry, *multiplier)
        }
        IntOp::Reduce { outer, reduced, inner, multiplier, .. } => {
            plain::reduce([*outer, *reduced, *inner], *multiplier)
        }
        IntOp::Normalize { geometry, params, .. } => plain::normalize(geometry, params),
        IntOp::TopK { rows, depth, k, .. } => plain::top_k(*rows, *depth, *k),
        IntOp::Rearrange { first, axes } => moves::rearrange(program, node, *first, axes),
        IntOp::ResizeLinear { input, rows, columns } => {
            plain::resize([rows.len(), columns.len(), input[2]])
        }
        IntOp::Lookup8 { width, .. } | IntOp::Lookup16 { width, .. } => {
            moves::lookup(program, node, *width)
        }
        IntOp::Constant { data } => moves::constant(program, node, data.len()),
        IntOp::Step { .. } => moves::step(program, node),
    }
}

/// Whether the first input has elements of 16 bits.
fn is_wide(program: &Placed, node: &IntNode) -> bool {
    node.inputs.first().is_some_and(|id| program.tensors[id.0].dtype == DType::I16)
}

/// The work of `length` elements of two inputs, of a kernel that takes strides if they meet otherwise than
/// element by element, or always.
fn of_pair(
    program: &Placed,
    node: &IntNode,
    broadcast: Broadcast,
    (length, always_strided): (usize, bool),
    multipliers: &[Multiplier],
) -> Work {
    let b = program.tensors[node.inputs[1].0].len();
    let strided = always_strided || matches!(broadcast, Broadcast::Shapes { .. });
    if strided {
        return plain::strided(&broadcast.strides(length, b), multipliers);
    }
    let period = match broadcast {
        Broadcast::None => length,
        Broadcast::Channels | Broadcast::Shapes { .. } => b,
        Broadcast::Scalar => 1,
    };
    plain::elements(length, period, multipliers)
}

/// The work of one call of a layer with weights.
fn of_weights(
    program: &Placed,
    node: &IntNode,
    kernels: Kernels,
    weighted: &Weighted,
    step: Option<Rows>,
) -> Work {
    let bits = packed_bits(&node.op, weighted, kernels);
    let wide = is_wide(program, node);
    let filters = |taps| blocks::Filters::new(program, node, kernels, weighted, taps);
    match &node.op {
        IntOp::Conv2d { geometry, .. } => {
            let row = step.map_or(*geometry, |rows| geometry.row(rows));
            match kernels {
                Kernels::Portable => portable::convolution(&row, weighted, wide),
                Kernels::Dsp => vectors::dsp_convolution(&row, weighted, bits),
                Kernels::Mve => vectors::mve_convolution(&row, bits),
                Kernels::Scalar | Kernels::Tiles | Kernels::Quads => {
                    blocks::convolution(&row, &filters(row.weights_per_channel()))
                }
            }
        }
        IntOp::FullyConnected { rows, in_features, out_features, .. } => {
            let features = [*in_features, *out_features];
            match kernels {
                Kernels::Portable => portable::fully_connected(weighted, *rows, features, wide),
                Kernels::Dsp => vectors::dsp_fully_connected(weighted, *rows, features, bits),
                Kernels::Mve => vectors::mve_fully_connected(*rows, features, bits),
                Kernels::Scalar | Kernels::Tiles | Kernels::Quads => {
                    let geometry = ConvGeometry {
                        input: [*rows, 1],
                        output: [*rows, 1],
                        in_channels: *in_features,
                        out_channels: *out_features,
                        groups: 1,
                        window: Window {
                            kernel: [1; 2],
                            stride: [1; 2],
                            dilation: [1; 2],
                            pad: [0; 2],
                        },
                    };
                    blocks::convolution(&geometry, &filters(*in_features))
                }
            }
        }
        IntOp::DepthwiseConv2d { geometry, .. } => {
            let row = step.map_or(*geometry, |rows| geometry.row(rows));
            match kernels {
                Kernels::Portable => portable::depthwise(&row, weighted, wide),
                Kernels::Dsp => vectors::dsp_depthwise(&row, weighted, bits),
                Kernels::Mve => vectors::mve_depthwise(&row, bits),
                Kernels::Scalar | Kernels::Tiles | Kernels::Quads => {
                    let turned = step.is_none() && blocks::turns(geometry, kernels);
                    blocks::depthwise(&row, turned, kernels == Kernels::Quads)
                }
            }
        }
        IntOp::TransposeConv2d { geometry, .. } => portable::transposed(geometry, weighted, wide),
        weightless!() => Work::default(),
    }
}

/// What a kernel's instructions are a linear function in: one of its ways through, named by the function
/// `function` and what decides which way it takes.
pub fn form(program: &Placed, node: &IntNode, by_rows: bool, function: &str) -> String {
    let kernels = chosen(program, node, program.kernels());
    let in_blocks = match kernels {
        Kernels::Scalar | Kernels::Tiles | Kernels::Quads => true,
        Kernels::Portable | Kernels::Dsp | Kernels::Mve => false,
    };
    let bits = match node.op.weighted() {
        Some(weighted) if in_blocks => weighted.weights.storage,
        Some(weighted) => packed_bits(&node.op, weighted, kernels),
        None => 0,
    };
    let portable = kernels == Kernels::Portable;
    let wide = is_wide(program, node);
    match &node.op {
        IntOp::Conv2d { geometry, .. } if in_blocks => {
            format!("{function}/{bits}{}", blocks::convolution_way(geometry))
        }
        IntOp::DepthwiseConv2d { geometry, .. } if in_blocks => {
            format!("{function}/{bits}{}", blocks::depthwise_way(geometry, by_rows, kernels))
        }
        IntOp::Conv2d { geometry, .. } if portable && !wide && portable::is_pointwise(geometry) => {
            format!("{function}/{bits}pointwise")
        }
        IntOp::DepthwiseConv2d { geometry, .. } if portable && geometry.multiplier != 1 => {
            format!("{function}/{bits}shared")
        }
        IntOp::FullyConnected { rows, in_features, weighted, .. }
            if portable && portable::is_packed(weighted, *rows, *in_features, wide) =>
        {
            format!("{function}/{bits}packed")
        }
        IntOp::Conv2d { .. }
        | IntOp::DepthwiseConv2d { .. }
        | IntOp::TransposeConv2d { .. }
        | IntOp::FullyConnected { .. } => format!("{function}/{bits}"),
        IntOp::Reduce { reduction, .. } => format!("{function}/{}", reduction_way(*reduction)),
        IntOp::Normalize { params, affine, .. } => {
            let center = if params.center { "mean" } else { "root" };
            format!("{function}/{center}{}", if affine.is_some() { "scaled" } else { "" })
        }
        IntOp::Rearrange { axes, .. } => format!("{function}/{}", moves::rearrange_way(axes)),
        IntOp::Add { .. }
        | IntOp::Mul { .. }
        | IntOp::AveragePool { .. }
        | IntOp::MaxPool { .. }
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
        | IntOp::TopK { .. }
        | IntOp::ResizeLinear { .. }
        | IntOp::Lookup8 { .. }
        | IntOp::Lookup16 { .. }
        | IntOp::Constant { .. }
        | IntOp::Step { .. }
        | IntOp::Binary { .. } => function.to_owned(),
    }
}

fn reduction_way(reduction: Reduction) -> &'static str {
    match reduction {
        Reduction::Max => "max",
        Reduction::Min => "min",
        Reduction::Sum => "sum",
        Reduction::SumOfMagnitudes => "magnitudes",
        Reduction::SumOfSquares => "squares",
        Reduction::RootOfSquares => "root",
    }
}
