/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Tiles: the outputs of a few pixels, two channels at a time. */
#ifndef BPTQ_SCALAR_TILE_H
#define BPTQ_SCALAR_TILE_H

#include "bptq_scalar_math.h"

/* What tiles of a layer have in common. */
typedef struct {
    /* Constants of the first two channels, and the end of all. */
    const uint32_t *constants;
    const uint32_t *end;
    /* Elements of a window, with zero weights behind its own. */
    int32_t length;
    /* Elements after which the lanes of a word are emptied. */
    int32_t chunk;
    /* Bytes from the outputs of a pixel to the next one's. */
    int32_t pitch;
    /* 2 z + 1 of the output's zero point z. */
    int32_t twice;
} bptq_scalar_tile;

/* The two words of a channel's outputs; the second one holds the shifts of both channels. */
BPTQ_SCALAR_INLINE bptq_scalar_factor bptq_scalar_factor_a(const uint32_t *at, int32_t twice)
{
    return bptq_scalar_factor_of(at[0], at[2] & 0xFFU, twice);
}

BPTQ_SCALAR_INLINE bptq_scalar_factor bptq_scalar_factor_b(const uint32_t *at, int32_t twice)
{
    return bptq_scalar_factor_of(at[1], at[2] >> 8, twice);
}

/* The outputs of four pixels, two or one, from elements of pixels that stand beside each other. `_w8`
 * reads bytes. The others read words of two pixels, the second one 2^16 times, and where there is one
 * pixel, bytes. */
#define BPTQ_SCALAR_TILE(name, type)                                                               \
    void name(const bptq_scalar_tile *tile, const type *x, int8_t *output)
BPTQ_SCALAR_TILE(bptq_scalar_w8_4, int8_t);
BPTQ_SCALAR_TILE(bptq_scalar_w8_2, int8_t);
BPTQ_SCALAR_TILE(bptq_scalar_w8_1, int8_t);
BPTQ_SCALAR_TILE(bptq_scalar_w4_4, bptq_scalar_word);
BPTQ_SCALAR_TILE(bptq_scalar_w4_2, bptq_scalar_word);
BPTQ_SCALAR_TILE(bptq_scalar_w4_1, int8_t);
BPTQ_SCALAR_TILE(bptq_scalar_w3_4, bptq_scalar_word);
BPTQ_SCALAR_TILE(bptq_scalar_w3_2, bptq_scalar_word);
BPTQ_SCALAR_TILE(bptq_scalar_w3_1, int8_t);
BPTQ_SCALAR_TILE(bptq_scalar_w2_4, bptq_scalar_word);
BPTQ_SCALAR_TILE(bptq_scalar_w2_2, bptq_scalar_word);
BPTQ_SCALAR_TILE(bptq_scalar_w2_1, int8_t);

#endif /* BPTQ_SCALAR_TILE_H */
