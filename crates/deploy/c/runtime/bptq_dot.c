/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Sums of products, and outputs from them, 8-bit activations. */
#include "bptq_dot.h"
#include "bptq_math.h"

void bptq_dot_s8(const int8_t *x, int32_t zero_point, const bptq_block *block, int32_t start,
                 int32_t length, int32_t sums[BPTQ_FILTERS])
{
    const int8_t *a = block->filter[0] + start;
    const int8_t *b = block->filter[1] + start;
    const int8_t *c = block->filter[2] + start;
    const int8_t *d = block->filter[3] + start;
    int32_t sum_a = sums[0];
    int32_t sum_b = sums[1];
    int32_t sum_c = sums[2];
    int32_t sum_d = sums[3];
    for (int32_t i = 0; i < length; i++) {
        const int32_t value = x[i] - zero_point;
        sum_a += value * a[i];
        sum_b += value * b[i];
        sum_c += value * c[i];
        sum_d += value * d[i];
    }
    sums[0] = sum_a;
    sums[1] = sum_b;
    sums[2] = sum_c;
    sums[3] = sum_d;
}

void bptq_finish_s8(const bptq_weighted *weighted, int32_t first, int32_t count,
                    const int32_t *sums, int8_t *output)
{
    const int32_t step = weighted->per_channel ? 1 : 0;
    const bptq_multiplier *multiplier = weighted->multipliers + step * first;
    const int32_t *bias = weighted->bias + first;
    /* Read once: an output might be a part of these, for all that the compiler knows. */
    const int32_t zero_point = weighted->output_zero_point;
    const bptq_clamp clamp = weighted->clamp;
    for (int32_t i = 0; i < count; i++) {
        const int32_t scaled = bptq_rescale(bptq_add_wrapping(sums[i], bias[i]), *multiplier);
        output[i] = (int8_t)bptq_clamped(bptq_add_wrapping(scaled, zero_point), clamp);
        multiplier += step;
    }
}

void bptq_rows_s8(const bptq_weighted *weighted, int32_t rows, int32_t depth, int32_t filters,
                  const int8_t *input, int8_t *output, int8_t *scratch)
{
    int32_t first = 0;
    while (first < filters) {
        const bptq_block block = bptq_filters(weighted, first, filters, depth, scratch);
        const int8_t *x = input;
        int8_t *out = output + first;
        for (int32_t row = 0; row < rows; row++) {
            int32_t sums[BPTQ_FILTERS] = {0};
            bptq_dot_s8(x, weighted->input_zero_point, &block, 0, depth, sums);
            bptq_finish_s8(weighted, first, block.count, sums, out);
            x += depth;
            out += filters;
        }
        first += block.count;
    }
}
