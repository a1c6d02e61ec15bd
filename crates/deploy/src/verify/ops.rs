//! Invariants of single operations: element types, geometry, grids and bounds.

mod elementwise;
mod types;

use burn_ptq_kernels::geometry::PoolGeometry;
use burn_ptq_kernels::params::Clamp;
use burn_ptq_kernels::reference::{POSITION_BITS, log_softmax_integer_bits};

use super::checks::{
    magnitude, verify_clamp, verify_length, verify_multiplier, verify_rescaling, verify_same_grid,
};
use super::limits::element_count;
use super::matmul::verify_matmul;
use super::movement::verify_rearrange;
use super::normalize::verify_normalize;
use super::reduce::{verify_reduce, verify_top_k};
use super::violation::{Violation, ensure};
use super::weighted::verify_weighted;
use super::window::{verify_transposed_window, verify_window};
use crate::op::{BinaryFunction, Broadcast, IntOp};
use crate::program::{IntNode, IntTensor, Program};
use crate::run::tensor_integers;

use elementwise::{verify_add, verify_broadcast, verify_gate, verify_lookup, verify_table};
use types::verify_dtypes;

/// Rows of a softmax are shorter than this: the sum of their exponentials, each at most 1, has 12
/// integer bits.
const MAX_SOFTMAX_DEPTH: usize = 1 << 12;

/// 1.0 in the Q0.20 numbers of log-softmax.
const EXPONENTIAL_OF_ZERO: u32 = 1 << 20;

/// Fraction bits with which log-softmax rescales differences.
const TERM_BITS: u32 = 12;

/// The largest difference of two 8-bit values.
const MAX_DIFFERENCE: i64 = 255;

