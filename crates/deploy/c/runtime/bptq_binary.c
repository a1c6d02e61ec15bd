/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Operations of two values that broadcasting brings together. The output may take the place of a
 * first input that does not repeat. */
#include <stddef.h>

#include "bptq_math.h"

/* A function of two elements. */
typedef int32_t (*pair_function)(const bptq_elementwise *op, int32_t a, int32_t b);

static inline int32_t scaled(const bptq_elementwise *op, int32_t x, bptq_multiplier multiplier)
{
    return bptq_rescale(x * ((int32_t)1 << op->left_shift), multiplier);
}

static inline int32_t finished(const bptq_elementwise *op, int32_t x)
{
    return bptq_clamped(bptq_add_wrapping(x, op->output_zero_point), op->clamp);
}

static int32_t sum(const bptq_elementwise *op, int32_t a, int32_t b)
{
    const int32_t left = scaled(op, a - op->a_zero_point, op->a);
    const int32_t right = scaled(op, b - op->b_zero_point, op->b);
    return finished(op, bptq_rescale(bptq_add_wrapping(left, right), op->output));
}

static int32_t difference(const bptq_elementwise *op, int32_t a, int32_t b)
{
    const int32_t left = scaled(op, a - op->a_zero_point, op->a);
    const int32_t right = scaled(op, b - op->b_zero_point, op->b);
    const int32_t exact = bptq_wrap((uint32_t)left - (uint32_t)right);
    return finished(op, bptq_rescale(exact, op->output));
}

static int32_t product(const bptq_elementwise *op, int32_t a, int32_t b)
{
    const int32_t exact = (a - op->a_zero_point) * (b - op->b_zero_point);
    return finished(op, bptq_rescale(exact, op->output));
}

/* The zeros in front of the first one of a number above 0. */
static int32_t leading_zeros(uint32_t x)
{
    int32_t zeros = 0;
    while ((x & 0x80000000u) == 0) {
        x <<= 1;
        zeros++;
    }
    return zeros;
}

static int32_t quotient(const bptq_elementwise *op, int32_t a, int32_t b)
{
    int32_t x = a - op->a_zero_point;
    int32_t y = b - op->b_zero_point;
    if (y == 0 && x != 0) {
        return x > 0 ? op->clamp.max : op->clamp.min;
    }
    if (x == 0) {
        return finished(op, 0);
    }
    if (y < 0) {
        x = -x;
        y = -y;
    }
    const int32_t leading = leading_zeros((uint32_t)y);
    const int32_t fraction = (int32_t)(((uint32_t)y << leading) - 0x80000000u);
    const int32_t headroom =
        x < 0 ? leading_zeros(2 * (uint32_t)-x - 1) : leading_zeros((uint32_t)x) - 1;
    const int32_t inverse = bptq_reciprocal_of_one_plus(fraction);
    const int32_t exact = bptq_high_product(bptq_wrap((uint32_t)x << headroom), inverse);
    const int32_t product_of_both = bptq_high_product(exact, op->output.quantized);
    const int32_t shift = 31 - leading + headroom - op->output.exponent;
    /* Past 31 every quotient is below half a step. */
    const int32_t whole =
        shift < 0 || shift > 31 ? 0 : bptq_divide_by_power_of_two(product_of_both, shift);
    return finished(op, whole);
}

static int32_t rectified(const bptq_elementwise *op, int32_t a, int32_t b)
{
    const int32_t x = a - op->a_zero_point;
    if (x >= 0) {
        return finished(op, bptq_rescale(x, op->a));
    }
    return finished(op, bptq_rescale(x * (b - op->b_zero_point), op->b));
}

static int32_t smaller(const bptq_elementwise *op, int32_t a, int32_t b)
{
    (void)op;
    return b < a ? b : a;
}

static int32_t larger(const bptq_elementwise *op, int32_t a, int32_t b)
{
    (void)op;
    return b > a ? b : a;
}

