//! Work of operations without weights.

use burn_ptq_kernels::geometry::{MatMulGeometry, NormalizeGeometry, PoolGeometry};
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::{AddParams, NormalizeParams, Strides};

use super::counts::{Work, numbers};
use super::portable::shifts;
use super::taps::Reach;
use crate::op::BinaryFunction;

/// The multipliers of every element of a sum.
pub(super) fn of_sum(params: &AddParams) -> Vec<Multiplier> {
    vec![params.a, params.b, params.output]
}

/// The multipliers of every element of a function of two values.
pub(super) fn of_function(function: &BinaryFunction) -> Vec<Multiplier> {
    match function {
        BinaryFunction::Sub(params) => of_sum(params),
        // Each is that of a part of the elements; quotients shift otherwise.
        BinaryFunction::Prelu(params) => vec![params.positive, params.negative],
        BinaryFunction::Div(_) | BinaryFunction::Minimum | BinaryFunction::Maximum => Vec::new(),
    }
}

/// Elements one by one, rescaled by each of `multipliers`; the second input begins again every `period` of
/// them.
pub(super) fn elements(length: usize, period: usize, multipliers: &[Multiplier]) -> Work {
    let [right, left] = shifts(multipliers, multipliers.len());
    let repeats = if period < length { length / period.max(1) } else { 0 };
    numbers(&[1, length, length % 4, repeats, length * right, length * left])
}

/// Sums of 16-bit elements, of which one is rescaled or none.
pub(super) fn wide_sum(params: &AddParams, length: usize) -> Work {
    let rescaled = if params.a == params.b { 0 } else { length };
    numbers(&[1, length, length % 4, rescaled])
}

/// Elements of two inputs that meet anyhow.
pub(super) fn strided(strides: &Strides, multipliers: &[Multiplier]) -> Work {
    let [outer, rows, columns] = strides.extents;
    let length = outer * rows * columns;
    let [right, left] = shifts(multipliers, multipliers.len());
    numbers(&[1, outer, outer * rows, length, length * right, length * left])
}

/// Pools of the portable kernels: means of 8 bits take four channels at a time.
pub(super) fn pool(geometry: &PoolGeometry, by_fours: bool) -> Work {
    let g = geometry;
    let reach = Reach::new(&g.window, g.input, g.output);
    let [height, width] = g.output;
    let pixels = height * width;
    let [fours, ones] = if by_fours { [g.channels / 4, g.channels % 4] } else { [0, g.channels] };
    numbers(&[
        1,
        height,
        pixels,
        reach.clipped,
        pixels * fours,
        reach.axes[0].sum() * width * fours,
        reach.pixels * fours,
        pixels * ones,
        reach.axes[0].sum() * width * ones,
        reach.pixels * ones,
    ])
}

/// Means of Helium's kernels.
pub(super) fn mve_pool(geometry: &PoolGeometry) -> Work {
    let g = geometry;
    let reach = Reach::new(&g.window, g.input, g.output);
    let [height, width] = g.output;
    let pixels = height * width;
    numbers(&[
        1,
        height,
        pixels,
        pixels * g.channels,
        pixels * g.channels.div_ceil(16),
        reach.pixels,
        reach.pixels * g.channels,
        reach.pixels * g.channels.div_ceil(16),
        reach.rows,
        reach.edges,
    ])
}

pub(super) fn transpose(input: [usize; 3], axes: [usize; 3]) -> Work {
    let [outer, rows, columns] = axes.map(|axis| input.get(axis).copied().unwrap_or(1));
    numbers(&[1, outer, outer * rows, outer * rows * columns])
}

pub(super) fn batch_matmul(geometry: &MatMulGeometry, multiplier: Multiplier) -> Work {
    let g = geometry;
    let rows = g.batch * g.rows;
    let sums = rows * g.columns;
    let [right, left] = shifts(&[multiplier], sums);
    numbers(&[1, g.batch, rows, sums, sums * g.inner, right, left])
}

pub(super) fn reduce([outer, reduced, inner]: [usize; 3], multiplier: Multiplier) -> Work {
    let sums = outer * inner;
    let [right, left] = shifts(&[multiplier], sums);
    numbers(&[1, outer, sums, sums * reduced, right, left])
}

pub(super) fn normalize(geometry: &NormalizeGeometry, params: &NormalizeParams) -> Work {
    let g = geometry;
    let elements = g.elements();
    // The root is found from the bits of the variation, which kernels shift away two by two.
    let bits = elements.max(1).ilog2() as usize * if params.center { 2 } else { 1 };
    numbers(&[
        1,
        g.groups,
        g.groups * (bits + params.fraction as usize),
        g.groups * g.outer,
        g.groups * elements,
    ])
}

pub(super) fn top_k(rows: usize, depth: usize, k: usize) -> Work {
    // Elements that were found before are passed by in fewer instructions; each of the others may be the best
    // so far, as about the logarithm of them are.
    let more = k.saturating_sub(1);
    numbers(&[
        1,
        rows,
        rows * k,
        rows * depth,
        rows * more * depth,
        rows * k * more / 2,
        rows * k * depth.max(1).ilog2() as usize,
    ])
}

pub(super) fn resize([rows, columns, channels]: [usize; 3]) -> Work {
    numbers(&[1, rows, rows * columns, rows * columns * channels])
}
