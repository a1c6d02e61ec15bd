/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Fully connected layer, 8-bit activations. */
#include "bptq_scalar_layer.h"

/* Each row is a window of a single column. */
static bptq_scalar_windows rows_of(const bptq_fully_connected *op, const int8_t *input)
{
    const bptq_scalar_windows windows = {input,
                                         1,
                                         op->rows,
                                         op->in_features,
                                         1,
                                         1,
                                         1,
                                         1,
                                         0,
                                         op->rows,
                                         op->weighted.input_zero_point,
                                         0,
                                         0,
                                         0};
    return windows;
}

void bptq_scalar_fully_connected_w8_s8(const bptq_fully_connected *op, const int8_t *input,
                                       int8_t *output, int8_t *scratch)
{
    bptq_scalar_windows windows = rows_of(op, input);
    bptq_scalar_layer_w8(&op->weighted, &windows, op->rows, op->out_features, output, scratch);
}

#define FULLY_CONNECTED(bits)                                                                      \
    void bptq_scalar_fully_connected_w##bits##_s8(const bptq_fully_connected *op,                  \
                                                  const int8_t *input, int8_t *output,             \
                                                  int8_t *scratch)                                 \
    {                                                                                              \
        bptq_scalar_windows windows = rows_of(op, input);                                          \
        bptq_scalar_layer(bits, &op->weighted, &windows, op->rows, op->out_features, output,       \
                          scratch, bptq_scalar_w##bits##_4, bptq_scalar_w##bits##_2,               \
                          bptq_scalar_w##bits##_1);                                                \
    }

FULLY_CONNECTED(4)
FULLY_CONNECTED(3)
FULLY_CONNECTED(2)
