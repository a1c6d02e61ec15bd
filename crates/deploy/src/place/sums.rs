//! Which sums fast kernels take; `bptq_sum.h` of the C runtime says how they compute them.

use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::AddParams;

/// The largest right shift of the input that is rescaled: its offset holds the other one's zero point, too.
const MAX_INPUT_SHIFT: i32 = 3;

/// The largest right shift of a sum: the offset of a larger one leaves 32 bits.
const MAX_SHIFT: i32 = 23;

/// Whether one input is only shifted, and the other one and the sum are made smaller by shifts that fit.
pub(super) fn one_is_plain(params: &AddParams) -> bool {
    let plain = Multiplier { quantized: 1 << 30, exponent: 0 };
    let few = |factor: Multiplier| (-MAX_INPUT_SHIFT..=-1).contains(&factor.exponent);
    let AddParams { left_shift, a, b, output } = *params;
    left_shift == 20
        && ((a == plain && few(b)) || (b == plain && few(a)))
        && (-MAX_SHIFT..=-1).contains(&output.exponent)
}
