/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* What these kernels share: copies, sums and single outputs. */
#ifndef BPTQ_QUAD_MATH_H
#define BPTQ_QUAD_MATH_H

#include <stddef.h>

#include "bptq_math.h"
#include "bptq_quad.h"

#if defined(__ARM_FEATURE_MVE) && __ARM_FEATURE_MVE
#define BPTQ_QUAD_VECTORS 1
#include <arm_mve.h>
#else
#define BPTQ_QUAD_VECTORS 0
#include <string.h>
#endif

#define BPTQ_INLINE static inline __attribute__((__always_inline__))

/* A function that is all assembly, with its arguments in registers 0 and 1. No compiler may look
 * into it to pass them otherwise. */
#if defined(__clang__)
#define BPTQ_NAKED __attribute__((__naked__, __noinline__))
#else
#define BPTQ_NAKED __attribute__((__naked__, __noipa__))
#endif
#define BPTQ_UNUSED __attribute__((__unused__))

/* Elements of a filter that are padded to are a multiple of this. */
#define BPTQ_QUAD_UNIT 16

BPTQ_INLINE int32_t bptq_quad_padded(int32_t length)
{
    return (length + BPTQ_QUAD_UNIT - 1) / BPTQ_QUAD_UNIT * BPTQ_QUAD_UNIT;
}

/* Words of constants of four channels with filters of `length` padded weights. */
BPTQ_INLINE int32_t bptq_quad_words(int32_t bits, int32_t length)
{
    return 12 + length * bits / 8;
}

#if BPTQ_QUAD_VECTORS

/* Copies `count` bytes; the last vector is predicated by what is left. */
BPTQ_INLINE void bptq_quad_copy(const int8_t *from, int32_t count, int8_t *to)
{
    __asm__ volatile("wlstp.8 lr, %2, 2f\n"
                     "1: vldrb.8 q0, [%0], #16\n"
                     "vstrb.8 q0, [%1], #16\n"
                     "letp lr, 1b\n"
                     "2:\n"
                     : "+r"(from), "+r"(to)
                     : "r"(count)
                     : "q0", "lr", "memory");
}

/* Writes `count` times `value`. */
BPTQ_INLINE void bptq_quad_fill(int32_t value, int32_t count, int8_t *to)
{
    __asm__ volatile("vdup.8 q0, %1\n"
                     "wlstp.8 lr, %2, 2f\n"
                     "1: vstrb.8 q0, [%0], #16\n"
                     "letp lr, 1b\n"
                     "2:\n"
                     : "+r"(to)
                     : "r"(value), "r"(count)
                     : "q0", "lr", "memory");
}

/* The sum of a multiple of 16 elements. */
BPTQ_INLINE int32_t bptq_quad_total(const int8_t *x, int32_t length)
{
    int32_t sum = 0;
    for (int32_t units = length / BPTQ_QUAD_UNIT; units > 0; units--) {
        sum = vaddvaq_s8(sum, vld1q_s8(x));
        x += BPTQ_QUAD_UNIT;
    }
    return sum;
}

#else

BPTQ_INLINE void bptq_quad_copy(const int8_t *from, int32_t count, int8_t *to)
{
    memcpy(to, from, (size_t)count);
}

BPTQ_INLINE void bptq_quad_fill(int32_t value, int32_t count, int8_t *to)
{
    memset(to, value, (size_t)count);
}

BPTQ_INLINE int32_t bptq_quad_total(const int8_t *x, int32_t length)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < length; i++) {
        sum += x[i];
    }
    return sum;
}

/* An output as vectors make it: the negative shift rounds half up. */
BPTQ_INLINE int8_t bptq_quad_output(int32_t relu, int32_t sum, int32_t quantized, int32_t shift,
                                    int32_t zero_point)
{
    const bptq_clamp clamp = {-128, 127};
    int32_t high = bptq_high_product(sum, quantized);
    high += relu ? 0 : bptq_shift_right(high, 31);
    if (shift < 0) {
        high = bptq_shift_right(bptq_shift_right(high, ~shift) + 1, 1);
    }
    return (int8_t)bptq_clamped(bptq_add_wrapping(high, zero_point), clamp);
}

#endif

#endif /* BPTQ_QUAD_MATH_H */
