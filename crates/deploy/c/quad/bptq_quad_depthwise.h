/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Outputs of a depthwise convolution with nine taps: sixteen channels of a pixel at a time. */
#ifndef BPTQ_QUAD_DEPTHWISE_H
#define BPTQ_QUAD_DEPTHWISE_H

#include "bptq_quad_math.h"

/* Pixels of a line; the taps of each lie `skip` bytes behind where those of the one before end. */
typedef struct {
    const int8_t *taps[9];
    const uint32_t *constants;
    int8_t *output;
    int32_t zero_point;
    int32_t channels;
    int32_t pixels;
    /* From where the last block of sixteen channels ends to the next pixel, in the input and the
     * output. */
    int32_t skip;
    int32_t output_skip;
} bptq_quad_line;

/* _relu: for an output zero point of -128. They count `pixels` down. */
void bptq_quad_line_w8(bptq_quad_line *line);
void bptq_quad_line_w8_relu(bptq_quad_line *line);
void bptq_quad_line_w4(bptq_quad_line *line);
void bptq_quad_line_w4_relu(bptq_quad_line *line);
void bptq_quad_line_w2(bptq_quad_line *line);
void bptq_quad_line_w2_relu(bptq_quad_line *line);

#endif /* BPTQ_QUAD_DEPTHWISE_H */
