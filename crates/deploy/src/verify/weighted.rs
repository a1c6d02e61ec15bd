//! Invariants of weights, multipliers and the accumulators that they lead to.

use burn_ptq_kernels::grid::weight_range;
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::packing::{packed_len, storage_bits};

use super::checks::{magnitude, verify_clamp, verify_multiplier, verify_rescaling};
use super::limits::element_count;
use super::violation::{Violation, ensure};
use crate::op::{DType, Weighted, Weights};
use crate::program::{IntNode, IntTensor};

/// Exponents of multipliers for wide accumulators lie below this, so that their shift is to the
/// right.
const WIDE_EXPONENTS: i32 = 15;

/// Checks weights of `shape`, whose output channels lie along `channel_axis` (the first or the
/// last), and the rescaling of their accumulators.
pub(super) fn verify_weighted(
    node: &IntNode,
    weighted: &Weighted,
    shape: &[usize],
    channel_axis: usize,
    input: &IntTensor,
    output: &IntTensor,
) -> Result<(), Violation> {
    let Weighted { weights, bias, multipliers, clamp } = weighted;
    let len = verify_packing(node, weights, shape)?;
    let channels = shape[channel_axis];
    ensure(
        bias.len() == channels,
        node,
        format_args!("{channels} biases, one per output channel"),
        format_args!("{}", bias.len()),
    )?;
    for (what, found) in [("multiplier", multipliers.len()), ("weight scale", weights.scales.len())]
    {
        ensure(
            found == channels || found == 1,
            node,
            format_args!("one {what} for all or for each of {channels} output channels"),
            format_args!("{found}"),
        )?;
    }
    for &scale in &weights.scales {
        ensure(
            scale.is_finite() && scale > 0.0,
            node,
            "positive finite weight scales",
            format_args!("{scale}"),
        )?;
    }
    for &multiplier in multipliers {
        verify_multiplier(node, multiplier)?;
    }
    let (lowest, highest) = weight_range(weights.bits);
    let packed = weights.packed();
    let taps = len / channels;
    for (channel, &bias) in bias.iter().enumerate() {
        let mut magnitudes = 0_i64;
        for tap in 0..taps {
            let channels_first = channel_axis == 0;
            let index =
                if channels_first { channel * taps + tap } else { tap * channels + channel };
            let weight = packed.get(index);
            ensure(
                lowest <= weight && weight <= highest,
                node,
                format_args!("weights of {lowest} to {highest} ({} bits)", weights.bits),
                format_args!("{weight} at {index}"),
            )?;
            magnitudes += i64::from(weight.abs());
        }
        // Below 2^15 * 2^7 * 2^32, the weights' number being bounded by that of their bytes.
        let accumulator = i64::from(bias).abs() + magnitude(input) * magnitudes;
        let multiplier = multipliers[if multipliers.len() == 1 { 0 } else { channel }];
        verify_accumulator(node, channel, accumulator, multiplier, input.dtype, output)?;
    }
    verify_clamp(node, *clamp, output)
}

/// Checks bits, shape and length; returns the number of weights.
fn verify_packing(node: &IntNode, weights: &Weights, shape: &[usize]) -> Result<usize, Violation> {
    ensure(
        weights.shape == shape,
        node,
        format_args!("weights of shape {shape:?}"),
        format_args!("{:?}", weights.shape),
    )?;
    ensure(
        (2..=8).contains(&weights.bits) && weights.storage == storage_bits(weights.bits),
        node,
        "weights of 2 to 8 bits in the 2, 3, 4 or 8 bits that store them",
        format_args!("{} bits in {}", weights.bits, weights.storage),
    )?;
    let len = element_count(shape);
    let bytes = len.map(|len| packed_len(len, weights.storage));
    ensure(
        bytes == Some(weights.data.len()),
        node,
        format_args!("packed weights of shape {shape:?} at {} bits", weights.storage),
        format_args!("{} bytes", weights.data.len()),
    )?;
    Ok(len.unwrap_or(0))
}

fn verify_accumulator(
    node: &IntNode,
    channel: usize,
    accumulator: i64,
    multiplier: Multiplier,
    dtype: DType,
    output: &IntTensor,
) -> Result<(), Violation> {
    verify_sums_in(
        node,
        format_args!(" in output channel {channel}"),
        accumulator,
        multiplier,
        dtype,
        output,
    )
}

/// Checks that sums of magnitudes up to `accumulator` fit their type, also rescaled.
pub(super) fn verify_sums(
    node: &IntNode,
    accumulator: i64,
    multiplier: Multiplier,
    dtype: DType,
    output: &IntTensor,
) -> Result<(), Violation> {
    verify_multiplier(node, multiplier)?;
    verify_sums_in(node, format_args!(""), accumulator, multiplier, dtype, output)
}

fn verify_sums_in(
    node: &IntNode,
    place: std::fmt::Arguments,
    accumulator: i64,
    multiplier: Multiplier,
    dtype: DType,
    output: &IntTensor,
) -> Result<(), Violation> {
    match dtype {
        DType::I8 | DType::I4 => {
            ensure(
                accumulator <= i64::from(i32::MAX),
                node,
                format_args!("accumulators of 32 bits{place}"),
                format_args!("values of up to {accumulator}"),
            )?;
            verify_rescaling(node, multiplier, accumulator, output)
        }
        DType::I16 => {
            ensure(
                multiplier.exponent < WIDE_EXPONENTS,
                node,
                format_args!("multiplier exponents below {WIDE_EXPONENTS} in 16 bits"),
                format_args!("{}", multiplier.exponent),
            )?;
            let separator = if place.as_str() == Some("") { "" } else { "," };
            ensure(
                fits_after_wide_rescaling(multiplier, accumulator),
                node,
                format_args!("accumulators that fit 32 bits rescaled{separator}{place}"),
                format_args!("values of up to {accumulator}, exponent {}", multiplier.exponent),
            )
        }
    }
}

/// Whether [`Multiplier::apply_wide`] neither wraps nor truncates on values of at most `bound`.
fn fits_after_wide_rescaling(multiplier: Multiplier, bound: i64) -> bool {
    let shift = 15 - multiplier.exponent;
    // The significand has at most 15 bits there, and rounding adds half a unit of the shift.
    bound
        .checked_mul(1 << 15)
        .and_then(|product| product.checked_add(1 << (shift - 1)))
        .is_some_and(|rounded| rounded >> shift < i64::from(i32::MAX))
}
