//! Invariants of products of two activations.

use burn_ptq_kernels::geometry::MatMulGeometry;
use burn_ptq_kernels::multiplier::Multiplier;

use super::checks::{magnitude, verify_length};
use super::violation::{Violation, ensure};
use super::weighted::verify_sums;
use crate::program::{IntNode, IntTensor};

/// Checks extents, strides and sums of a product of two activations.
pub(super) fn verify_matmul(
    node: &IntNode,
    geometry: &MatMulGeometry,
    inputs: [&IntTensor; 2],
    multiplier: Multiplier,
    output: &IntTensor,
) -> Result<(), Violation> {
    let g = geometry;
    verify_length(node, "output", output, &[g.batch, g.rows, g.columns])?;
    let largest = inputs[0].len().max(inputs[1].len());
    ensure(
        (1..=largest).contains(&g.inner),
        node,
        format_args!("1 to {largest} products in a sum"),
        format_args!("{}", g.inner),
    )?;
    let places = [
        ("first input", inputs[0].len(), [g.batch, g.rows, g.inner], g.a),
        ("second input", inputs[1].len(), [g.batch, g.inner, g.columns], g.b),
        ("output", output.len(), [g.batch, g.rows, g.columns], g.output),
    ];
    for (role, len, extents, strides) in places {
        let mut last = 0_usize;
        for (extent, stride) in extents.into_iter().zip(strides) {
            last = last.saturating_add((extent - 1).saturating_mul(stride));
        }
        ensure(
            last < len,
            node,
            format_args!("strides that stay inside the {len} elements of its {role}"),
            format_args!("{extents:?} elements in steps of {strides:?}"),
        )?;
    }
    ensure(
        writes_each_once([g.batch, g.rows, g.columns], g.output),
        node,
        "strides that reach every element of its output once",
        format_args!("{:?} elements in steps of {:?}", [g.batch, g.rows, g.columns], g.output),
    )?;
    let sum = (g.inner as i64).checked_mul(magnitude(inputs[0]) * magnitude(inputs[1]));
    verify_sums(node, sum.unwrap_or(i64::MAX), multiplier, inputs[0].dtype, output)
}

/// Whether the axes lie in each other without gaps: sorted by step, each steps over all before it.
pub(super) fn writes_each_once(extents: [usize; 3], strides: [usize; 3]) -> bool {
    let mut axes: Vec<(usize, usize)> =
        strides.into_iter().zip(extents).filter(|&(_, extent)| extent > 1).collect();
    axes.sort_unstable();
    let mut covered = 1;
    axes.into_iter().all(|(stride, extent)| {
        let fits = stride == covered;
        covered *= extent;
        fits
    })
}
