/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Layers as tiles. */
#ifndef BPTQ_SCALAR_LAYER_H
#define BPTQ_SCALAR_LAYER_H

#include "bptq_scalar_gather.h"
#include "bptq_scalar_tile.h"

typedef BPTQ_SCALAR_TILE(bptq_scalar_bytes, int8_t);
typedef BPTQ_SCALAR_TILE(bptq_scalar_words, bptq_scalar_word);

/* `count` windows of a layer of `channels` outputs, weights of 8 bits. */
BPTQ_SCALAR_INLINE void bptq_scalar_layer_w8(const bptq_weighted *weighted,
                                             bptq_scalar_windows *windows, int32_t count,
                                             int32_t channels, int8_t *output, int8_t *scratch)
{
    const uint32_t *constants = (const uint32_t *)weighted->weights;
    const int32_t elements = windows->kernel_height * windows->kernel_width * windows->channels;
    const int32_t length = (elements + 3) & ~3;
    const uint32_t *end = constants + channels / 2 * (5 + length / 2);
    const bptq_scalar_tile tile = {constants, end, length, 0, channels,
                                   2 * weighted->output_zero_point + 1};
#if !BPTQ_SCALAR_SMALL
    /* Where there are few registers, those of two pixels fill them. */
    for (; count >= 4; count -= 4) {
        bptq_scalar_w8_4(&tile, bptq_scalar_gather_bytes(windows, 4, length, scratch), output);
        output += 4 * channels;
    }
#endif
    for (; count >= 2; count -= 2) {
        bptq_scalar_w8_2(&tile, bptq_scalar_gather_bytes(windows, 2, length, scratch), output);
        output += 2 * channels;
    }
    if (count != 0) {
        bptq_scalar_w8_1(&tile, bptq_scalar_gather_bytes(windows, 1, length, scratch), output);
    }
}

/* The same for weights of 4 bits or fewer. */
BPTQ_SCALAR_INLINE void bptq_scalar_layer(int32_t bits, const bptq_weighted *weighted,
                                          bptq_scalar_windows *windows, int32_t count,
                                          int32_t channels, int8_t *output, int8_t *scratch,
                                          bptq_scalar_words *four, bptq_scalar_words *two,
                                          bptq_scalar_bytes *one)
{
    const uint32_t *constants = (const uint32_t *)weighted->weights;
    const int32_t unit = 16 / bits;
    const int32_t elements = windows->kernel_height * windows->kernel_width * windows->channels;
    const int32_t units = (elements + unit - 1) / unit;
    const bptq_scalar_tile tile = {constants + 1,
                                   constants + 1 + channels / 2 * (5 + units),
                                   units * unit,
                                   (int32_t)constants[0] * unit,
                                   channels,
                                   2 * weighted->output_zero_point + 1};
    bptq_scalar_word *x = (bptq_scalar_word *)(void *)scratch;
    for (; count >= 4; count -= 4) {
        four(&tile, bptq_scalar_gather_words(windows, 4, x), output);
        output += 4 * channels;
    }
    if (count >= 2) {
        two(&tile, bptq_scalar_gather_words(windows, 2, x), output);
        output += 2 * channels;
        count -= 2;
    }
    if (count != 0) {
        one(&tile, bptq_scalar_gather_bytes(windows, 1, tile.length, scratch), output);
    }
}

#endif /* BPTQ_SCALAR_LAYER_H */
