/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Element-wise operations. Output element i depends on inputs i alone and is written after they are
 * read, so that the output may take an input's place. */
#include "bptq_math.h"

/* The operations' parameters are copied: an output might be a part of them, for all that the
 * compiler knows, and they would be read again for each. */
static inline int32_t sum(const bptq_elementwise *op, int32_t a, int32_t b)
{
    const int32_t factor = (int32_t)1 << op->left_shift;
    const int32_t scaled_a = bptq_rescale((a - op->a_zero_point) * factor, op->a);
    const int32_t scaled_b = bptq_rescale((b - op->b_zero_point) * factor, op->b);
    const int32_t total = bptq_rescale(bptq_add_wrapping(scaled_a, scaled_b), op->output);
    return bptq_clamped(bptq_add_wrapping(total, op->output_zero_point), op->clamp);
}

static inline int32_t product(const bptq_elementwise *op, int32_t a, int32_t b)
{
    const int32_t exact = (a - op->a_zero_point) * (b - op->b_zero_point);
    const int32_t scaled = bptq_rescale(exact, op->output);
    return bptq_clamped(bptq_add_wrapping(scaled, op->output_zero_point), op->clamp);
}

static inline int32_t moved(const bptq_requantize *op, int32_t x)
{
    const int32_t scaled = bptq_rescale(x - op->input_zero_point, op->multiplier);
    return bptq_clamped(bptq_add_wrapping(scaled, op->output_zero_point), op->clamp);
}

void bptq_add_s8(const bptq_elementwise *op, const int8_t *a, const int8_t *b, int8_t *output)
{
    const bptq_elementwise own = *op;
    int32_t j = 0;
    for (int32_t i = 0; i < own.length; i++) {
        output[i] = (int8_t)sum(&own, a[i], b[j]);
        j = j + 1 == own.b_length ? 0 : j + 1;
    }
}

void bptq_add_s16(const bptq_elementwise *op, const int16_t *a, const int16_t *b, int16_t *output)
{
    const bptq_elementwise own = *op;
    int32_t j = 0;
    for (int32_t i = 0; i < own.length; i++) {
        output[i] = (int16_t)sum(&own, a[i], b[j]);
        j = j + 1 == own.b_length ? 0 : j + 1;
    }
}

void bptq_mul_s8(const bptq_elementwise *op, const int8_t *a, const int8_t *b, int8_t *output)
{
    const bptq_elementwise own = *op;
    int32_t j = 0;
    for (int32_t i = 0; i < own.length; i++) {
        output[i] = (int8_t)product(&own, a[i], b[j]);
        j = j + 1 == own.b_length ? 0 : j + 1;
    }
}

void bptq_mul_s16(const bptq_elementwise *op, const int16_t *a, const int16_t *b, int16_t *output)
{
    const bptq_elementwise own = *op;
    int32_t j = 0;
    for (int32_t i = 0; i < own.length; i++) {
        output[i] = (int16_t)product(&own, a[i], b[j]);
        j = j + 1 == own.b_length ? 0 : j + 1;
    }
}

void bptq_mul_s16_s8(const bptq_elementwise *op, const int16_t *a, const int16_t *b,
                     int8_t *output)
{
    const bptq_elementwise own = *op;
    for (int32_t i = 0; i < own.length; i++) {
        output[i] = (int8_t)product(&own, a[i], b[i]);
    }
}

void bptq_table_s8(const int8_t *table, int32_t length, const int8_t *input, int8_t *output)
{
    for (int32_t i = 0; i < length; i++) {
        output[i] = table[input[i] + 128];
    }
}

void bptq_table_s16(const int16_t *table, int32_t length, const int16_t *input, int16_t *output)
{
    for (int32_t i = 0; i < length; i++) {
        const int32_t x = input[i];
        const int32_t index = 256 + bptq_shift_right(x, 7);
        const int32_t base = table[index];
        const int32_t slope = table[index + 1] - base;
        output[i] = (int16_t)(base + bptq_shift_right(slope * (x & 127) + 64, 7));
    }
}

void bptq_requantize_s8(const bptq_requantize *op, const int8_t *input, int8_t *output)
{
    const bptq_requantize own = *op;
    for (int32_t i = 0; i < own.length; i++) {
        output[i] = (int8_t)moved(&own, input[i]);
    }
}

void bptq_requantize_s16(const bptq_requantize *op, const int16_t *input, int16_t *output)
{
    const bptq_requantize own = *op;
    for (int32_t i = 0; i < own.length; i++) {
        output[i] = (int16_t)moved(&own, input[i]);
    }
}

void bptq_requantize_s8_s16(const bptq_requantize *op, const int8_t *input, int16_t *output)
{
    const bptq_requantize own = *op;
    for (int32_t i = 0; i < own.length; i++) {
        output[i] = (int16_t)moved(&own, input[i]);
    }
}

void bptq_requantize_s16_s8(const bptq_requantize *op, const int16_t *input, int8_t *output)
{
    const bptq_requantize own = *op;
    for (int32_t i = 0; i < own.length; i++) {
        output[i] = (int8_t)moved(&own, input[i]);
    }
}
