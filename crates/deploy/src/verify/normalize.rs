//! Invariants of normalizations.

use burn_ptq_kernels::geometry::NormalizeGeometry;
use burn_ptq_kernels::params::NormalizeParams;
use burn_ptq_kernels::reference::SHIFT_BITS;

use super::checks::{magnitude, verify_length, verify_multiplier};
use super::matmul::writes_each_once;
use super::violation::{Violation, ensure};
use crate::op::NormalizeAffine;
use crate::program::{IntNode, IntTensor};

/// Bits of a quotient of deviation and root, rescaled, before scales and shifts.
const RESULT_BITS: i32 = 26;
/// Fraction bits that products of results and scales may have.
const FRACTIONS: std::ops::RangeInclusive<u32> = SHIFT_BITS..=24;

/// Checks groups, sums and rescaling of a normalization.
pub(super) fn verify_normalize(
    node: &IntNode,
    geometry: &NormalizeGeometry,
    params: &NormalizeParams,
    affine: Option<&NormalizeAffine>,
    input: &IntTensor,
    output: &IntTensor,
) -> Result<(), Violation> {
    let g = geometry;
    let extents = [g.groups, g.outer, g.inner];
    verify_length(node, "input", input, &extents)?;
    verify_length(node, "output", output, &extents)?;
    ensure(
        writes_each_once(extents, g.steps),
        node,
        "steps that reach every element once",
        format_args!("{extents:?} elements in steps of {:?}", g.steps),
    )?;
    let elements = g.elements() as i64;
    let largest = magnitude(input);
    ensure(
        elements * 2 * largest <= 1 << 30,
        node,
        "groups whose sums fit 30 bits",
        format_args!("{elements} elements of up to {largest}"),
    )?;
    let squares = elements * largest * largest;
    let variation = if params.center { elements * squares } else { squares };
    let widened = u128::from(variation.unsigned_abs()) << params.fraction.min(64);
    ensure(
        params.fraction.is_multiple_of(2)
            && params.fraction <= NormalizeParams::MAX_FRACTION
            && widened + u128::from(params.epsilon) <= 1 << NormalizeParams::VARIATION_BITS,
        node,
        format_args!("variations of {} bits", NormalizeParams::VARIATION_BITS),
        format_args!(
            "values of up to {variation} with {} fraction bits, and {}",
            params.fraction, params.epsilon
        ),
    )?;
    verify_multiplier(node, params.multiplier)?;
    ensure(
        params.multiplier.quantized >= 1 << 30,
        node,
        "a normalized multiplier",
        format_args!("{}", params.multiplier.quantized),
    )?;
    // A deviation is at most as many roots of the variation as the root of the number of elements.
    let roots =
        if params.center { (usize::BITS - g.elements().leading_zeros()).div_ceil(2) } else { 0 };
    let bits = params.multiplier.exponent - (params.fraction / 2) as i32 + roots as i32 + 1;
    ensure(
        bits <= RESULT_BITS,
        node,
        format_args!("quotients of {RESULT_BITS} bits"),
        format_args!("{bits}"),
    )?;
    let Some(affine) = affine else { return Ok(()) };
    ensure(
        FRACTIONS.contains(&affine.fraction),
        node,
        format_args!("scales with {FRACTIONS:?} fraction bits"),
        format_args!("{}", affine.fraction),
    )?;
    let last: usize = extents
        .into_iter()
        .zip(g.parameters)
        .fold(0, |last, (extent, step)| last.saturating_add((extent - 1).saturating_mul(step)));
    for (what, len) in [("scales", affine.scales.len()), ("shifts", affine.shifts.len())] {
        ensure(
            last < len && len <= input.len(),
            node,
            format_args!("more than {last} {what}, and no more than elements"),
            format_args!("{len}"),
        )?;
    }
    Ok(())
}
