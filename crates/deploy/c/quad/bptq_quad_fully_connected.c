/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Fully connected layer, 8-bit activations: four outputs of two rows at a time. */
#include "bptq_quad_sums.h"

BPTQ_INLINE void fully_connected(int32_t bits, const bptq_fully_connected *op, const int8_t *input,
                                 int8_t *output, int8_t *scratch, bptq_quad_functions functions)
{
    const uint32_t *constants = (const uint32_t *)op->weighted.weights;
    const int32_t features = op->in_features;
    const int32_t length = bptq_quad_padded(features);
    const int32_t step = op->out_features;
    bptq_quad_pixels pixels = {{scratch, scratch + length},
                               op->weighted.output_zero_point,
                               constants + step * bptq_quad_words(bits, length) / 4,
                               NULL,
                               {output, output + step},
                               {0, 0}};
    for (int32_t left = op->rows; left > 0; left -= 2) {
        if (length == features) {
            pixels.x[0] = input;
            pixels.x[1] = input + features;
        } else {
            bptq_quad_copy(input, features, scratch);
            if (left > 1) {
                bptq_quad_copy(input + features, features, scratch + length);
            }
        }
        input += 2 * features;
        bptq_quad_run(bits, &functions, constants, &pixels, length, left);
        pixels.output[0] += 2 * step;
        pixels.output[1] += 2 * step;
    }
}

void bptq_quad_fully_connected_w8_s8(const bptq_fully_connected *op, const int8_t *input,
                                     int8_t *output, int8_t *scratch)
{
    fully_connected(8, op, input, output, scratch, BPTQ_QUAD_CHOSEN(bptq_quad_w8, &op->weighted));
}

void bptq_quad_fully_connected_w4_s8(const bptq_fully_connected *op, const int8_t *input,
                                     int8_t *output, int8_t *scratch)
{
    fully_connected(4, op, input, output, scratch, BPTQ_QUAD_CHOSEN(bptq_quad_w4, &op->weighted));
}

void bptq_quad_fully_connected_w2_s8(const bptq_fully_connected *op, const int8_t *input,
                                     int8_t *output, int8_t *scratch)
{
    fully_connected(2, op, input, output, scratch, BPTQ_QUAD_CHOSEN(bptq_quad_w2, &op->weighted));
}
