/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Outputs from sums of products. */
#include "bptq_dsp_math.h"

/* Doubled, an accumulator's first rounding is that of the high word; the second rounding is done in
 * two shifts with the zero point in between. */
BPTQ_INLINE int32_t rescaled(int32_t x, bptq_multiplier multiplier, int32_t zero_point)
{
    /* Nearly all factors are below a half. */
    if (__builtin_expect(multiplier.exponent < 0, 1)) {
        const int32_t high = bptq_high_word((int32_t)((uint32_t)x << 1), multiplier.quantized);
        const int32_t away = high + bptq_shift_right(high, 31);
        const int32_t half = bptq_shift_right(away, ~multiplier.exponent);
        return bptq_shift_right(half + 2 * zero_point + 1, 1);
    }
    const int32_t shifted = (int32_t)((uint32_t)x << (multiplier.exponent + 1));
    return bptq_high_word(shifted, multiplier.quantized) + zero_point;
}

void bptq_dsp_finish(const bptq_weighted *weighted, int32_t first, int32_t count,
                     const int32_t *sums, int8_t *output)
{
    const int32_t step = weighted->per_channel ? 1 : 0;
    const bptq_multiplier *multiplier = weighted->multipliers + step * first;
    const int32_t *bias = weighted->bias + first;
    const int32_t zero_point = weighted->output_zero_point;
    const bptq_clamp clamp = weighted->clamp;
    const int8_t *end = output + count;
    if (step == 1 && clamp.min == -128 && clamp.max == 127) {
        do {
            const int32_t sum = bptq_add_wrapping(*sums++, *bias++);
            *output++ = (int8_t)bptq_saturated(rescaled(sum, *multiplier++, zero_point));
        } while (output != end);
        return;
    }
    do {
        const int32_t sum = bptq_add_wrapping(*sums++, *bias++);
        *output++ = (int8_t)bptq_clamped(rescaled(sum, *multiplier, zero_point), clamp);
        multiplier += step;
    } while (output != end);
}

void bptq_dsp_finish_s16(const bptq_weighted *weighted, int32_t first, int32_t count,
                         const int32_t *sums, int16_t *output)
{
    const int32_t step = weighted->per_channel ? 1 : 0;
    const bptq_multiplier *multiplier = weighted->multipliers + step * first;
    const int32_t *bias = weighted->bias + first;
    const bptq_clamp clamp = weighted->clamp;
    const int16_t *end = output + count;
    do {
        const int32_t sum = bptq_add_wrapping(*sums++, *bias++);
        *output++ = (int16_t)bptq_clamped(rescaled(sum, *multiplier, 0), clamp);
        multiplier += step;
    } while (output != end);
}
