/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Element-wise sum, 8-bit activations. */
#include "bptq_scalar_math.h"
#include "bptq_sum.h"

void bptq_scalar_add_s8(const bptq_elementwise *op, const int8_t *a, const int8_t *b, int8_t *output)
{
    const bptq_sum by = bptq_sum_of(op);
    const int32_t plain_a = bptq_sum_plain_a(op);
    const int8_t *x = plain_a ? b : a;
    const int8_t *plain = plain_a ? a : b;
    const bptq_scalar_factor factor = {by.output_quantized, bptq_wrap(by.output_offset),
                                       by.output_shift};
    for (int32_t i = 0; i < op->length; i++) {
        const int32_t doubled = bptq_wrap(((uint32_t)(int32_t)x[i] << 21) - by.zero_point);
        const uint32_t offset = by.offset + (uint32_t)bptq_shift_right(doubled, 31);
        const int32_t high = bptq_scalar_high(doubled, by.quantized, bptq_wrap(offset));
        const uint32_t sum = (uint32_t)bptq_shift_right(high, by.shift)
                             + ((uint32_t)(int32_t)plain[i] << 19);
        output[i] = bptq_scalar_output(bptq_wrap(sum), factor);
    }
}
