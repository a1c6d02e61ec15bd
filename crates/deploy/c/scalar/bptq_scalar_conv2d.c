/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Convolution, 8-bit activations. */
#include "bptq_scalar_layer.h"

void bptq_scalar_conv2d_w8_s8(const bptq_conv2d *op, const int8_t *input, int8_t *output,
                              int8_t *scratch)
{
    bptq_scalar_windows windows = bptq_scalar_windows_of(op, input);
    bptq_scalar_layer_w8(&op->weighted, &windows,
                         op->window.output_height * op->window.output_width,
                         op->output_channels, output, scratch);
}

#define CONV2D(bits)                                                                               \
    void bptq_scalar_conv2d_w##bits##_s8(const bptq_conv2d *op, const int8_t *input,               \
                                         int8_t *output, int8_t *scratch)                          \
    {                                                                                              \
        bptq_scalar_windows windows = bptq_scalar_windows_of(op, input);                           \
        bptq_scalar_layer(bits, &op->weighted, &windows,                                           \
                          op->window.output_height * op->window.output_width,                      \
                          op->output_channels, output, scratch, bptq_scalar_w##bits##_4,           \
                          bptq_scalar_w##bits##_2, bptq_scalar_w##bits##_1);                       \
    }

CONV2D(4)
CONV2D(3)
CONV2D(2)
