/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Lines of a depthwise convolution with a kernel of 3x3. */
#ifndef BPTQ_SCALAR_LINES_H
#define BPTQ_SCALAR_LINES_H

#include "bptq_scalar_math.h"

/* What makes the outputs of a channel; nine weights. */
typedef struct {
    const int8_t *weights;
    int32_t bias;
    bptq_scalar_factor factor;
} bptq_scalar_channel;

/* The lines of the input below one of the output, of four channels: BPTQ_SCALAR_COLUMN bytes from a
 * column to the next. `width` outputs, `pixel` bytes from one to the next. */
typedef struct {
    const int8_t *rows[3];
    int32_t width;
    int32_t pixel;
} bptq_scalar_line;

/* The outputs of one of the channels, at stride 1 or 2. */
void bptq_scalar_line_1(const bptq_scalar_line *line, int32_t number,
                        const bptq_scalar_channel *channel, int8_t *output);
void bptq_scalar_line_2(const bptq_scalar_line *line, int32_t number,
                        const bptq_scalar_channel *channel, int8_t *output);

#endif /* BPTQ_SCALAR_LINES_H */
