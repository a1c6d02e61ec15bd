/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Fully connected layer, 8-bit activations: four filters at a time. */
#include "bptq_mve_dot.h"

BPTQ_INLINE void fully_connected(int32_t bits, const bptq_fully_connected *op,
                                 const int8_t *input, int8_t *output, int8_t *scratch)
{
    const int32_t unit = BPTQ_MVE_UNIT(bits);
    const int32_t length = (op->in_features + unit - 1) / unit * unit;
    const int32_t bytes = length / (8 / bits);
    int32_t sums[BPTQ_MVE_CHANNELS];
    for (int32_t row = 0; row < op->rows; row++) {
        const int8_t *weights = (const int8_t *)op->weighted.weights;
        const int8_t *x = input;
        if (length != op->in_features) {
            int8_t *end = bptq_mve_copy(input, op->in_features, scratch);
            (void)bptq_mve_fill(0, length - op->in_features, end);
            x = scratch;
        }
        for (int32_t first = 0; first < op->out_features; first += BPTQ_MVE_CHANNELS) {
            const int32_t left = op->out_features - first;
            const int32_t count = left < BPTQ_MVE_CHANNELS ? left : BPTQ_MVE_CHANNELS;
            for (int32_t i = 0; i < count; i += 4) {
                const int8_t *filters[4];
                for (int32_t j = 0; j < 4; j++) {
                    /* Beyond the last filter, the first of the four is computed again. */
                    filters[j] = weights + (i + j < count ? j : 0) * bytes;
                }
                bptq_mve_dot_wide(bits, filters, x, length, sums + i);
                weights += 4 * bytes;
            }
            bptq_mve_finish(&op->weighted, first, count, sums, output + first);
        }
        input += op->in_features;
        output += op->out_features;
    }
}

void bptq_mve_fully_connected_w8_s8(const bptq_fully_connected *op, const int8_t *input,
                                    int8_t *output, int8_t *scratch)
{
    fully_connected(8, op, input, output, scratch);
}

void bptq_mve_fully_connected_w4_s8(const bptq_fully_connected *op, const int8_t *input,
                                    int8_t *output, int8_t *scratch)
{
    fully_connected(4, op, input, output, scratch);
}

void bptq_mve_fully_connected_w2_s8(const bptq_fully_connected *op, const int8_t *input,
                                    int8_t *output, int8_t *scratch)
{
    fully_connected(2, op, input, output, scratch);
}
