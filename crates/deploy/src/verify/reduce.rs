//! Invariants of reductions and selections.

use burn_ptq_kernels::multiplier::{MAX_EXPONENT, Multiplier};
use burn_ptq_kernels::params::{Reduction, Selection};

use super::checks::{magnitude, verify_length, verify_same_grid, verify_scaled};
use super::violation::{Violation, ensure};
use super::weighted::verify_sums;
use crate::program::{IntNode, IntTensor};

/// Rows of which places are told are at most as long as 16 bits can count.
pub(super) const MAX_INDEXED: usize = 1 << 15;

/// Sums of squares stay below this, so that their roots with 8 fraction bits have 30 bits.
const MAX_SQUARES: i64 = 1 << 44;

/// Checks a reduction of `[outer, reduced, inner]` elements to `[outer, inner]`.
pub(super) fn verify_reduce(
    node: &IntNode,
    reduction: Reduction,
    [outer, reduced, inner]: [usize; 3],
    input: &IntTensor,
    multiplier: Multiplier,
    output: &IntTensor,
) -> Result<(), Violation> {
    verify_length(node, "input", input, &[outer, reduced, inner])?;
    verify_length(node, "output", output, &[outer, inner])?;
    let (count, largest) = (reduced as i64, magnitude(input));
    let fits = |sum: i64| {
        ensure(
            sum <= i64::from(i32::MAX),
            node,
            "sums of 32 bits",
            format_args!("values of up to {sum}"),
        )?;
        verify_scaled(node, multiplier, sum, output)
    };
    // The count of a mean leaves its multiplier a bit less than others have.
    let Multiplier { quantized, exponent } = multiplier;
    let exponents = (-31..=MAX_EXPONENT).contains(&exponent);
    ensure(
        (quantized >= 1 << 29 && exponents) || (quantized >= 0 && exponent == 0),
        node,
        format_args!("multipliers of 2^29 to 2^31 - 1 with exponents of -31 to {MAX_EXPONENT}"),
        format_args!("{quantized} with exponent {exponent}"),
    )?;
    match reduction {
        Reduction::Max | Reduction::Min => fits(largest),
        Reduction::Sum | Reduction::SumOfMagnitudes => fits(count * largest),
        Reduction::SumOfSquares => {
            verify_sums(node, count * largest * largest, multiplier, input.dtype, output)
        }
        Reduction::RootOfSquares => {
            let squares = count * largest * largest;
            ensure(
                squares <= MAX_SQUARES,
                node,
                format_args!("sums of squares of at most {MAX_SQUARES}"),
                format_args!("values of up to {squares}"),
            )?;
            fits(((squares as f64).sqrt() as i64 + 1) << 8)
        }
    }
}

/// Checks a selection of `k` of the `depth` elements of each of `rows` rows.
pub(super) fn verify_top_k(
    node: &IntNode,
    selection: Selection,
    [rows, depth, k]: [usize; 3],
    input: &IntTensor,
    output: &IntTensor,
) -> Result<(), Violation> {
    verify_length(node, "input", input, &[rows, depth])?;
    verify_length(node, "output", output, &[rows, k])?;
    let most = MAX_INDEXED.min(depth);
    ensure(
        k <= most && depth <= MAX_INDEXED,
        node,
        format_args!("at most {most} elements of rows of at most {MAX_INDEXED}"),
        format_args!("{k} of {depth}"),
    )?;
    if !selection.indices {
        return verify_same_grid(node, input, output);
    }
    let grid = output.grid;
    ensure(
        grid.scale == 1.0 && grid.max == i32::from(i16::MAX),
        node,
        "places on a grid of scale 1 that holds them all",
        format_args!("{grid:?}"),
    )
}
