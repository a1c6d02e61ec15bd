/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Sums and differences of 16-bit activations of which one input is only shifted. Output element i depends on
 * inputs i alone and is written after they are read, so that the output may take an input's place. */
#include "bptq_sum.h"

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP && defined(__GNUC__)

/* x within 16 bits. */
static inline int32_t saturated(int32_t x)
{
    __asm__("ssat %0, #16, %1" : "=r"(x) : "r"(x));
    return x;
}

/* a * b / 2^32, rounded half up, and `offset` on top. */
static inline int32_t high_sum(int32_t a, int32_t b, int32_t offset)
{
    __asm__("smmlar %0, %1, %2, %3" : "=r"(a) : "r"(a), "r"(b), "r"(offset));
    return a;
}

#else

static inline int32_t saturated(int32_t x)
{
    const int32_t bounded = (int16_t)(uint16_t)(uint32_t)x;
    return bounded == x ? x : bptq_shift_right(x, 31) ^ 0x7FFF;
}

static inline int32_t high_sum(int32_t a, int32_t b, int32_t offset)
{
    const uint64_t start = ((uint64_t)(uint32_t)offset << 32) | 0x80000000U;
    return (int32_t)bptq_shift_right_wide((int64_t)a * b + (int64_t)start, 32);
}

#endif

/* x * multiplier / 2 with double rounding: that of a negative exponent, which `shift` is without its sign. Half away
 * from zero is one less for negative products, and for negative numbers just as well. */
static inline int32_t halved(int32_t x, int32_t quantized, int32_t half, int32_t shift)
{
    return bptq_shift_right(high_sum(x, quantized, half + bptq_shift_right(x, 31)), shift);
}

/* All sums of elements, each with its sign, which is known where this stands. The left shift is 15: doubled, an element
 * stands in the upper half of a word, and the plain one is added 2^14 times. */
static inline void sums(const bptq_elementwise *op, const int16_t *x, int32_t x_sign,
                        const int16_t *plain, int32_t plain_sign, int16_t *output)
{
    const bptq_multiplier factor = bptq_sum_plain_a(op) ? op->b : op->a;
    const int32_t quantized = op->output.quantized;
    const int32_t shift = -op->output.exponent;
    const int32_t half = (int32_t)1 << (shift - 1);
    const int32_t step = (int32_t)1 << 15;
    const int16_t *end = output + op->length;
    if (factor.exponent == 0) {
        /* Both are plain. */
        while (output != end) {
            const int32_t exact = x_sign * *x++ + plain_sign * *plain++;
            *output++ = (int16_t)saturated(halved(exact * step, quantized, half, shift));
        }
        return;
    }
    const int32_t right = -factor.exponent;
    const int32_t half_right = (int32_t)1 << (right - 1);
    while (output != end) {
        const int32_t doubled = bptq_wrap((uint32_t)(int32_t)*x++ << 16);
        const int32_t scaled = 2 * halved(doubled, factor.quantized, half_right, right);
        const int32_t twice = x_sign * scaled + plain_sign * *plain++ * step;
        *output++ = (int16_t)saturated(halved(twice, quantized, half, shift));
    }
}

void bptq_add_plain_s16(const bptq_elementwise *op, const int16_t *a, const int16_t *b,
                        int16_t *output)
{
    const int32_t plain_a = bptq_sum_plain_a(op);
    sums(op, plain_a ? b : a, 1, plain_a ? a : b, 1, output);
}

void bptq_sub_plain_s16(const bptq_elementwise *op, const int16_t *a, const int16_t *b,
                        int16_t *output)
{
    if (bptq_sum_plain_a(op)) {
        sums(op, b, -1, a, 1, output);
    } else {
        sums(op, a, 1, b, -1, output);
    }
}

void bptq_add_same_s16(const bptq_elementwise *op, const int16_t *a, const int16_t *b,
                       int16_t *output)
{
    const int16_t *end = output + op->length;
    while (output != end) {
        *output++ = (int16_t)saturated(*a++ + *b++);
    }
}
