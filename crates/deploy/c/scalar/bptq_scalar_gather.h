/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Windows of an input, gathered for tiles. */
#ifndef BPTQ_SCALAR_GATHER_H
#define BPTQ_SCALAR_GATHER_H

#include "bptq_scalar_math.h"

/* The windows of a layer, one after the other. */
typedef struct {
    const int8_t *input;
    /* Rows and columns of the input, and elements of a column. */
    int32_t height;
    int32_t width;
    int32_t channels;
    int32_t kernel_height;
    int32_t kernel_width;
    int32_t stride_height;
    int32_t stride_width;
    /* Columns of padding before the first one, and windows of a row. */
    int32_t pad_width;
    int32_t output_width;
    int32_t zero_point;
    /* The next window: its number in its row, and its place in the input. */
    int32_t number;
    int32_t top;
    int32_t left;
} bptq_scalar_windows;

bptq_scalar_windows bptq_scalar_windows_of(const bptq_conv2d *op, const int8_t *input);

/* The next 1, 2 or 4 windows, elements of all pixels beside each other: as bytes, or as words of two
 * pixels. Returns where they stand: a single window may be used in place if it has `length` elements. */
const int8_t *bptq_scalar_gather_bytes(bptq_scalar_windows *from, int32_t pixels, int32_t length,
                                       int8_t *x);
const bptq_scalar_word *bptq_scalar_gather_words(bptq_scalar_windows *from, int32_t pixels,
                                                 bptq_scalar_word *x);

#endif /* BPTQ_SCALAR_GATHER_H */
