/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Fully connected layer. */
#include "bptq_dot.h"
#include "bptq_math.h"

/* Adds the products of `length` inputs, less the zero point, with two packed filters, which begin
 * and end at whole groups of weights. */
static inline void dot_packed(uint32_t bits, const int8_t *x, int32_t zero_point,
                              const uint8_t *a, const uint8_t *b, int32_t length, int32_t sums[2])
{
    const int32_t bytes = bits == 3 ? 3 : 1;
    const uint32_t per_group = bits == 3 ? 8 : 8 / bits;
    int32_t sum_a = 0;
    int32_t sum_b = 0;
    for (const int8_t *end = x + length; x != end; x += per_group) {
        const uint32_t group_a = bits == 3 ? bptq_group_3(a) : *a;
        const uint32_t group_b = bits == 3 ? bptq_group_3(b) : *b;
        for (uint32_t i = 0; i < per_group; i++) {
            const int32_t value = x[i] - zero_point;
            sum_a += value * bptq_weight(bits, group_a >> (bits * i));
            sum_b += value * bptq_weight(bits, group_b >> (bits * i));
        }
        a += bytes;
        b += bytes;
    }
    sums[0] = sum_a;
    sums[1] = sum_b;
}

/* All filters over one row of inputs, which would not make up for decoding them. */
static inline void row_packed(uint32_t bits, const bptq_fully_connected *op, const int8_t *input,
                              int8_t *output)
{
    const int32_t bytes = op->in_features / 8 * (int32_t)bits;
    const uint8_t *filter = (const uint8_t *)op->weighted.weights;
    for (int32_t first = 0; first < op->out_features; first += 2) {
        const int32_t count = op->out_features - first < 2 ? 1 : 2;
        /* Where no second filter is left, the first is computed twice. */
        const uint8_t *second = count == 2 ? filter + bytes : filter;
        int32_t sums[2];
        dot_packed(bits, input, op->weighted.input_zero_point, filter, second, op->in_features,
                   sums);
        bptq_finish_s8(&op->weighted, first, count, sums, output + first);
        filter += count * bytes;
    }
}

void bptq_fully_connected_s8(const bptq_fully_connected *op, const int8_t *input, int8_t *output,
                             int8_t *scratch)
{
    const int32_t storage = op->weighted.storage;
    if (storage != 8 && op->rows == 1 && op->in_features % 8 == 0) {
        if (storage == 4) {
            row_packed(4, op, input, output);
        } else if (storage == 3) {
            row_packed(3, op, input, output);
        } else {
            row_packed(2, op, input, output);
        }
        return;
    }
    bptq_rows_s8(&op->weighted, op->rows, op->in_features, op->out_features, input, output,
                 scratch);
}

/* The outputs of `count` channels from `first` on, from their sums of products of 8-bit inputs. */
static void finish_s8_s16(const bptq_weighted *weighted, int32_t first, int32_t count,
                          const int32_t *sums, int16_t *output)
{
    const int32_t step = weighted->per_channel ? 1 : 0;
    const bptq_multiplier *multiplier = weighted->multipliers + step * first;
    const int32_t *bias = weighted->bias + first;
    /* Read once, as by bptq_finish_s8. The zero point is 0. */
    const bptq_clamp clamp = weighted->clamp;
    for (int32_t i = 0; i < count; i++) {
        const int32_t scaled = bptq_rescale(bptq_add_wrapping(sums[i], bias[i]), *multiplier);
        output[i] = (int16_t)bptq_clamped(scaled, clamp);
        multiplier += step;
    }
}

/* See row_packed. */
static inline void row_packed_s8_s16(uint32_t bits, const bptq_fully_connected *op,
                                     const int8_t *input, int16_t *output)
{
    const int32_t bytes = op->in_features / 8 * (int32_t)bits;
    const uint8_t *filter = (const uint8_t *)op->weighted.weights;
    for (int32_t first = 0; first < op->out_features; first += 2) {
        const int32_t count = op->out_features - first < 2 ? 1 : 2;
        const uint8_t *second = count == 2 ? filter + bytes : filter;
        int32_t sums[2];
        dot_packed(bits, input, op->weighted.input_zero_point, filter, second, op->in_features,
                   sums);
        finish_s8_s16(&op->weighted, first, count, sums, output + first);
        filter += count * bytes;
    }
}

void bptq_fully_connected_s8_s16(const bptq_fully_connected *op, const int8_t *input,
                                 int16_t *output, int8_t *scratch)
{
    const int32_t storage = op->weighted.storage;
    if (storage != 8 && op->rows == 1 && op->in_features % 8 == 0) {
        if (storage == 4) {
            row_packed_s8_s16(4, op, input, output);
        } else if (storage == 3) {
            row_packed_s8_s16(3, op, input, output);
        } else {
            row_packed_s8_s16(2, op, input, output);
        }
        return;
    }
    int32_t first = 0;
    while (first < op->out_features) {
        const bptq_block block =
            bptq_filters(&op->weighted, first, op->out_features, op->in_features, scratch);
        const int8_t *x = input;
        int16_t *out = output + first;
        for (int32_t row = 0; row < op->rows; row++) {
            int32_t sums[BPTQ_FILTERS] = {0};
            bptq_dot_s8(x, op->weighted.input_zero_point, &block, 0, op->in_features, sums);
            finish_s8_s16(&op->weighted, first, block.count, sums, out);
            x += op->in_features;
            out += op->out_features;
        }
        first += block.count;
    }
}

void bptq_fully_connected_s16(const bptq_fully_connected *op, const int16_t *input,
                              int16_t *output, int8_t *scratch)
{
    int32_t first = 0;
    while (first < op->out_features) {
        const bptq_block block =
            bptq_filters(&op->weighted, first, op->out_features, op->in_features, scratch);
        const int16_t *x = input;
        int16_t *out = output + first;
        for (int32_t row = 0; row < op->rows; row++) {
            int64_t sums[BPTQ_FILTERS] = {0};
            bptq_dot_s16(x, &block, 0, op->in_features, sums);
            for (int32_t i = 0; i < block.count; i++) {
                out[i] = bptq_output_s16(&op->weighted, first + i, sums[i]);
            }
            x += op->in_features;
            out += op->out_features;
        }
        first += block.count;
    }
}