/// Checks `node`, whose tensors are valid by themselves.
pub(super) fn verify_op(program: &Program, node: &IntNode) -> Result<(), Violation> {
    let output = &program.tensors[node.output.0];
    // An operation without inputs looks at its output alone.
    let input = node.inputs.first().map_or(output, |id| &program.tensors[id.0]);
    verify_dtypes(program, node, output)?;
    match &node.op {
        IntOp::Conv2d { geometry: g, weighted } => {
            let groups = g.groups;
            ensure(
                groups >= 1
                    && g.in_channels.is_multiple_of(groups)
                    && g.out_channels.is_multiple_of(groups),
                node,
                "groups that divide the input's and the output's channels",
                format_args!("{groups} of {} and {}", g.in_channels, g.out_channels),
            )?;
            verify_length(node, "input", input, &[g.input[0], g.input[1], g.in_channels])?;
            verify_length(node, "output", output, &[g.output[0], g.output[1], g.out_channels])?;
            verify_window(node, &g.window, g.input, g.output, false)?;
            let [height, width] = g.window.kernel;
            let shape = [g.out_channels, height, width, g.in_channels / groups];
            verify_weighted(node, weighted, &shape, 0, input, output)
        }
        IntOp::DepthwiseConv2d { geometry: g, weighted } => {
            let channels = element_count(&[g.channels, g.multiplier]);
            ensure(
                channels.is_some(),
                node,
                "at least one channel",
                format_args!("{} channels times {}", g.channels, g.multiplier),
            )?;
            let channels = g.out_channels();
            verify_length(node, "input", input, &[g.input[0], g.input[1], g.channels])?;
            verify_length(node, "output", output, &[g.output[0], g.output[1], channels])?;
            verify_window(node, &g.window, g.input, g.output, false)?;
            let [height, width] = g.window.kernel;
            verify_weighted(node, weighted, &[height, width, channels], 2, input, output)
        }
        IntOp::TransposeConv2d { geometry: g, weighted } => {
            let groups = g.groups;
            ensure(
                groups >= 1
                    && g.in_channels.is_multiple_of(groups)
                    && g.out_channels.is_multiple_of(groups),
                node,
                "groups that divide the input's and the output's channels",
                format_args!("{groups} of {} and {}", g.in_channels, g.out_channels),
            )?;
            verify_length(node, "input", input, &[g.input[0], g.input[1], g.in_channels])?;
            verify_length(node, "output", output, &[g.output[0], g.output[1], g.out_channels])?;
            verify_transposed_window(node, &g.window, g.output)?;
            let [height, width] = g.window.kernel;
            let shape = [g.out_channels, height, width, g.in_channels / groups];
            verify_weighted(node, weighted, &shape, 0, input, output)
        }
        IntOp::FullyConnected { rows, in_features, out_features, weighted } => {
            verify_length(node, "input", input, &[*rows, *in_features])?;
            verify_length(node, "output", output, &[*rows, *out_features])?;
            let shape = [*out_features, *in_features];
            verify_weighted(node, weighted, &shape, 0, input, output)
        }
        IntOp::Add { params, broadcast, clamp } => {
            let other = &program.tensors[node.inputs[1].0];
            verify_broadcast(node, *broadcast, input, other, output)?;
            verify_add(node, params, input, other, output)?;
            verify_clamp(node, *clamp, output)
        }
        IntOp::Mul { multiplier, broadcast, clamp } => {
            let other = &program.tensors[node.inputs[1].0];
            verify_broadcast(node, *broadcast, input, other, output)?;
            ensure(
                *broadcast == Broadcast::None || input.dtype == output.dtype,
                node,
                "inputs of equal shapes for a product of another element type",
                format_args!("broadcast {broadcast:?}"),
            )?;
            let product = magnitude(input) * magnitude(other);
            verify_rescaling(node, *multiplier, product, output)?;
            verify_clamp(node, *clamp, output)
        }
        IntOp::Binary { function, broadcast, clamp } => {
            let other = &program.tensors[node.inputs[1].0];
            verify_broadcast(node, *broadcast, input, other, output)?;
            match function {
                // The difference is as large as the sum of the magnitudes.
                BinaryFunction::Sub(params) => verify_add(node, params, input, other, output)?,
                // The divisor is at least one step.
                BinaryFunction::Div(multiplier) => {
                    verify_rescaling(node, *multiplier, magnitude(input), output)?;
                }
                BinaryFunction::Minimum | BinaryFunction::Maximum => {
                    verify_same_grid(node, input, output)?;
                    verify_same_grid(node, other, output)?;
                    let Clamp { min, max } = *clamp;
                    ensure(
                        [min, max] == [output.grid.min, output.grid.max],
                        node,
                        "the bounds of the grid",
                        format_args!("{min} to {max}"),
                    )?;
                }
                BinaryFunction::Prelu(params) => {
                    let product = magnitude(input) * magnitude(other);
                    verify_rescaling(node, params.positive, magnitude(input), output)?;
                    verify_rescaling(node, params.negative, product, output)?;
                }
            }
            verify_clamp(node, *clamp, output)
        }
        IntOp::AveragePool { geometry, clamp } => {
            verify_pool(node, geometry, input, output)?;
            let [height, width] = geometry.window.kernel;
            let largest = 1_i64 << (8 * input.dtype.bytes() - 1);
            let sum = (height * width) as i64 * (largest + 1);
            ensure(
                sum <= i64::from(i32::MAX),
                node,
                "a window whose sum fits 32 bits",
                format_args!("kernel {:?}", geometry.window.kernel),
            )?;
            verify_clamp(node, *clamp, output)
        }
        IntOp::MaxPool { geometry, clamp } => {
            verify_pool(node, geometry, input, output)?;
            verify_clamp(node, *clamp, output)
        }
        IntOp::Table8 { table } => {
            verify_length(node, "output", output, &[input.len()])?;
            verify_table(node, 256, table.iter().map(|&value| i32::from(value)), output)
        }
        IntOp::Table16 { table } => {
            verify_length(node, "output", output, &[input.len()])?;
            verify_table(node, 513, table.iter().map(|&value| i32::from(value)), output)
        }
        IntOp::Gate { params } => {
            verify_length(node, "output", output, &[input.len()])?;
            verify_gate(node, *params, output)
        }
        IntOp::Softmax { rows, depth, input_multiplier, diff_min } => {
            verify_rows(node, *rows, *depth, input, output)?;
            verify_fixed_grid(node, 1.0 / 256.0, -128, output)?;
            verify_multiplier(node, *input_multiplier)?;
            let difference = i64::from(diff_min.saturating_neg()).min(MAX_DIFFERENCE);
            ensure(
                *diff_min <= 0
                    && input_multiplier.exponent >= 0
                    && difference << input_multiplier.exponent <= i64::from(i32::MAX),
                node,
                "differences above diff_min <= 0 whose left shift fits 32 bits",
                format_args!("diff_min {diff_min}, exponent {}", input_multiplier.exponent),
            )
        }
        IntOp::LogSoftmax { rows, depth, exponentials, input_multiplier } => {
            verify_rows(node, *rows, *depth, input, output)?;
            let scale = match log_softmax_integer_bits(output.grid.scale) {
                Some(_) => output.grid.scale,
                None => 16.0 / 256.0,
            };
            verify_fixed_grid(node, scale, 127, output)?;
            ensure(
                exponentials.len() == 256,
                node,
                "256 exponentials",
                format_args!("{}", exponentials.len()),
            )?;
            ensure(
                exponentials[0] == EXPONENTIAL_OF_ZERO
                    && exponentials.iter().all(|&value| value <= EXPONENTIAL_OF_ZERO),
                node,
                format_args!("exponentials of at most the first, {EXPONENTIAL_OF_ZERO}"),
                format_args!("{}, then up to {:?}", exponentials[0], exponentials.iter().max()),
            )?;
            verify_rescaling(node, *input_multiplier, MAX_DIFFERENCE << TERM_BITS, output)
        }
        IntOp::Requantize { multiplier, clamp } => {
            verify_length(node, "output", output, &[input.len()])?;
            verify_rescaling(node, *multiplier, magnitude(input), output)?;
            verify_clamp(node, *clamp, output)
        }
        IntOp::Concat { outer, chunks } => {
            let mut total = 0_usize;
            for (&id, &chunk) in node.inputs.iter().zip(chunks) {
                let input = &program.tensors[id.0];
                verify_length(node, "input", input, &[*outer, chunk])?;
                verify_same_grid(node, input, output)?;
                total = total.saturating_add(chunk);
            }
            verify_length(node, "output", output, &[*outer, total])
        }
        IntOp::Pad { input: shape, before, after, value } => {
            verify_length(node, "input", input, shape)?;
            let mut padded = *shape;
            for axis in 0..3 {
                padded[axis] =
                    padded[axis].saturating_add(before[axis]).saturating_add(after[axis]);
            }
            verify_length(node, "output", output, &padded)?;
            verify_same_grid(node, input, output)?;
            verify_clamp(node, Clamp { min: *value, max: *value }, output)
        }
        IntOp::Transpose { input: shape, axes } => {
            ensure(
                is_permutation(*axes),
                node,
                "a permutation of the axes 0, 1, 2",
                format_args!("{axes:?}"),
            )?;
            verify_length(node, "input", input, shape)?;
            verify_length(node, "output", output, shape)?;
            verify_same_grid(node, input, output)
        }
        IntOp::Rearrange { first, axes } => {
            verify_rearrange(node, *first, axes, input, output)?;
            verify_same_grid(node, input, output)
        }
        IntOp::ResizeLinear { input: shape, rows, columns } => {
            verify_length(node, "input", input, shape)?;
            verify_length(node, "output", output, &[rows.len(), columns.len(), shape[2]])?;
            verify_positions(node, "row", rows, shape[0])?;
            verify_positions(node, "column", columns, shape[1])?;
            verify_same_grid(node, input, output)
        }
        // Its lengths follow from its loop.
        IntOp::Step { .. } => verify_same_grid(node, input, output),
        IntOp::Pack | IntOp::Unpack => {
            verify_length(node, "output", output, &[input.len()])?;
            verify_same_grid(node, input, output)
        }
        IntOp::BatchMatMul { geometry, multiplier, clamp } => {
            let other = &program.tensors[node.inputs[1].0];
            verify_matmul(node, geometry, [input, other], *multiplier, output)?;
            verify_clamp(node, *clamp, output)
        }
        IntOp::Reduce { reduction, outer, reduced, inner, multiplier, clamp } => {
            let extents = [*outer, *reduced, *inner];
            verify_reduce(node, *reduction, extents, input, *multiplier, output)?;
            verify_clamp(node, *clamp, output)
        }
        IntOp::Normalize { geometry, params, affine, clamp } => {
            verify_normalize(node, geometry, params, affine.as_ref(), input, output)?;
            verify_clamp(node, *clamp, output)
        }
        IntOp::Lookup8 { width, table } => {
            verify_lookup(node, *width, table.len(), input, output)?;
            let elements = table.iter().map(|&value| i32::from(value));
            verify_table(node, table.len(), elements, output)
        }
        IntOp::Lookup16 { width, table } => {
            verify_lookup(node, *width, table.len(), input, output)?;
            let elements = table.iter().map(|&value| i32::from(value));
            verify_table(node, table.len(), elements, output)
        }
        IntOp::TopK { selection, rows, depth, k } => {
            verify_top_k(node, *selection, [*rows, *depth, *k], input, output)
        }
        IntOp::Constant { data } => {
            ensure(
                data.len() == output.bytes(),
                node,
                format_args!("{} bytes of elements", output.bytes()),
                format_args!("{}", data.len()),
            )?;
            for value in tensor_integers(output, data) {
                verify_clamp(node, Clamp { min: value, max: value }, output)?;
            }
            Ok(())
        }
    }
}

