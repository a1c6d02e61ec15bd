/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Fixed-point arithmetic: the rounding rules. */
#ifndef BPTQ_MATH_H
#define BPTQ_MATH_H

#include "bptq.h"

/* The standard leaves the shift of a negative number and the conversion of a large unsigned one to
 * the implementation; every compiler of interest shifts arithmetically and wraps. These functions
 * are the only places that rely on it. */
static inline int32_t bptq_shift_right(int32_t x, int32_t amount)
{
    return x >> amount;
}

static inline int64_t bptq_shift_right_wide(int64_t x, int32_t amount)
{
    return x >> amount;
}

static inline int32_t bptq_wrap(uint32_t x)
{
    return (int32_t)x;
}

static inline int32_t bptq_add_wrapping(int32_t a, int32_t b)
{
    return bptq_wrap((uint32_t)a + (uint32_t)b);
}

static inline int32_t bptq_clamped(int32_t x, bptq_clamp clamp)
{
    return x < clamp.min ? clamp.min : x > clamp.max ? clamp.max : x;
}

/* a * b / 2^31, rounded half up. */
static inline int32_t bptq_high_product(int32_t a, int32_t b)
{
    const int64_t product = (int64_t)a * b + ((int64_t)1 << 30);
    return (int32_t)bptq_shift_right_wide(product, 31);
}

/* x / 2^exponent, rounded half away from zero; exponent in 0..=31. */
static inline int32_t bptq_divide_by_power_of_two(int32_t x, int32_t exponent)
{
    const int32_t mask = (int32_t)(((uint32_t)1 << exponent) - 1);
    const int32_t remainder = x & mask;
    const int32_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);
    return bptq_shift_right(x, exponent) + (remainder > threshold ? 1 : 0);
}

/* Saturates to 32 bits. */
static inline int32_t bptq_saturated_wide(int64_t x)
{
    return x > INT32_MAX ? INT32_MAX : x < INT32_MIN ? INT32_MIN : (int32_t)x;
}

/* 1 / (1 + x) in Q0.31 for x in Q0.31 between 0 and 1: three steps of Newton's method in Q2.29. */
static inline int32_t bptq_reciprocal_of_one_plus(int32_t x)
{
    const int32_t constant_48_over_17 = 1515870810;
    const int32_t constant_minus_32_over_17 = -1010580540;
    const int32_t one = (int32_t)1 << 29;
    const int32_t half_denominator = (int32_t)(((int64_t)x + INT32_MAX + 1) / 2);
    int32_t y = constant_48_over_17 +
                bptq_high_product(half_denominator, constant_minus_32_over_17);
    for (int32_t i = 0; i < 3; i++) {
        const int32_t error = one - bptq_high_product(half_denominator, y);
        y += bptq_saturated_wide((int64_t)bptq_high_product(y, error) * 4);
    }
    return bptq_saturated_wide((int64_t)y * 2);
}

/* x * multiplier with double rounding. */
static inline int32_t bptq_rescale(int32_t x, bptq_multiplier multiplier)
{
    if (multiplier.exponent < 0) {
        /* Half away from zero: half up, after negative numbers moved down. In two shifts, so that
         * nothing overflows. */
        const int32_t high = bptq_high_product(x, multiplier.quantized);
        const int32_t away = high + bptq_shift_right(high, 31);
        return bptq_shift_right(bptq_shift_right(away, ~multiplier.exponent) + 1, 1);
    }
    return bptq_high_product(bptq_wrap((uint32_t)x << multiplier.exponent), multiplier.quantized);
}

/* x * multiplier for accumulators of 16-bit activations: a 16-bit multiplier, single rounding. */
static inline int32_t bptq_rescale_wide(int64_t x, bptq_multiplier multiplier)
{
    const int64_t reduced = multiplier.quantized < 0x7FFF0000
                                ? bptq_shift_right(multiplier.quantized + ((int32_t)1 << 15), 16)
                                : 0x7FFF;
    const int32_t shift = 15 - multiplier.exponent;
    const uint64_t product = (uint64_t)x * (uint64_t)reduced + ((uint64_t)1 << (shift - 1));
    return (int32_t)(uint32_t)(uint64_t)bptq_shift_right_wide((int64_t)product, shift);
}

static inline bptq_multiplier bptq_channel_multiplier(const bptq_weighted *weighted,
                                                      int32_t channel)
{
    return weighted->multipliers[weighted->per_channel ? channel : 0];
}

static inline int16_t bptq_output_s16(const bptq_weighted *weighted, int32_t channel, int64_t sum)
{
    const int64_t total = sum + weighted->bias[channel];
    const int32_t scaled = bptq_rescale_wide(total, bptq_channel_multiplier(weighted, channel));
    const int32_t moved = bptq_add_wrapping(scaled, weighted->output_zero_point);
    return (int16_t)bptq_clamped(moved, weighted->clamp);
}

#endif /* BPTQ_MATH_H */
