/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Which taps of a window lie within the input. */
#ifndef BPTQ_WINDOW_H
#define BPTQ_WINDOW_H

#include "bptq.h"

/* Taps first..end of a kernel, in one axis, that read an element of the input. */
typedef struct {
    int32_t first;
    int32_t end;
} bptq_taps;

/* `origin` is the input coordinate of tap 0, possibly in the padding. */
static inline bptq_taps bptq_inner_taps(int32_t origin, int32_t dilation, int32_t kernel,
                                        int32_t extent)
{
    bptq_taps taps = {0, kernel};
    while (taps.first < taps.end && origin + taps.first * dilation < 0) {
        taps.first++;
    }
    while (taps.end > taps.first && origin + (taps.end - 1) * dilation >= extent) {
        taps.end--;
    }
    return taps;
}

/* Whether every output pixel is made of the input pixel at the same place. */
static inline int32_t bptq_is_pointwise(const bptq_conv2d *op)
{
    const bptq_window *window = &op->window;
    return op->groups == 1 && window->kernel_height == 1 && window->kernel_width == 1 &&
           window->stride_height == 1 && window->stride_width == 1 && window->pad_height == 0 &&
           window->pad_width == 0 && window->output_width == window->input_width &&
           window->output_height == window->input_height;
}

#endif /* BPTQ_WINDOW_H */
