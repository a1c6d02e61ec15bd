//! How each operation computes new rows from new rows.

use burn_ptq_kernels::geometry::Window;

use super::layout::Layout;
use super::movement;
use super::rewritten::{ByRows, Operand, Rewritten};
use crate::op::{Broadcast, IntOp};
use crate::program::{IntNode, Program};

fn made(op: impl Fn(usize, usize) -> IntOp + 'static) -> Rewritten {
    Rewritten::Made(Box::new(op))
}

/// How `node` computes rows; `None` if it needs all rows at once. At least one of `operands`, which are its
/// inputs, has rows.
pub(super) fn by_rows(program: &Program, node: &IntNode, operands: &[Operand]) -> Option<ByRows> {
    let output = &program.tensors[node.output.0];
    let first = operands.iter().find_map(|operand| match *operand {
        Operand::Rows(layout) => Some(layout),
        Operand::Fixed => None,
    })?;
    let same = |inner: usize| Some(ByRows::pointwise(Layout { inner, ..first }, Rewritten::Same));
    match &node.op {
        IntOp::Conv2d { geometry, weighted } => {
            let (g, w) = (*geometry, weighted.clone());
            let (axis, output) =
                planes([g.input, g.output], [g.in_channels, g.out_channels], first)?;
            let op = made(move |rows, out| {
                let mut geometry = g;
                (geometry.input[axis], geometry.output[axis]) = (rows, out);
                geometry.window.pad[axis] = 0;
                convolution(geometry, w.clone())
            });
            Some(ByRows::windowed(g.window, axis, output, op))
        }
        IntOp::DepthwiseConv2d { geometry, weighted } => {
            let (g, weighted) = (*geometry, weighted.clone());
            let (axis, output) =
                planes([g.input, g.output], [g.channels, g.out_channels()], first)?;
            let op = made(move |rows, out| {
                let mut geometry = g;
                (geometry.input[axis], geometry.output[axis]) = (rows, out);
                geometry.window.pad[axis] = 0;
                IntOp::DepthwiseConv2d { geometry, weighted: weighted.clone() }
            });
            Some(ByRows::windowed(g.window, axis, output, op))
        }
        IntOp::AveragePool { geometry, clamp } | IntOp::MaxPool { geometry, clamp } => {
            let (g, clamp) = (*geometry, *clamp);
            let is_max = matches!(node.op, IntOp::MaxPool { .. });
            let (axis, layout) = planes([g.input, g.output], [g.channels; 2], first)?;
            let op = made(move |rows, out| {
                let mut geometry = g;
                (geometry.input[axis], geometry.output[axis]) = (rows, out);
                geometry.window.pad[axis] = 0;
                match is_max {
                    true => IntOp::MaxPool { geometry, clamp },
                    false => IntOp::AveragePool { geometry, clamp },
                }
            });
            // The least value changes no maximum.
            let padding = is_max.then_some(output.grid.min);
            Some(ByRows { padding, ..ByRows::windowed(g.window, axis, layout, op) })
        }
        IntOp::TransposeConv2d { geometry, weighted } => {
            let (g, weighted) = (*geometry, weighted.clone());
            let (axis, output) =
                planes([g.input, g.output], [g.in_channels, g.out_channels], first)?;
            let Window { kernel, stride, pad, .. } = g.window;
            let steps = (kernel[axis], stride[axis], pad[axis]) == (1, 1, 0);
            let op = made(move |rows, out| {
                let mut geometry = g;
                (geometry.input[axis], geometry.output[axis]) = (rows, out);
                IntOp::TransposeConv2d { geometry, weighted: weighted.clone() }
            });
            (steps && g.input[axis] == g.output[axis]).then(|| ByRows::pointwise(output, op))
        }
        IntOp::FullyConnected { in_features, out_features, weighted, .. } => {
            let (ins, outs, weighted) = (*in_features, *out_features, weighted.clone());
            let each = whole_parts(first.inner, ins)?;
            let op = made(move |_, out| IntOp::FullyConnected {
                rows: first.outer * out * each,
                in_features: ins,
                out_features: outs,
                weighted: weighted.clone(),
            });
            Some(ByRows::pointwise(Layout { inner: each * outs, ..first }, op))
        }
        IntOp::Softmax { depth, input_multiplier, diff_min, .. } => {
            let (depth, input_multiplier, diff_min) = (*depth, *input_multiplier, *diff_min);
            let each = whole_parts(first.inner, depth)?;
            let op = made(move |_, out| IntOp::Softmax {
                rows: first.outer * out * each,
                depth,
                input_multiplier,
                diff_min,
            });
            Some(ByRows::pointwise(first, op))
        }
        IntOp::LogSoftmax { depth, exponentials, input_multiplier, .. } => {
            let (depth, exponentials) = (*depth, exponentials.clone());
            let input_multiplier = *input_multiplier;
            let each = whole_parts(first.inner, depth)?;
            let op = made(move |_, out| IntOp::LogSoftmax {
                rows: first.outer * out * each,
                depth,
                exponentials: exponentials.clone(),
                input_multiplier,
            });
            Some(ByRows::pointwise(first, op))
        }
        IntOp::TopK { selection, depth, k, .. } => {
            let (selection, depth, k) = (*selection, *depth, *k);
            let each = whole_parts(first.inner, depth)?;
            let op = made(move |_, out| IntOp::TopK {
                selection,
                rows: first.outer * out * each,
                depth,
                k,
            });
            Some(ByRows::pointwise(Layout { inner: each * k, ..first }, op))
        }
        IntOp::Table8 { .. }
        | IntOp::Table16 { .. }
        | IntOp::Gate { .. }
        | IntOp::Requantize { .. } => same(first.inner),
        // Packing is a matter of memory, which the new program has another of.
        IntOp::Pack | IntOp::Unpack => {
            Some(ByRows { moves: true, ..ByRows::pointwise(first, Rewritten::Gone) })
        }
        IntOp::Lookup8 { width, .. } | IntOp::Lookup16 { width, .. } => same(first.inner * width),
        IntOp::Add { broadcast, .. }
        | IntOp::Mul { broadcast, .. }
        | IntOp::Binary { broadcast, .. } => {
            elementwise(&node.op, *broadcast, operands, first, b_length(program, node))
        }
        IntOp::Concat { outer, chunks } => concat(*outer, chunks, operands),
        IntOp::Pad { input, before, after, value } => pad(*input, [*before, *after], *value, first),
        IntOp::Transpose { input, axes } => {
            let (input, axes) = (*input, *axes);
            let axis = first.axis(&input)?;
            let place = axes.iter().position(|&from| from == axis)?;
            let output = Layout::along(&axes.map(|from| input[from]), place);
            let op = made(move |rows, _| {
                let mut extents = input;
                extents[axis] = rows;
                IntOp::Transpose { input: extents, axes }
            });
            Some(ByRows { moves: true, ..ByRows::pointwise(output, op) })
        }
        IntOp::Reduce { reduction, outer, reduced, inner, multiplier, clamp } => {
            let [all, run, step] = [*outer, *reduced, *inner];
            let (reduction, multiplier, clamp) = (*reduction, *multiplier, *clamp);
            let reduce = move |outer, inner| IntOp::Reduce {
                reduction,
                outer,
                reduced: run,
                inner,
                multiplier,
                clamp,
            };
            if let Some(each) = whole_parts(first.inner, run * step) {
                let op = made(move |_, out| reduce(first.outer * out * each, step));
                return Some(ByRows::pointwise(Layout { inner: each * step, ..first }, op));
            }
            let each = whole_parts(step, first.rows * first.inner)?;
            let op = made(move |_, out| reduce(all, each * out * first.inner));
            Some(ByRows::pointwise(Layout { outer: all * each, ..first }, op))
        }
        IntOp::Normalize { geometry, params, affine, clamp } => {
            let (g, params, affine, clamp) = (*geometry, *params, affine.clone(), *clamp);
            let each = whole_parts(g.groups, first.rows)?;
            let reach = (g.outer - 1) * g.steps[1] + (g.inner - 1) * g.steps[2];
            let inside = first.outer == 1
                && g.steps[0] * each == first.inner
                && (each - 1) * g.steps[0] + reach < first.inner
                && g.parameters[0] == 0;
            let op = made(move |_, out| {
                let geometry =
                    burn_ptq_kernels::geometry::NormalizeGeometry { groups: each * out, ..g };
                IntOp::Normalize { geometry, params, affine: affine.clone(), clamp }
            });
            inside.then(|| ByRows::pointwise(first, op))
        }
        IntOp::Rearrange { first: place, axes } => movement::by_rows(*place, axes, first),
        IntOp::BatchMatMul { .. } | IntOp::ResizeLinear { .. } | IntOp::Constant { .. } => None,
        // Programs with loops are not streamed.
        IntOp::Step { .. } => None,
    }
}

