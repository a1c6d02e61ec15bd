/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Inputs of a tile of a convolution, as pairs of 16-bit elements. */
#ifndef BPTQ_TILE_GATHER_H
#define BPTQ_TILE_GATHER_H

#include "bptq_tile_math.h"

/* The bytes of a window: `rows` rows of `full` bytes, a multiple of 4, and `rest` more; `pitch` bytes
 * from a row to the next. */
typedef struct {
    int32_t rows;
    int32_t full;
    int32_t rest;
    int32_t pitch;
} bptq_tile_window;

/* Elements of a window that takes so many bytes of rows: fours, and what is left of all rows. */
BPTQ_INLINE int32_t bptq_tile_length(const bptq_tile_window *window)
{
    return window->rows * window->full + ((window->rows * window->rest + 3) & ~3);
}

/* The rows of four windows in turn, four bytes of each; returns the end of their pairs. `full` is not
 * 0, and `gap` the bytes from the end of a row to the next. */
bptq_pair *bptq_tile_gather_4(const int8_t *const *windows, bptq_pair *x, int32_t rows,
                              const int32_t *full_and_gap);

/* The same for one row of `count` bytes, not 0, of four pixels that follow each other. */
void bptq_tile_gather_pixels(const int8_t *pixels, int32_t count, bptq_pair *x);

/* One of `pixels` windows of a tile. */
void bptq_tile_gather_1(const int8_t *from, const bptq_tile_window *window, bptq_pair *x,
                        int32_t pixels);

/* -16 times the sums of the elements of four pixels, or two, behind them. */
void bptq_tile_sums_4(bptq_pair *x, bptq_pair *end);
void bptq_tile_sums_2(bptq_pair *x, bptq_pair *end);

#endif /* BPTQ_TILE_GATHER_H */
