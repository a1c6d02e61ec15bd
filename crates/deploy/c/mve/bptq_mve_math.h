/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Vectors of weights and inputs, and outputs from accumulators. */
#ifndef BPTQ_MVE_MATH_H
#define BPTQ_MVE_MATH_H

#include <arm_mve.h>

#include "bptq_mve.h"

#if defined(__GNUC__) && !defined(__clang__)
/* Loops over a handful of taps are slower as vectors. */
#pragma GCC optimize("no-tree-vectorize")
#endif

#define BPTQ_INLINE static inline __attribute__((__always_inline__))

/* Channels whose sums are kept before they become outputs. */
#define BPTQ_MVE_CHANNELS 64

/* Weights of one filter in a unit of 16 bytes. */
#define BPTQ_MVE_UNIT(bits) (128 / (bits))

/* Weights `index` * 16 to `index` * 16 + 15 of a unit. */
BPTQ_INLINE int8x16_t bptq_mve_weights(int8x16_t unit, int32_t bits, int32_t index)
{
    if (bits == 8) {
        return unit;
    }
    if (bits == 4) {
        return index == 0 ? vshrq_n_s8(vshlq_n_s8(unit, 4), 4) : vshrq_n_s8(unit, 4);
    }
    switch (index) {
    case 0:
        return vshrq_n_s8(vshlq_n_s8(unit, 6), 6);
    case 1:
        return vshrq_n_s8(vshlq_n_s8(unit, 4), 6);
    case 2:
        return vshrq_n_s8(vshlq_n_s8(unit, 2), 6);
    default:
        return vshrq_n_s8(unit, 6);
    }
}

/* Copies `count` bytes; returns where they end. The predicates are made at run time: the compiler
 * may take constant ones for all lanes. */
BPTQ_INLINE int8_t *bptq_mve_copy(const int8_t *from, int32_t count, int8_t *to)
{
    for (; count >= 16; count -= 16) {
        vst1q_s8(to, vld1q_s8(from));
        from += 16;
        to += 16;
    }
    if (count > 0) {
        const mve_pred16_t lanes = vctp8q((uint32_t)count);
        vstrbq_p_s8(to, vldrbq_z_s8(from, lanes), lanes);
        to += count;
    }
    return to;
}

/* Writes `count` times `value`; returns where they end. */
BPTQ_INLINE int8_t *bptq_mve_fill(int32_t value, int32_t count, int8_t *to)
{
    int8_t *end = to + count;
    const int8x16_t values = vdupq_n_s8((int8_t)value);
    for (; count > 0; count -= 16) {
        vstrbq_p_s8(to, values, vctp8q((uint32_t)count));
        to += 16;
    }
    return end;
}

/* bptq_rescale of four numbers. */
BPTQ_INLINE int32x4_t bptq_mve_rescaled(int32x4_t x, int32x4_t quantized, int32x4_t exponent)
{
    const int32x4_t zero = vdupq_n_s32(0);
    const int32x4_t left = vmaxq_s32(exponent, zero);
    const int32x4_t right = vminq_s32(exponent, zero);
    const int32x4_t high = vqrdmulhq_s32(vshlq_s32(x, left), quantized);
    /* The shift rounds half up: a negative number is moved down before it, if it is shifted. */
    const int32x4_t down = vshrq_n_s32(vandq_s32(high, right), 31);
    return vrshlq_s32(vqaddq_s32(high, down), right);
}

/* bptq_finish_s8 of the channels `first` to `first + count - 1` from their sums of products. */
void bptq_mve_finish(const bptq_weighted *weighted, int32_t first, int32_t count,
                     const int32_t *sums, int8_t *output);

/* The same in 16 bits, at the zero point 0. */
void bptq_mve_finish_s16(const bptq_weighted *weighted, int32_t first, int32_t count,
                         const int32_t *sums, int16_t *output);

#endif /* BPTQ_MVE_MATH_H */
