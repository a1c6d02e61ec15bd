/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Fully connected layer of 8-bit inputs: four filters at a time. */
#include "bptq_mve_dot.h"

/* Outputs of 8 bits, or of 16 if there is no place for those. */
BPTQ_INLINE void fully_connected(int32_t bits, const bptq_fully_connected *op,
                                 const int8_t *input, int8_t *output, int16_t *wide,
                                 int8_t *scratch)
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
            if (wide != 0) {
                bptq_mve_finish_s16(&op->weighted, first, count, sums, wide + first);
            } else {
                bptq_mve_finish(&op->weighted, first, count, sums, output + first);
            }
        }
        input += op->in_features;
        if (wide != 0) {
            wide += op->out_features;
        } else {
            output += op->out_features;
        }
    }
}

#define DEFINE(bits)                                                                               \
    void bptq_mve_fully_connected_w##bits##_s8(const bptq_fully_connected *op,                     \
                                               const int8_t *input, int8_t *output,                \
                                               int8_t *scratch)                                    \
    {                                                                                              \
        fully_connected(bits, op, input, output, 0, scratch);                                      \
    }                                                                                              \
    void bptq_mve_fully_connected_w##bits##_s8_s16(const bptq_fully_connected *op,                 \
                                                   const int8_t *input, int16_t *output,           \
                                                   int8_t *scratch)                                \
    {                                                                                              \
        fully_connected(bits, op, input, 0, output, scratch);                                      \
    }

DEFINE(8)
DEFINE(4)
DEFINE(2)
