/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Fully connected layer of 8-bit inputs: four filters at a time. */
#include "bptq_dsp_dot.h"
#include "bptq_dsp_patch.h"

/* Outputs of 8 bits, or of 16 if there is no place for those. */
BPTQ_INLINE void fully_connected(int32_t bits, const bptq_fully_connected *op,
                                 const int8_t *input, int8_t *output, int16_t *wide,
                                 int8_t *scratch)
{
    const int32_t step = BPTQ_DSP_STEP(bits);
    const int32_t length = (op->in_features + step - 1) / step * step;
    const int32_t words = length / BPTQ_DSP_PER_WORD(bits);
    int16_t *patch = (int16_t *)(void *)scratch;
    const bptq_pair *pairs = (const bptq_pair *)(const void *)patch;
    int32_t sums[BPTQ_DSP_CHANNELS];
    for (int32_t row = 0; row < op->rows; row++) {
        const uint32_t *weights = (const uint32_t *)op->weighted.weights;
        int16_t *end =
            bptq_dsp_expand(input, op->in_features, op->weighted.input_zero_point, patch);
        memset(end, 0, (size_t)(length - op->in_features) * sizeof *end);
        const int32_t start = bptq_dsp_start(bits, pairs, length);
        for (int32_t first = 0; first < op->out_features; first += BPTQ_DSP_CHANNELS) {
            const int32_t left = op->out_features - first;
            const int32_t count = left < BPTQ_DSP_CHANNELS ? left : BPTQ_DSP_CHANNELS;
            for (int32_t i = 0; i < count; i += 4) {
                /* Where no second pair is left, the first is computed twice. */
                const uint32_t *second = count - i > 2 ? weights + words : weights;
                bptq_sums found = {start, start, start, start};
                bptq_dsp_dot_wide(bits, weights, second, pairs, words, &found);
                sums[i] = found.a0;
                sums[i + 1] = found.b0;
                sums[i + 2] = found.a1;
                sums[i + 3] = found.b1;
                weights += 2 * words;
            }
            if (wide != NULL) {
                bptq_dsp_finish_s16(&op->weighted, first, count, sums, wide + first);
            } else {
                bptq_dsp_finish(&op->weighted, first, count, sums, output + first);
            }
        }
        input += op->in_features;
        if (wide != NULL) {
            wide += op->out_features;
        } else {
            output += op->out_features;
        }
    }
}

#define DEFINE(bits)                                                                               \
    void bptq_dsp_fully_connected_w##bits##_s8(const bptq_fully_connected *op,                     \
                                               const int8_t *input, int8_t *output,                \
                                               int8_t *scratch)                                    \
    {                                                                                              \
        fully_connected(bits, op, input, output, NULL, scratch);                                   \
    }                                                                                              \
    void bptq_dsp_fully_connected_w##bits##_s8_s16(const bptq_fully_connected *op,                 \
                                                   const int8_t *input, int16_t *output,           \
                                                   int8_t *scratch)                                \
    {                                                                                              \
        fully_connected(bits, op, input, NULL, output, scratch);                                   \
    }

DEFINE(8)
DEFINE(4)
DEFINE(3)
DEFINE(2)
