/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Dot products of inputs with filters. */
#ifndef BPTQ_MVE_DOT_H
#define BPTQ_MVE_DOT_H

#include "bptq_mve_math.h"

/* Filters a and b, `length` weights each, over the inputs x0 and x1: sums a0, b0, a1, b1. */
BPTQ_INLINE void bptq_mve_dot(int32_t bits, const int8_t *a, const int8_t *b, const int8_t *x0,
                              const int8_t *x1, int32_t length, int32_t *sums0, int32_t *sums1)
{
    int32_t a0 = 0;
    int32_t b0 = 0;
    int32_t a1 = 0;
    int32_t b1 = 0;
    for (int32_t units = length / BPTQ_MVE_UNIT(bits); units > 0; units--) {
        const int8x16_t unit_a = vld1q_s8(a);
        const int8x16_t unit_b = vld1q_s8(b);
        for (int32_t i = 0; i < 8 / bits; i++) {
            const int8x16_t wa = bptq_mve_weights(unit_a, bits, i);
            const int8x16_t wb = bptq_mve_weights(unit_b, bits, i);
            const int8x16_t p = vld1q_s8(x0 + 16 * i);
            const int8x16_t q = vld1q_s8(x1 + 16 * i);
            a0 = vmladavaq_s8(a0, p, wa);
            b0 = vmladavaq_s8(b0, p, wb);
            a1 = vmladavaq_s8(a1, q, wa);
            b1 = vmladavaq_s8(b1, q, wb);
        }
        a += 16;
        b += 16;
        x0 += BPTQ_MVE_UNIT(bits);
        x1 += BPTQ_MVE_UNIT(bits);
    }
    sums0[0] = a0;
    sums0[1] = b0;
    sums1[0] = a1;
    sums1[1] = b1;
}

/* Four filters, `step` bytes apart, over the input x. */
BPTQ_INLINE void bptq_mve_dot_wide(int32_t bits, const int8_t *const filters[4], const int8_t *x,
                                   int32_t length, int32_t sums[4])
{
    const int8_t *a = filters[0];
    const int8_t *b = filters[1];
    const int8_t *c = filters[2];
    const int8_t *d = filters[3];
    int32_t sum_a = 0;
    int32_t sum_b = 0;
    int32_t sum_c = 0;
    int32_t sum_d = 0;
    for (int32_t units = length / BPTQ_MVE_UNIT(bits); units > 0; units--) {
        const int8x16_t unit_a = vld1q_s8(a);
        const int8x16_t unit_b = vld1q_s8(b);
        const int8x16_t unit_c = vld1q_s8(c);
        const int8x16_t unit_d = vld1q_s8(d);
        for (int32_t i = 0; i < 8 / bits; i++) {
            const int8x16_t p = vld1q_s8(x + 16 * i);
            sum_a = vmladavaq_s8(sum_a, p, bptq_mve_weights(unit_a, bits, i));
            sum_b = vmladavaq_s8(sum_b, p, bptq_mve_weights(unit_b, bits, i));
            sum_c = vmladavaq_s8(sum_c, p, bptq_mve_weights(unit_c, bits, i));
            sum_d = vmladavaq_s8(sum_d, p, bptq_mve_weights(unit_d, bits, i));
        }
        a += 16;
        b += 16;
        c += 16;
        d += 16;
        x += BPTQ_MVE_UNIT(bits);
    }
    sums[0] = sum_a;
    sums[1] = sum_b;
    sums[2] = sum_c;
    sums[3] = sum_d;
}

#endif /* BPTQ_MVE_DOT_H */