/// How many parts of `part` elements `whole` has, if it has whole ones.
pub(super) fn whole_parts(whole: usize, part: usize) -> Option<usize> {
    (part > 0 && whole.is_multiple_of(part)).then(|| whole / part)
}

/// The axis of planes along which time goes, and the output's layout.
fn planes(
    [input, output]: [[usize; 2]; 2],
    [ins, outs]: [usize; 2],
    layout: Layout,
) -> Option<(usize, Layout)> {
    let axis = layout.axis(&[input[0], input[1], ins]).filter(|&axis| axis < 2)?;
    Some((axis, Layout::along(&[output[0], output[1], outs], axis)))
}

/// A convolution, as a fully connected layer if its only window covers the input: the same sums.
fn convolution(
    geometry: burn_ptq_kernels::geometry::ConvGeometry,
    weighted: crate::op::Weighted,
) -> IntOp {
    let Window { kernel, dilation, pad, .. } = geometry.window;
    let covers = geometry.output == [1, 1] && kernel == geometry.input && pad == [0, 0];
    let dense = (0..2).all(|axis| kernel[axis] == 1 || dilation[axis] == 1);
    if !covers || !dense || geometry.groups != 1 {
        return IntOp::Conv2d { geometry, weighted };
    }
    let mut weighted = weighted;
    let (in_features, out_features) = (geometry.weights_per_channel(), geometry.out_channels);
    weighted.weights.shape = vec![out_features, in_features];
    IntOp::FullyConnected { rows: 1, in_features, out_features, weighted }
}

