/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Lines of a depthwise convolution with a kernel of 3x3. */
#ifndef BPTQ_TILE_LINES_H
#define BPTQ_TILE_LINES_H

#include "bptq_tile_math.h"

/*
 * How four channels are computed. Elements stand as pairs of one channel that follow each other in a
 * line: for each pair of columns the lines, for each line four channels' words.
 */
typedef struct {
    /* For each of the three lines below a window, bytes from a channel's words to its row of weights. */
    int32_t rows[3];
    /* Bytes of pairs that whole groups of four outputs go over, and outputs after these. */
    int32_t span;
    int32_t tail;
    /* Bytes from one output of a channel to the next in a line, and lines of outputs. */
    int32_t pixel;
    int32_t lines;
    /* Bytes from an output to the line below, and from a window's first line to the next window's. */
    int32_t line;
    int32_t step;
} bptq_tile_lines;

/* Words of a channel. */
#define BPTQ_TILE_CHANNEL 6

/* The outputs of four channels, at stride 1 or 2 with BPTQ_TILE_SLOTS or _PLANE_ bytes a pair. */
#define BPTQ_TILE_LINES_FUNCTION(name)                                                             \
    void name(const bptq_pair *x, const uint32_t *constants, int8_t *output,                       \
              const bptq_tile_lines *lines)
BPTQ_TILE_LINES_FUNCTION(bptq_tile_slots_1);
BPTQ_TILE_LINES_FUNCTION(bptq_tile_slots_2);
BPTQ_TILE_LINES_FUNCTION(bptq_tile_plane_1);
BPTQ_TILE_LINES_FUNCTION(bptq_tile_plane_2);

/* Writes `count` pairs, not 0, of four channels of columns `pixel` bytes apart; `step` bytes from one pair
 * to the next. */
void bptq_tile_pairs(const int8_t *line, int32_t pixel, int32_t count, bptq_pair *to,
                     int32_t step);

/* Columns `a` and `b` of four channels as a pair. */
BPTQ_INLINE void bptq_tile_store_pair(bptq_pair *to, uint32_t a, uint32_t b)
{
    const uint32_t low = bptq_low_halves(a, b);
    const uint32_t high = bptq_high_halves(a, b);
    to[0] = bptq_even_bytes(low);
    to[1] = bptq_odd_bytes(low);
    to[2] = bptq_even_bytes(high);
    to[3] = bptq_odd_bytes(high);
}

#endif /* BPTQ_TILE_LINES_H */
