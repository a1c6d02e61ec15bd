/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Sum of two tensors of one shape: four elements at a time. */
#include "bptq_mve_math.h"

BPTQ_INLINE int32x4_t rescaled(int32x4_t x, bptq_multiplier multiplier)
{
    return bptq_mve_rescaled(x, vdupq_n_s32(multiplier.quantized),
                             vdupq_n_s32(multiplier.exponent));
}

void bptq_mve_add_s8(const bptq_elementwise *op, const int8_t *a, const int8_t *b, int8_t *output)
{
    /* An output might be a part of the operation, for all that the compiler knows. */
    const bptq_elementwise own = *op;
    const int32x4_t min = vdupq_n_s32(own.clamp.min);
    const int32x4_t max = vdupq_n_s32(own.clamp.max);
    for (int32_t left = own.length; left > 0; left -= 4) {
        const mve_pred16_t lanes = vctp32q((uint32_t)left);
        const int32x4_t from_a = vsubq_n_s32(vldrbq_z_s32(a, lanes), own.a_zero_point);
        const int32x4_t from_b = vsubq_n_s32(vldrbq_z_s32(b, lanes), own.b_zero_point);
        const int32x4_t sum = vaddq_s32(rescaled(vshlq_r_s32(from_a, own.left_shift), own.a),
                                        rescaled(vshlq_r_s32(from_b, own.left_shift), own.b));
        const int32x4_t y = vaddq_n_s32(rescaled(sum, own.output), own.output_zero_point);
        vstrbq_p_s32(output, vminq_s32(vmaxq_s32(y, min), max), lanes);
        a += 4;
        b += 4;
        output += 4;
    }
}

void bptq_mve_add_s16(const bptq_elementwise *op, const int16_t *a, const int16_t *b,
                      int16_t *output)
{
    /* Zero points are 0. */
    const bptq_elementwise own = *op;
    const int32x4_t min = vdupq_n_s32(own.clamp.min);
    const int32x4_t max = vdupq_n_s32(own.clamp.max);
    for (int32_t left = own.length; left > 0; left -= 4) {
        const mve_pred16_t lanes = vctp32q((uint32_t)left);
        const int32x4_t from_a = vshlq_r_s32(vldrhq_z_s32(a, lanes), own.left_shift);
        const int32x4_t from_b = vshlq_r_s32(vldrhq_z_s32(b, lanes), own.left_shift);
        const int32x4_t sum = vaddq_s32(rescaled(from_a, own.a), rescaled(from_b, own.b));
        const int32x4_t y = rescaled(sum, own.output);
        vstrhq_p_s32(output, vminq_s32(vmaxq_s32(y, min), max), lanes);
        a += 4;
        b += 4;
        output += 4;
    }
}