static inline void meet_s8(pair_function function, const bptq_elementwise *op,
                           const bptq_strides *strides, const int8_t *a, const int8_t *b,
                           int8_t *output)
{
    for (int32_t i = 0; i < strides->extent[0]; i++) {
        for (int32_t j = 0; j < strides->extent[1]; j++) {
            const int8_t *x = a + i * strides->a_step[0] + j * strides->a_step[1];
            const int8_t *y = b + i * strides->b_step[0] + j * strides->b_step[1];
            for (int32_t k = 0; k < strides->extent[2]; k++) {
                *output++ = (int8_t)function(op, *x, *y);
                x += strides->a_step[2];
                y += strides->b_step[2];
            }
        }
    }
}

static inline void meet_s16(pair_function function, const bptq_elementwise *op,
                            const bptq_strides *strides, const int16_t *a, const int16_t *b,
                            int16_t *output)
{
    for (int32_t i = 0; i < strides->extent[0]; i++) {
        for (int32_t j = 0; j < strides->extent[1]; j++) {
            const int16_t *x = a + i * strides->a_step[0] + j * strides->a_step[1];
            const int16_t *y = b + i * strides->b_step[0] + j * strides->b_step[1];
            for (int32_t k = 0; k < strides->extent[2]; k++) {
                *output++ = (int16_t)function(op, *x, *y);
                x += strides->a_step[2];
                y += strides->b_step[2];
            }
        }
    }
}

void bptq_add_strided_s8(const bptq_elementwise *op, const bptq_strides *strides,
                         const int8_t *a, const int8_t *b, int8_t *output)
{
    meet_s8(sum, op, strides, a, b, output);
}

void bptq_add_strided_s16(const bptq_elementwise *op, const bptq_strides *strides,
                          const int16_t *a, const int16_t *b, int16_t *output)
{
    meet_s16(sum, op, strides, a, b, output);
}

void bptq_mul_strided_s8(const bptq_elementwise *op, const bptq_strides *strides,
                         const int8_t *a, const int8_t *b, int8_t *output)
{
    meet_s8(product, op, strides, a, b, output);
}

void bptq_mul_strided_s16(const bptq_elementwise *op, const bptq_strides *strides,
                          const int16_t *a, const int16_t *b, int16_t *output)
{
    meet_s16(product, op, strides, a, b, output);
}

void bptq_sub_s8(const bptq_elementwise *op, const bptq_strides *strides,
                 const int8_t *a, const int8_t *b, int8_t *output)
{
    meet_s8(difference, op, strides, a, b, output);
}

void bptq_sub_s16(const bptq_elementwise *op, const bptq_strides *strides,
                  const int16_t *a, const int16_t *b, int16_t *output)
{
    meet_s16(difference, op, strides, a, b, output);
}

void bptq_div_s8(const bptq_elementwise *op, const bptq_strides *strides,
                 const int8_t *a, const int8_t *b, int8_t *output)
{
    meet_s8(quotient, op, strides, a, b, output);
}

void bptq_div_s16(const bptq_elementwise *op, const bptq_strides *strides,
                  const int16_t *a, const int16_t *b, int16_t *output)
{
    meet_s16(quotient, op, strides, a, b, output);
}

void bptq_prelu_s8(const bptq_elementwise *op, const bptq_strides *strides,
                   const int8_t *a, const int8_t *b, int8_t *output)
{
    meet_s8(rectified, op, strides, a, b, output);
}

void bptq_prelu_s16(const bptq_elementwise *op, const bptq_strides *strides,
                    const int16_t *a, const int16_t *b, int16_t *output)
{
    meet_s16(rectified, op, strides, a, b, output);
}

void bptq_minimum_s8(const bptq_strides *strides,
                     const int8_t *a, const int8_t *b, int8_t *output)
{
    meet_s8(smaller, NULL, strides, a, b, output);
}

void bptq_minimum_s16(const bptq_strides *strides,
                      const int16_t *a, const int16_t *b, int16_t *output)
{
    meet_s16(smaller, NULL, strides, a, b, output);
}

void bptq_maximum_s8(const bptq_strides *strides,
                     const int8_t *a, const int8_t *b, int8_t *output)
{
    meet_s8(larger, NULL, strides, a, b, output);
}

void bptq_maximum_s16(const bptq_strides *strides,
                      const int16_t *a, const int16_t *b, int16_t *output)
{
    meet_s16(larger, NULL, strides, a, b, output);
}
