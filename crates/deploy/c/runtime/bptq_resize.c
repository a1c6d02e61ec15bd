/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Linear interpolation between pixels. */
#include "bptq_math.h"

/* One element's distance to the next, and the weight of all four pixels together. */
#define UNIT 1024
#define WEIGHT_BITS 20

/* The elements around a position, and how far it lies behind the first of them. */
typedef struct {
    int32_t before;
    int32_t behind;
    int32_t fraction;
} neighbours;

static inline neighbours around(int32_t position, int32_t extent)
{
    neighbours found;
    found.before = position / UNIT;
    found.behind = found.before + 1 < extent ? found.before + 1 : found.before;
    found.fraction = position % UNIT;
    return found;
}

/* A sum of weighted pixels over the weight of all, rounded half away from zero. */
static inline int32_t rounded(int32_t sum)
{
    const int32_t half = (int32_t)1 << (WEIGHT_BITS - 1);
    return sum > 0 ? bptq_shift_right(sum + half, WEIGHT_BITS)
                   : -bptq_shift_right(half - sum, WEIGHT_BITS);
}

static inline int32_t rounded_wide(int64_t sum)
{
    const int64_t half = (int64_t)1 << (WEIGHT_BITS - 1);
    return sum > 0 ? (int32_t)bptq_shift_right_wide(sum + half, WEIGHT_BITS)
                   : -(int32_t)bptq_shift_right_wide(half - sum, WEIGHT_BITS);
}

void bptq_resize_linear_s8(const bptq_resize_linear *op, const int8_t *input, int8_t *output)
{
    const int32_t width = op->input[1];
    const int32_t channels = op->input[2];
    for (int32_t y = 0; y < op->output_height; y++) {
        const neighbours row = around(op->rows[y], op->input[0]);
        for (int32_t x = 0; x < op->output_width; x++) {
            const neighbours column = around(op->columns[x], width);
            const int8_t *a = input + (row.before * width + column.before) * channels;
            const int8_t *b = input + (row.before * width + column.behind) * channels;
            const int8_t *c = input + (row.behind * width + column.before) * channels;
            const int8_t *d = input + (row.behind * width + column.behind) * channels;
            for (int32_t channel = 0; channel < channels; channel++) {
                const int32_t upper =
                    a[channel] * (UNIT - column.fraction) + b[channel] * column.fraction;
                const int32_t lower =
                    c[channel] * (UNIT - column.fraction) + d[channel] * column.fraction;
                const int32_t sum = upper * (UNIT - row.fraction) + lower * row.fraction;
                *output++ = (int8_t)rounded(sum);
            }
        }
    }
}

void bptq_resize_linear_s16(const bptq_resize_linear *op, const int16_t *input, int16_t *output)
{
    const int32_t width = op->input[1];
    const int32_t channels = op->input[2];
    for (int32_t y = 0; y < op->output_height; y++) {
        const neighbours row = around(op->rows[y], op->input[0]);
        for (int32_t x = 0; x < op->output_width; x++) {
            const neighbours column = around(op->columns[x], width);
            const int16_t *a = input + (row.before * width + column.before) * channels;
            const int16_t *b = input + (row.before * width + column.behind) * channels;
            const int16_t *c = input + (row.behind * width + column.before) * channels;
            const int16_t *d = input + (row.behind * width + column.behind) * channels;
            for (int32_t channel = 0; channel < channels; channel++) {
                const int32_t upper =
                    a[channel] * (UNIT - column.fraction) + b[channel] * column.fraction;
                const int32_t lower =
                    c[channel] * (UNIT - column.fraction) + d[channel] * column.fraction;
                const int64_t sum = (int64_t)upper * (UNIT - row.fraction) +
                                    (int64_t)lower * row.fraction;
                *output++ = (int16_t)rounded_wide(sum);
            }
        }
    }
}