/// Checks positions between the `extent` elements of an axis.
fn verify_positions(
    node: &IntNode,
    what: &str,
    positions: &[u32],
    extent: usize,
) -> Result<(), Violation> {
    let last = (extent as u64 - 1) << POSITION_BITS;
    let largest = positions.iter().copied().max().unwrap_or(0);
    ensure(
        last <= i32::MAX as u64 && u64::from(largest) <= last,
        node,
        format_args!("{what} positions of at most that of the last, {last}, in 31 bits"),
        format_args!("{largest}"),
    )
}

fn verify_rows(
    node: &IntNode,
    rows: usize,
    depth: usize,
    input: &IntTensor,
    output: &IntTensor,
) -> Result<(), Violation> {
    verify_length(node, "input", input, &[rows, depth])?;
    verify_length(node, "output", output, &[rows, depth])?;
    ensure(
        depth < MAX_SOFTMAX_DEPTH,
        node,
        format_args!("rows of less than {MAX_SOFTMAX_DEPTH} elements"),
        format_args!("{depth}"),
    )
}

fn verify_pool(
    node: &IntNode,
    geometry: &PoolGeometry,
    input: &IntTensor,
    output: &IntTensor,
) -> Result<(), Violation> {
    let PoolGeometry { input: from, output: to, channels, window } = geometry;
    verify_length(node, "input", input, &[from[0], from[1], *channels])?;
    verify_length(node, "output", output, &[to[0], to[1], *channels])?;
    verify_window(node, window, *from, *to, true)?;
    // The sum of a window, and half its count more for the rounding, must fit 32 bits.
    let largest = i64::from(input.grid.min).abs().max(i64::from(input.grid.max).abs());
    let taps = window.kernel.iter().map(|&k| k as i64).product::<i64>();
    ensure(
        taps * (largest + 1) <= i64::from(i32::MAX),
        node,
        "a window whose sum fits 32 bits",
        format_args!("{taps} elements of up to {largest}"),
    )?;
    verify_same_grid(node, input, output)
}

fn verify_fixed_grid(
    node: &IntNode,
    scale: f32,
    zero_point: i32,
    output: &IntTensor,
) -> Result<(), Violation> {
    let grid = output.grid;
    ensure(
        (grid.scale, grid.zero_point, grid.min, grid.max) == (scale, zero_point, -128, 127),
        node,
        format_args!("output scale {scale}, zero point {zero_point}, range -128 to 127"),
        format_args!("{grid:?}"),
    )
}

fn is_permutation(axes: [usize; 3]) -> bool {
    (0..3).all(|axis| axes.contains(&axis))
}
