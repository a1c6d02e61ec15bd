/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Products of matrices of two activations. */
#include "bptq_math.h"

void bptq_batch_matmul_s8(const bptq_batch_matmul *op, const int8_t *a, const int8_t *b,
                          int8_t *output)
{
    const bptq_batch_matmul own = *op;
    for (int32_t n = 0; n < own.batch; n++) {
        for (int32_t i = 0; i < own.rows; i++) {
            for (int32_t j = 0; j < own.columns; j++) {
                const int8_t *x = a + n * own.a_steps[0] + i * own.a_steps[1];
                const int8_t *y = b + n * own.b_steps[0] + j * own.b_steps[2];
                int32_t sum = 0;
                for (int32_t k = 0; k < own.inner; k++) {
                    sum += (x[k * own.a_steps[2]] - own.a_zero_point) *
                           (y[k * own.b_steps[1]] - own.b_zero_point);
                }
                const int32_t scaled = bptq_rescale(sum, own.multiplier);
                const int32_t moved = bptq_add_wrapping(scaled, own.output_zero_point);
                output[n * own.output_steps[0] + i * own.output_steps[1] +
                       j * own.output_steps[2]] = (int8_t)bptq_clamped(moved, own.clamp);
            }
        }
    }
}

void bptq_batch_matmul_s16(const bptq_batch_matmul *op, const int16_t *a, const int16_t *b,
                           int16_t *output)
{
    const bptq_batch_matmul own = *op;
    for (int32_t n = 0; n < own.batch; n++) {
        for (int32_t i = 0; i < own.rows; i++) {
            for (int32_t j = 0; j < own.columns; j++) {
                const int16_t *x = a + n * own.a_steps[0] + i * own.a_steps[1];
                const int16_t *y = b + n * own.b_steps[0] + j * own.b_steps[2];
                int64_t sum = 0;
                for (int32_t k = 0; k < own.inner; k++) {
                    sum += (int32_t)x[k * own.a_steps[2]] * y[k * own.b_steps[1]];
                }
                const int32_t scaled = bptq_rescale_wide(sum, own.multiplier);
                output[n * own.output_steps[0] + i * own.output_steps[1] +
                       j * own.output_steps[2]] = (int16_t)bptq_clamped(scaled, own.clamp);
            }
        }
    }
}
