/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Outputs from sums of products. */
#include "bptq_mve_math.h"

/* Rescaled sums of four channels. */
BPTQ_INLINE int32x4_t rescaled(const int32_t *sums, const int32_t *bias, const int32_t *multiplier)
{
    const int32x4x2_t factors = vld2q_s32(multiplier);
    const int32x4_t total = vaddq_s32(vld1q_s32(sums), vld1q_s32(bias));
    return bptq_mve_rescaled(total, factors.val[0], factors.val[1]);
}

void bptq_mve_finish(const bptq_weighted *weighted, int32_t first, int32_t count,
                     const int32_t *sums, int8_t *output)
{
    const int32_t *bias = weighted->bias + first;
    const int32_t *multiplier = &weighted->multipliers[first].quantized;
    const int32_t zero_point = weighted->output_zero_point;
    const int32x4_t min = vdupq_n_s32(weighted->clamp.min);
    const int32x4_t max = vdupq_n_s32(weighted->clamp.max);
    int32x4_t y;
    for (int32_t fours = count / 4; fours > 0; fours--) {
        y = vaddq_n_s32(rescaled(sums, bias, multiplier), zero_point);
        vstrbq_s32(output, vminq_s32(vmaxq_s32(y, min), max));
        sums += 4;
        bias += 4;
        multiplier += 8;
        output += 4;
    }
    if ((count & 3) != 0) {
        y = vaddq_n_s32(rescaled(sums, bias, multiplier), zero_point);
        vstrbq_p_s32(output, vminq_s32(vmaxq_s32(y, min), max), vctp32q((uint32_t)count & 3U));
    }
}

void bptq_mve_finish_s16(const bptq_weighted *weighted, int32_t first, int32_t count,
                         const int32_t *sums, int16_t *output)
{
    const int32_t *bias = weighted->bias + first;
    const int32_t *multiplier = &weighted->multipliers[first].quantized;
    const int32x4_t min = vdupq_n_s32(weighted->clamp.min);
    const int32x4_t max = vdupq_n_s32(weighted->clamp.max);
    for (int32_t left = count; left > 0; left -= 4) {
        const int32x4_t y = rescaled(sums, bias, multiplier);
        vstrhq_p_s32(output, vminq_s32(vmaxq_s32(y, min), max), vctp32q((uint32_t)left));
        sums += 4;
        bias += 4;
        multiplier += 8;
        output += 4;
    }
}