/// The elements of the second input.
fn b_length(program: &Program, node: &IntNode) -> usize {
    node.inputs.get(1).map_or(1, |id| program.tensors[id.0].len())
}

fn elementwise(
    op: &IntOp,
    broadcast: Broadcast,
    operands: &[Operand],
    first: Layout,
    b_length: usize,
) -> Option<ByRows> {
    let [a, b] = operands else { return None };
    let plain = || Some(ByRows::pointwise(first, Rewritten::Same));
    match broadcast {
        Broadcast::None => (a == b).then(plain)?,
        Broadcast::Scalar if *b == Operand::Fixed => plain(),
        Broadcast::Channels if *b == Operand::Fixed => {
            whole_parts(first.inner, b_length).and_then(|_| plain())
        }
        Broadcast::Scalar | Broadcast::Channels => None,
        Broadcast::Shapes { a: a_shape, b: b_shape } => {
            let axis = |operand: &Operand, shape: &[usize; 3]| match *operand {
                Operand::Rows(layout) => layout.axis(shape),
                Operand::Fixed => None,
            };
            let (a_axis, b_axis) = (axis(a, &a_shape), axis(b, &b_shape));
            let axis = a_axis.or(b_axis)?;
            let fits = |operand: &Operand, own: Option<usize>, shape: [usize; 3]| match operand {
                Operand::Rows(_) => own == Some(axis),
                Operand::Fixed => shape[axis] == 1,
            };
            if !fits(a, a_axis, a_shape) || !fits(b, b_axis, b_shape) {
                return None;
            }
            let output = [0, 1, 2].map(|i| a_shape[i].max(b_shape[i]));
            let whole = op.clone();
            let time = first.rows;
            let op = made(move |_, out| {
                let rows = |mut shape: [usize; 3]| {
                    if shape[axis] == time {
                        shape[axis] = out;
                    }
                    shape
                };
                let mut op = whole.clone();
                if let IntOp::Add { broadcast, .. }
                | IntOp::Mul { broadcast, .. }
                | IntOp::Binary { broadcast, .. } = &mut op
                {
                    *broadcast = Broadcast::Shapes { a: rows(a_shape), b: rows(b_shape) };
                }
                op
            });
            Some(ByRows::pointwise(Layout::along(&output, axis), op))
        }
    }
}

fn concat(outer: usize, chunks: &[usize], operands: &[Operand]) -> Option<ByRows> {
    let layouts: Option<Vec<Layout>> = operands
        .iter()
        .map(|operand| match *operand {
            Operand::Rows(layout) => Some(layout),
            Operand::Fixed => None,
        })
        .collect();
    let layouts = layouts?;
    let first = *layouts.first()?;
    let time = first.rows;
    let chunks = chunks.to_vec();
    if let Some(each) = whole_parts(outer, first.outer * time) {
        // Parts of rows are joined.
        let alike = layouts.iter().all(|own| (own.outer, own.rows) == (first.outer, time));
        let inner = each * chunks.iter().sum::<usize>();
        let op = made(move |_, out| IntOp::Concat {
            outer: first.outer * out * each,
            chunks: chunks.clone(),
        });
        return alike.then(|| ByRows::pointwise(Layout { inner, ..first }, op));
    }
    // Whole blocks of rows are joined.
    let alike = layouts
        .iter()
        .all(|own| (own.rows, own.inner) == (time, first.inner) && own.outer.is_multiple_of(outer));
    let all = layouts.iter().map(|own| own.outer).sum();
    let op = made(move |_, out| IntOp::Concat {
        outer,
        chunks: chunks.iter().map(|chunk| chunk / time * out).collect(),
    });
    alike.then(|| ByRows::pointwise(Layout { outer: all, ..first }, op))
}

/// Padding in time shifts rows; other padding is that of each row.
fn pad(
    input: [usize; 3],
    [before, after]: [[usize; 3]; 2],
    value: i32,
    layout: Layout,
) -> Option<ByRows> {
    let axis = layout.axis(&input)?;
    let extents = [0, 1, 2].map(|i| before[i] + input[i] + after[i]);
    let output = Layout::along(&extents, axis);
    let shift = before[axis] as isize;
    let (mut before, mut after) = (before, after);
    (before[axis], after[axis]) = (0, 0);
    let op = match (before, after) {
        ([0, 0, 0], [0, 0, 0]) => Rewritten::Gone,
        _ => made(move |rows, _| {
            let mut extents = input;
            extents[axis] = rows;
            IntOp::Pad { input: extents, before, after, value }
        }),
    };
    let own = ByRows::pointwise(output, op);
    Some(ByRows { pad: shift, padding: Some(value), moves: true, ..own })
}
