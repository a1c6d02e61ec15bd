/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Instructions of the DSP extension, and outputs from accumulators. */
#ifndef BPTQ_DSP_MATH_H
#define BPTQ_DSP_MATH_H

#include <string.h>

#include "bptq_dsp.h"
#include "bptq_math.h"

/* A pair of 16-bit elements; scratch is written as elements and read as pairs. */
typedef uint32_t __attribute__((__may_alias__)) bptq_pair;

#define BPTQ_INLINE static inline __attribute__((__always_inline__))

BPTQ_INLINE uint32_t bptq_load(const void *from)
{
    uint32_t word;
    memcpy(&word, from, sizeof word);
    return word;
}

BPTQ_INLINE uint32_t bptq_rotated(uint32_t x, uint32_t amount)
{
    return (x >> amount) | (x << (32U - amount));
}

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

/* sum + low(a) * low(b) + high(a) * high(b) */
BPTQ_INLINE int32_t bptq_smlad(uint32_t a, uint32_t b, int32_t sum)
{
    __asm__("smlad %0, %1, %2, %3" : "=r"(sum) : "r"(a), "r"(b), "r"(sum));
    return sum;
}

/* Bytes 0 and 2 as a pair. */
BPTQ_INLINE uint32_t bptq_even_bytes(uint32_t x)
{
    __asm__("sxtb16 %0, %1" : "=r"(x) : "r"(x));
    return x;
}

/* Bytes 1 and 3 as a pair. */
BPTQ_INLINE uint32_t bptq_odd_bytes(uint32_t x)
{
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(x) : "r"(x));
    return x;
}

BPTQ_INLINE uint32_t bptq_add_even_bytes(uint32_t pair, uint32_t x)
{
    __asm__("sxtab16 %0, %1, %2" : "=r"(x) : "r"(pair), "r"(x));
    return x;
}

BPTQ_INLINE uint32_t bptq_add_odd_bytes(uint32_t pair, uint32_t x)
{
    __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(x) : "r"(pair), "r"(x));
    return x;
}

/* The low half of a, and above it the low half of b. */
BPTQ_INLINE uint32_t bptq_low_halves(uint32_t a, uint32_t b)
{
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(a) : "r"(a), "r"(b));
    return a;
}

/* The high half of a, and above it the high half of b. */
BPTQ_INLINE uint32_t bptq_high_halves(uint32_t a, uint32_t b)
{
    __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(a) : "r"(b), "r"(a));
    return a;
}

/* a * b / 2^32, rounded half up. */
BPTQ_INLINE int32_t bptq_high_word(int32_t a, int32_t b)
{
    __asm__("smmulr %0, %1, %2" : "=r"(a) : "r"(a), "r"(b));
    return a;
}

/* x within 8 bits. */
BPTQ_INLINE int32_t bptq_saturated(int32_t x)
{
    __asm__("ssat %0, #8, %1" : "=r"(x) : "r"(x));
    return x;
}

#else

BPTQ_INLINE int32_t bptq_half(uint32_t x)
{
    return (int32_t)(x & 0xFFFFU) - (int32_t)((x & 0x8000U) << 1);
}

BPTQ_INLINE int32_t bptq_smlad(uint32_t a, uint32_t b, int32_t sum)
{
    const int32_t low = bptq_half(a) * bptq_half(b);
    return bptq_add_wrapping(sum, bptq_add_wrapping(low, bptq_half(a >> 16) * bptq_half(b >> 16)));
}

BPTQ_INLINE uint32_t bptq_add_even_bytes(uint32_t pair, uint32_t x)
{
    const uint32_t low = (x & 0xFFU) - ((x & 0x80U) << 1);
    const uint32_t high = ((x >> 16) & 0xFFU) - (((x >> 16) & 0x80U) << 1);
    return ((pair + low) & 0xFFFFU) | ((((pair >> 16) + high) & 0xFFFFU) << 16);
}

BPTQ_INLINE uint32_t bptq_add_odd_bytes(uint32_t pair, uint32_t x)
{
    return bptq_add_even_bytes(pair, bptq_rotated(x, 8));
}

BPTQ_INLINE uint32_t bptq_even_bytes(uint32_t x)
{
    return bptq_add_even_bytes(0, x);
}

BPTQ_INLINE uint32_t bptq_odd_bytes(uint32_t x)
{
    return bptq_add_odd_bytes(0, x);
}

BPTQ_INLINE uint32_t bptq_low_halves(uint32_t a, uint32_t b)
{
    return (a & 0xFFFFU) | (b << 16);
}

BPTQ_INLINE uint32_t bptq_high_halves(uint32_t a, uint32_t b)
{
    return (a >> 16) | (b & 0xFFFF0000U);
}

BPTQ_INLINE int32_t bptq_high_word(int32_t a, int32_t b)
{
    return (int32_t)bptq_shift_right_wide((int64_t)a * b + ((int64_t)1 << 31), 32);
}

BPTQ_INLINE int32_t bptq_saturated(int32_t x)
{
    return x < -128 ? -128 : x > 127 ? 127 : x;
}

#endif

/* A pair of the same element twice. */
BPTQ_INLINE uint32_t bptq_twice(int32_t x)
{
    return ((uint32_t)x & 0xFFFFU) | ((uint32_t)x << 16);
}

/* Channels whose sums are kept before they become outputs. */
#define BPTQ_DSP_CHANNELS 16

/*
 * Outputs of the channels `first` to `first + count - 1` from their sums of products.
 *
 * This is bptq_finish_s8 for accumulators that stay within 32 bits when they are shifted to the
 * left by one more than their exponent says.
 */
void bptq_dsp_finish(const bptq_weighted *weighted, int32_t first, int32_t count,
                     const int32_t *sums, int8_t *output);

/* The same in 16 bits, at the zero point 0. */
void bptq_dsp_finish_s16(const bptq_weighted *weighted, int32_t first, int32_t count,
                         const int32_t *sums, int16_t *output);

#endif /* BPTQ_DSP_MATH_H */
