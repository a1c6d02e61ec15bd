//! Which sums fast kernels take; `bptq_sum.h` and `bptq_sum_s16.c` of the C runtime say how they compute them.

use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::{AddParams, Clamp};

use super::spans::FULL_WIDE;
use crate::op::Broadcast;

/// The largest right shift of the input that is rescaled: its offset holds the other one's zero point, too.
const MAX_INPUT_SHIFT: i32 = 3;

/// The largest right shift of a sum: the offset of a larger one leaves 32 bits.
const MAX_SHIFT: i32 = 23;

/// How sums of 16-bit inputs run that fast kernels take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WideSum {
    /// One input is only shifted, or both.
    Plain,
    /// Inputs and output have one scale: elements are added as they are.
    Same,
}

/// The largest right shift of sums of 16-bit inputs, and of the one that is rescaled: the half of a rounding at a larger
/// one leaves no room.
const MAX_WIDE_SHIFT: i32 = 30;

/// How a sum of two 16-bit activations runs on the kernels that every target has, or a difference if not `is_sum`;
/// `None` on those that take any.
pub fn wide_sum(
    params: &AddParams,
    broadcast: Broadcast,
    clamp: Clamp,
    is_sum: bool,
) -> Option<WideSum> {
    let AddParams { left_shift, a, b, output } = *params;
    // The left shift of 16-bit inputs.
    if left_shift != 15 || broadcast != Broadcast::None || clamp != FULL_WIDE {
        return None;
    }
    let plain = Multiplier { quantized: 1 << 30, exponent: 0 };
    let back = Multiplier { quantized: 1 << 30, exponent: -13 };
    if is_sum && [a, b, output] == [plain, plain, back] {
        return Some(WideSum::Same);
    }
    let shifts =
        |factor: Multiplier, least: i32| (least..=MAX_WIDE_SHIFT).contains(&-factor.exponent);
    // Without a shift, it is plain, too: another one would round otherwise.
    let rescaled = |factor: Multiplier| factor == plain || shifts(factor, 1);
    let fits = (a == plain && rescaled(b)) || (b == plain && rescaled(a));
    (fits && shifts(output, 1)).then_some(WideSum::Plain)
}

/// Whether one input is only shifted, and the other one and the sum are made smaller by shifts that fit.
pub(super) fn one_is_plain(params: &AddParams) -> bool {
    let plain = Multiplier { quantized: 1 << 30, exponent: 0 };
    let few = |factor: Multiplier| (-MAX_INPUT_SHIFT..=-1).contains(&factor.exponent);
    let AddParams { left_shift, a, b, output } = *params;
    left_shift == 20
        && ((a == plain && few(b)) || (b == plain && few(a)))
        && (-MAX_SHIFT..=-1).contains(&output.exponent)
}
